import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Split } from '../../../protocol/analysis';
import { InputError } from '../errors';
import { ByteCursor, readRange } from '../files/ranges';
import { allocate } from '../files/source';
import { arrayFunctions, PickledArray } from '../pickle/arrays';
import { builtinFunctions } from '../pickle/builtins';
import { readPickle, type PickleTable } from '../pickle/machine';
import { textEntries, toBytes, type PickleValue } from '../pickle/values';
import { assembleDataset } from './assemble';
import { splitMissing, type DatasetFormat, type Location } from './format';

/**
 * The Python versions of CIFAR-10 and CIFAR-100
 * (https://www.cs.toronto.edu/~kriz/cifar.html): pickled dicts with `data`, an
 * array [N, 3072] of bytes, and `labels` or `fine_labels`, a list. A folder
 * holds `data_batch_1` … and `test_batch`, or `train`, `test` and `meta`; a
 * path to a file is that file, whatever the split.
 */
export const cifarPython: DatasetFormat = {
  name: 'cifar-python',
  expects: 'CIFAR batches for Python (data_batch_* and test_batch, or train, test and meta)',
  match(location) {
    if (location.kind === 'file') return splitOf(location.name) !== undefined && location.head[0] === 0x80;
    const { files } = location;
    return files.some((name) => /_batch(_\d+)?$/.test(name)) || (files.includes('meta') && files.includes('train'));
  },
  async open(location, split) {
    const paths =
      location.kind === 'file' ? [location.path] : batchesOf(location, split).map((name) => join(location.path, name));
    const batches: Batch[] = [];
    for (const path of paths) batches.push(await readBatch(path));
    const count = batches.reduce((sum, { labels }) => sum + labels.length, 0);
    const values = allocate(Uint8Array, count * PIXELS, 1, location.path);
    const labels = new Int32Array(count);
    let done = 0;
    for (const batch of batches) {
      values.set(batch.pixels, done * PIXELS);
      labels.set(batch.labels, done);
      done += batch.labels.length;
    }
    const fine = batches.some((batch) => batch.fine);
    return assembleDataset(fine ? 'cifar100' : 'cifar10', location.path, [3, 32, 32], values, labels);
  },
};

const PIXELS = 3072;

const table: PickleTable = {
  functions: new Map([...builtinFunctions, ...arrayFunctions]),
  advice: 'fetch the official CIFAR files',
};

function splitOf(name: string): Split | undefined {
  if (/^(data_batch_\d+|train)$/.test(name)) return 'train';
  return /^(test_batch|test)$/.test(name) ? 'test' : undefined;
}

function batchesOf(location: Location & { kind: 'folder' }, split: Split): string[] {
  const all = location.files.filter((name) => splitOf(name) !== undefined);
  const fitting = all.filter((name) => splitOf(name) === split);
  if (fitting.length === 0) throw splitMissing(split, location.path, all);
  return fitting;
}

interface Batch {
  readonly pixels: Uint8Array;
  readonly labels: readonly number[];
  readonly fine: boolean;
}

async function readBatch(path: string): Promise<Batch> {
  const handle = await open(path, 'r');
  const { size } = await handle.stat();
  await handle.close();
  const input = new ByteCursor(size, (start, length) => readRange(path, start, length), path);
  const entries = textEntries(byteKeys(readPickle(input, table)));
  const array = entries?.get('data');
  const fineLabels = entries?.get('fine_labels');
  const labels = fineLabels ?? entries?.get('labels');
  if (!(array instanceof PickledArray) || !isClasses(labels)) {
    throw new InputError(`not a CIFAR batch: ${path} has no data or no labels; fetch the file again`);
  }
  const pixels = toBytes(array.content);
  const isBytes = /^[|<>=]?u1$/.test(array.type?.descr ?? '') && !array.fortran;
  if (!isBytes || pixels === null || pixels.length !== labels.length * PIXELS) {
    throw new InputError(
      `not a CIFAR batch: ${path} has ${labels.length} labels and ${pixels?.length ?? 0} bytes of images of 3072; fetch the file again`,
    );
  }
  return { pixels, labels, fine: fineLabels !== undefined };
}

function isClasses(labels: PickleValue | undefined): labels is number[] {
  return Array.isArray(labels) && labels.every((label) => typeof label === 'number');
}

/** Python 3 writes the keys of Python 2 as bytes. */
function byteKeys(value: PickleValue): PickleValue {
  if (!(value instanceof Map)) return value;
  return new Map(
    [...value].map(([key, item]) => [key instanceof Uint8Array ? Buffer.from(key).toString() : key, item]),
  );
}
