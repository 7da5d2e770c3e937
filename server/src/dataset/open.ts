import type { Split } from '../../../protocol/analysis';
import { InputError } from '../errors';
import { npy, npz } from './arrays';
import { cifar } from './cifar';
import { cifarPython } from './cifar-python';
import { csv } from './csv';
import type { Dataset } from './dataset';
import { listNames, locate } from './format';
import type { DatasetFormat, Location } from './format';
import { idx } from './idx';
import { imageFolder, type ImageOptions } from './image-folder';

/** Every format that is read; the first that matches a path opens it. */
export const formats: readonly DatasetFormat[] = [idx, cifar, cifarPython, npz, npy, csv, imageFolder];

/**
 * Reads the labelled samples at `path`, a file or a folder.
 *
 * `split` chooses the files of a folder, and the arrays of an `.npz` which
 * holds both; another file named outright is read whatever the split.
 *
 * @param options how images of a folder are brought to one size
 * @throws InputError when nothing is there, no format matches, the split is
 * missing, or a file is damaged
 */
export async function openDataset(path: string, split: Split, options: ImageOptions = {}): Promise<Dataset> {
  try {
    const { format, location } = await findFormat(path);
    return await format.open(location, split, options);
  } catch (error) {
    throw asInputError(error, path);
  }
}

/**
 * Name of the format of the data at `path`, from names and first bytes.
 *
 * @throws InputError when nothing is there or no format matches
 */
export async function recognizeDataset(path: string): Promise<string> {
  try {
    return (await findFormat(path)).format.name;
  } catch (error) {
    throw asInputError(error, path);
  }
}

async function findFormat(path: string): Promise<{ format: DatasetFormat; location: Location }> {
  const location = await locate(path);
  const format = formats.find((candidate) => candidate.match(location));
  if (format === undefined) throw new InputError(unrecognised(location));
  return { format, location };
}

function unrecognised(location: Location): string {
  const { path } = location;
  if (location.kind === 'folder') {
    if (location.files.length === 0 && location.folders.length > 0) {
      return `data not recognised: ${path} holds only the folders ${listNames(location.folders)}; name the folder of the data, or store images as x.npy and y.npy`;
    }
    const there = listNames([...location.files, ...location.folders]);
    return `data not recognised: ${path} holds ${there}; wanted is ${wanted()}`;
  }
  if (/\.(pkl|pickle|pt|pth)$/i.test(location.name)) {
    return `pickled data refused: ${path}, as nothing is unpickled; store the arrays with numpy.savez`;
  }
  return `data not recognised: ${path}; wanted is ${wanted()}`;
}

function wanted(): string {
  return formats.map((format) => format.expects).join('; or ');
}

/** A failure of the file system as a sentence about the data; everything else unchanged. */
function asInputError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof InputError) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return error;
  const file = (error as NodeJS.ErrnoException).path ?? path;
  return new InputError(`data not readable: ${file} (${code}); check the file and its permissions`);
}
