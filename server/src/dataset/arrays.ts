import { basename, dirname, join } from 'node:path';
import type { Split } from '../../../protocol/analysis';
import { InputError } from '../errors';
import { withSource } from '../files/source';
import { withZip } from '../files/zip';
import type { Shape } from '../graph/ir';
import { assembleDataset, toLabels } from './assemble';
import type { Dataset } from './dataset';
import { channelsFirst, showShape } from './elements';
import type { NumberArray } from './elements';
import { chooseFile, listNames, locate } from './format';
import type { DatasetFormat, Location } from './format';
import { MAGIC, readNpy } from './npy';

/**
 * numpy arrays: two `.npy` files in a folder, or two arrays in an `.npz`.
 *
 * Which two is told by name, upper or lower case, `-` or `_`:
 *
 *     samples   x  images  image  data  features  inputs
 *     labels    y  labels  label  target  targets
 *
 * With a split in front or behind (`x_test`, `train_images`) they are that
 * split's; without one (`x.npy` and `y.npy`) they stand for either split, but
 * only where no array names a split.
 *
 * What the axes of samples are:
 *
 *     [N, F]          a table: samples of shape [F]
 *     [N, H, W]       gray images: [1, H, W]
 *     [N, A, B, C]    images: channels last where C is 1 or 3 and A is
 *                     neither, which become [C, A, B]; otherwise channels
 *                     first, [A, B, C]
 *     other           kept
 */
export const npz: DatasetFormat = {
  name: 'npz',
  expects: 'an .npz with x_test and y_test (or x and y)',
  match: (location) =>
    location.kind === 'file' ? /\.npz$/i.test(location.name) : location.files.some((name) => /\.npz$/i.test(name)),
  async open(location, split) {
    const path = location.kind === 'file' ? location.path : join(location.path, archiveOf(location, split));
    const names = await npzNames(path);
    const pair = choosePair(names, split, path);
    const [samples, labels] = await readNpz(path, [pair.samples, pair.labels]);
    return toDataset('npz', path, samples!, toLabels(labels!, `${pair.labels} of ${path}`));
  },
};

export const npy: DatasetFormat = {
  name: 'npy',
  expects: 'x_test.npy and y_test.npy (or x.npy and y.npy)',
  match(location) {
    if (location.kind === 'folder') return location.files.some((name) => /\.npy$/i.test(name));
    return /\.npy$/i.test(location.name) || MAGIC.every((byte, i) => location.head[i] === byte);
  },
  async open(location, split) {
    const folder = location.kind === 'folder' ? location.path : dirname(location.path);
    const beside = await locate(folder);
    const files = beside.kind === 'folder' ? beside.files.filter((name) => /\.npy$/i.test(name)) : [];
    const names = files.map(stem);
    const pair =
      location.kind === 'folder' ? choosePair(names, split, folder) : pairOf(stem(location.name), names, location.path);
    const file = (name: string): string => join(folder, files[names.indexOf(name)] ?? name);
    const samples = location.kind === 'file' ? location.path : file(pair.samples);
    const labels = toLabels(await withSource(file(pair.labels), readNpy), file(pair.labels));
    return toDataset('npy', samples, await withSource(samples, readNpy), labels);
  },
};

const SAMPLES = ['x', 'images', 'image', 'data', 'features', 'inputs'];
const LABELS = ['y', 'labels', 'label', 'target', 'targets'];
const SPLITS: readonly Split[] = ['test', 'train'];

interface Pair {
  readonly samples: string;
  readonly labels: string;
}

/** Names of the arrays in an `.npz`. */
export async function npzNames(path: string): Promise<string[]> {
  return withZip(path, (archive) => Promise.resolve(archive.entries.map((entry) => stem(entry.name))), 'texts');
}

/**
 * The named arrays of an `.npz`, in the order of `names`.
 * @throws InputError when one is not there, is no array of numbers or is damaged
 */
export async function readNpz(path: string, names: readonly string[]): Promise<NumberArray[]> {
  return withZip(
    path,
    async (archive) => {
      const arrays: NumberArray[] = [];
      for (const name of names) {
        const entry = archive.entries.find((candidate) => stem(candidate.name) === name);
        if (entry === undefined) {
          const there = listNames(archive.entries.map((candidate) => stem(candidate.name)));
          throw new InputError(`array not found: ${name} in ${path}, which holds ${there}; choose one of those`);
        }
        const source = await archive.source(entry);
        try {
          arrays.push(await readNpy(source));
        } finally {
          await source.close();
        }
      }
      return arrays;
    },
    'texts',
  );
}

function stem(name: string): string {
  return name.replace(/\.npy$/i, '');
}

function archiveOf(location: Location & { kind: 'folder' }, split: Split): string {
  const archives = location.files.filter((name) => /\.npz$/i.test(name));
  // A single archive holds its splits inside, whatever it is called.
  return archives.length === 1 ? archives[0]! : chooseFile(archives, split, location.path);
}

/** `word` alone, or with the split in front or behind. */
function spellings(word: string, split: Split | undefined): string[] {
  return split === undefined ? [word] : [`${word}_${split}`, `${split}_${word}`];
}

function normal(name: string): string {
  return name.toLowerCase().replace(/[- .]/g, '_');
}

/** The first of `names` that one of `words` spells for `split`. */
function find(names: readonly string[], words: readonly string[], split: Split | undefined): string | undefined {
  for (const word of words) {
    const spelled = spellings(word, split);
    const found = names.find((name) => spelled.includes(normal(name)));
    if (found !== undefined) return found;
  }
  return undefined;
}

function choosePair(names: readonly string[], split: Split, where: string): Pair {
  const separate = SPLITS.some((each) => find(names, SAMPLES, each) !== undefined);
  const asked = separate ? split : undefined;
  const samples = find(names, SAMPLES, asked);
  const labels = find(names, LABELS, asked);
  const there = `${where} holds ${listNames(names)}`;
  if (samples === undefined) {
    throw new InputError(
      separate
        ? `split not found: ${split}; ${there}; choose ${split === 'test' ? 'train' : 'test'} or add x_${split} and y_${split}`
        : `samples not found: ${there}; name the arrays x and y, or x_${split} and y_${split}`,
    );
  }
  if (labels === undefined) throw labelsMissing(samples, asked, there);
  return { samples, labels };
}

/** The labels that go with the samples array called `name`. */
function pairOf(name: string, names: readonly string[], path: string): Pair {
  for (const split of [undefined, ...SPLITS]) {
    if (find([name], SAMPLES, split) === undefined) continue;
    const labels = find(names, LABELS, split);
    if (labels === undefined) throw labelsMissing(name, split, `${dirname(path)} holds ${listNames(names)}`);
    return { samples: name, labels };
  }
  const looked = basename(path);
  throw new InputError(`samples not recognised: ${looked} in ${dirname(path)}; name the files x.npy and y.npy`);
}

function labelsMissing(samples: string, split: Split | undefined, there: string): InputError {
  const wanted = spellings('y', split)[0]!;
  return new InputError(`labels not found: none for ${samples}; ${there}; add an array ${wanted}`);
}

function toDataset(format: string, source: string, samples: NumberArray, labels: Int32Array): Dataset {
  const { shape } = samples;
  if (shape.length < 2) {
    throw new InputError(
      `sample shape unknown: ${showShape(shape)} in ${source}; one row or image per sample is wanted`,
    );
  }
  if (shape.length === 4 && isChannels(shape[3]!) && !isChannels(shape[1]!)) {
    const moved = channelsFirst(samples);
    return assembleDataset(format, source, moved.shape.slice(1), moved.values, labels);
  }
  const sampleShape: Shape = shape.length === 3 ? [1, ...shape.slice(1)] : shape.slice(1);
  return assembleDataset(format, source, sampleShape, samples.values, labels);
}

function isChannels(size: number): boolean {
  return size === 1 || size === 3;
}
