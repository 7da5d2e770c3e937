import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { InputError } from '../../errors';
import { DEFLATE_RATIO } from '../../files/source';
import { elementCount } from '../../graph/shapes';
import { rawTensor, type StoredTensor } from '../stored-tensor';
import { Hdf5Error, listHdf5, readDataset, writeDataset } from './hdf5-library';
import type { Extent, Listing } from './hdf5-messages';

/**
 * HDF5 files through the HDF5 library (`hdf5-library.ts`). What is kept is names, shapes and
 * attributes; a tensor opens the file again for its values.
 */
export interface Hdf5 {
  /** Datasets of numbers by their path, without a slash in front. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Text attributes of the root: a single text, or a list. */
  readonly attributes: ReadonlyMap<string, string>;
  /** `weight_names` and `layer_names` of groups, by path. */
  readonly names: ReadonlyMap<string, readonly string[]>;
}

/**
 * @param part of the file that is the HDF5 file; all of it when absent
 * @throws InputError when the file is damaged, or claims more than it has
 */
export async function readHdf5(path: string, part?: { readonly start: number; readonly size: number }): Promise<Hdf5> {
  const extent = part === undefined ? { path, start: 0, size: null } : { path, ...part };
  const size = part?.size ?? (await stat(path)).size;
  const { datasets, attributes, names } = await listHdf5(extent).catch((error: unknown) => {
    throw asInputError(error, path);
  });
  const tensors = new Map<string, StoredTensor>();
  for (const dataset of datasets) {
    const tensor = datasetTensor(dataset, extent, size);
    if (tensor !== null) tensors.set(dataset.path, tensor);
  }
  return { tensors, attributes: new Map(attributes), names: new Map(names) };
}

/**
 * Puts other elements into datasets of a file, as they are to be in it. Those
 * that lie in one piece are written there; those in compressed chunks are
 * compressed again, and the library finds room for them.
 *
 * @param shown path of the file in messages
 * @param contents by path of the dataset
 */
export async function writeHdf5(
  path: string,
  shown: string,
  contents: ReadonlyMap<string, () => Uint8Array>,
): Promise<void> {
  for (const [dataset, content] of contents) {
    await writeDataset(path, dataset, content()).catch((error: unknown) => {
      if (!(error instanceof Hdf5Error)) throw error;
      throw new InputError(`file not written: ${shown} (${error.message}); choose another place`);
    });
  }
}

/** The library's own failures are those of the file. */
function asInputError(error: unknown, path: string): unknown {
  return error instanceof Hdf5Error ? damaged(path, error.message) : error;
}

function damaged(path: string, detail: string): InputError {
  const filter = /^required filter '(.*)' is not registered$/.exec(detail)?.[1];
  if (filter !== undefined) {
    return new InputError(
      `HDF5 compression not supported: ${filter} (${path}); save the file with gzip or without compression`,
    );
  }
  return new InputError(`HDF5 file damaged: ${path} (${detail}); copy it again or save the model anew`);
}

/** Formats of h5wasm, those of Python's struct module, as element types. */
const types: Readonly<Record<string, string>> = {
  '<e': 'float16',
  '<f': 'float32',
  '<d': 'float64',
  '<b': 'int8',
  '<h': 'int16',
  '<i': 'int32',
  '<q': 'int64',
  '<B': 'uint8',
  '<H': 'uint16',
  '<I': 'uint32',
  '<Q': 'uint64',
};

function datasetTensor(
  { path: name, format, shape, width, chunked }: Listing['datasets'][number],
  extent: Extent,
  size: number,
): StoredTensor | null {
  const { path } = extent;
  const type = types[format];
  if (type === undefined) return null;
  const bytes = elementCount(shape) * width;
  const most = chunked ? size * DEFLATE_RATIO : size;
  if (!(bytes <= most)) throw damaged(path, `${name} claims ${bytes} bytes in a file of ${size}`);
  const where = `tensor ${JSON.stringify(name)}, ${basename(path)}`;
  const read = (): Uint8Array => {
    try {
      return readDataset(extent, name, bytes);
    } catch (error) {
      throw asInputError(error, path);
    }
  };
  return rawTensor(name, type, shape, where, read, { kind: 'dataset', path: name });
}

/**
 * The same for a file that is a compressed entry of an archive. The library reads
 * files alone, so the bytes are written to one for as long as that takes, and the
 * tensors are held in memory.
 */
export async function readHdf5Bytes(bytes: Uint8Array): Promise<Hdf5> {
  return withTemporary(bytes, async (path) => {
    const { tensors, attributes, names } = await readHdf5(path);
    const held = [...tensors].map(([name, tensor]) => {
      const content = tensor.bytes();
      const where = `tensor ${JSON.stringify(name)}`;
      return [name, rawTensor(name, tensor.dtype, tensor.shape, where, () => content, tensor.place)] as const;
    });
    return { tensors: new Map(held), attributes, names };
  });
}

/**
 * Puts bytes into a file for as long as it is used.
 * @throws InputError when there is no room for it
 */
export async function withTemporary<T>(bytes: Uint8Array, use: (path: string) => Promise<T>): Promise<T> {
  let folder: string | undefined;
  try {
    folder = await mkdtemp(join(tmpdir(), 'pruning-limit-'));
    const path = join(folder, 'model.weights.h5');
    await writeFile(path, bytes).catch((error: NodeJS.ErrnoException) => {
      throw new InputError(
        `file not written: ${path} (${error.code ?? error.message}); make room there, or set TMPDIR to choose another place`,
      );
    });
    return await use(path);
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}
