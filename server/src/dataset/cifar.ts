import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Split } from '../../../protocol/analysis';
import { InputError } from '../errors';
import { allocate, withSource } from '../files/source';
import { assembleDataset, emptyDataset } from './assemble';
import { splitMissing } from './format';
import type { DatasetFormat, Location } from './format';

/**
 * The binary versions of CIFAR-10 and CIFAR-100
 * (https://www.cs.toronto.edu/~kriz/cifar.html): records of one label byte,
 * or of a coarse and a fine one, and 3072 bytes, the red, green and blue plane
 * of a 32×32 image. CIFAR-100 is read with its 100 fine classes.
 *
 * A folder holds `data_batch_1.bin` … and `test_batch.bin`, or `train.bin` and
 * `test.bin`; a path to a file is that file, whatever the split. Which of the
 * two sets it is: see `recordOf`.
 */
export const cifar: DatasetFormat = {
  name: 'cifar',
  expects: 'CIFAR binary files (data_batch_*.bin and test_batch.bin, or train.bin and test.bin)',
  match(location) {
    if (location.kind === 'file') return /\.bin$/i.test(location.name);
    return location.files.some((name) => splitOf(name) !== undefined);
  },
  async open(location, split) {
    const names = location.kind === 'file' ? [location.path] : filesOf(location, split);
    const paths = location.kind === 'file' ? names : names.map((name) => join(location.path, name));
    const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    if (bytes === 0) throw emptyDataset(location.path);
    const record = recordOf(paths, sizes);
    const count = bytes / (record.labels + PIXELS);
    const values = allocate(Uint8Array, count * PIXELS, 1, location.path);
    const labels = new Int32Array(count);
    let done = 0;
    for (const [i, path] of paths.entries()) {
      const here = sizes[i]! / (record.labels + PIXELS);
      await readRecords(path, record, values.subarray(done * PIXELS), labels.subarray(done, done + here));
      done += here;
    }
    return assembleDataset(record.name, location.path, [3, 32, 32], values, labels);
  },
};

const PIXELS = 3072;
/** Records per read. */
const BLOCK = 512;

interface RecordKind {
  readonly name: 'cifar10' | 'cifar100';
  /** Bytes in front of the pixels; the last of them is the class. */
  readonly labels: 1 | 2;
  /** Number of values of each label byte. */
  readonly classes: readonly number[];
}

const CIFAR10: RecordKind = { name: 'cifar10', labels: 1, classes: [10] };
const CIFAR100: RecordKind = { name: 'cifar100', labels: 2, classes: [20, 100] };

/**
 * Tells 3073-byte records from 3074-byte ones. In this order:
 *
 * 1. a length that only one of the two divides;
 * 2. official CIFAR-10 names (`data_batch_1.bin`, `test_batch.bin`);
 * 3. `cifar10`, `cifar-100` and their likes in the path, the last one counting;
 * 4. otherwise it is an error: both lengths divide multiples of 9,446,402 bytes.
 */
function recordOf(paths: readonly string[], sizes: readonly number[]): RecordKind {
  const first = paths[0]!;
  const fitting = [CIFAR10, CIFAR100].filter(({ labels }) => sizes.every((size) => size % (labels + PIXELS) === 0));
  if (fitting.length === 1) return fitting[0]!;
  if (fitting.length === 0) {
    const bad = sizes.findIndex((size) => size % (PIXELS + 1) !== 0);
    throw new InputError(
      `not CIFAR records: ${paths[bad] ?? first} has ${sizes[bad] ?? 0} bytes, no multiple of 3073 or 3074; fetch the file again`,
    );
  }
  if (/(data|test)_batch[^\\/]*\.bin$/i.test(first)) return CIFAR10;
  const named = [...first.matchAll(/cifar[-_ ]?(100|10)(?!\d)/gi)].pop()?.[1];
  if (named === undefined) {
    throw new InputError(
      `CIFAR kind unknown: ${first} may hold 3073- or 3074-byte records; put it into a folder named cifar10 or cifar100`,
    );
  }
  return named === '10' ? CIFAR10 : CIFAR100;
}

async function readRecords(path: string, kind: RecordKind, pixels: Uint8Array, labels: Int32Array): Promise<void> {
  const length = kind.labels + PIXELS;
  await withSource(path, async (source) => {
    const block = new Uint8Array(Math.min(labels.length, BLOCK) * length);
    for (let start = 0; start < labels.length; start += BLOCK) {
      const count = Math.min(BLOCK, labels.length - start);
      const bytes = block.subarray(0, count * length);
      await source.read(bytes);
      for (let i = 0; i < count; i++) {
        const record = bytes.subarray(i * length, (i + 1) * length);
        checkRecord(record, kind, start + i, path);
        labels[start + i] = record[kind.labels - 1]!;
        pixels.set(record.subarray(kind.labels), (start + i) * PIXELS);
      }
    }
  });
}

function checkRecord(record: Uint8Array, kind: RecordKind, index: number, path: string): void {
  kind.classes.forEach((classes, k) => {
    if (record[k]! < classes) return;
    throw new InputError(
      `not ${kind.name} records: label ${record[k]} in record ${index} of ${path}; its labels lie below ${classes}`,
    );
  });
}

function splitOf(name: string): Split | undefined {
  if (/^(data_batch_\d+|train)\.bin$/i.test(name)) return 'train';
  if (/^(test_batch|test)\.bin$/i.test(name)) return 'test';
  return undefined;
}

/** The official batches where they are, otherwise the plain file. */
function filesOf(location: Location & { kind: 'folder' }, split: Split): string[] {
  const all = location.files.filter((name) => splitOf(name) !== undefined);
  const fitting = all.filter((name) => splitOf(name) === split);
  if (fitting.length === 0) throw splitMissing(split, location.path, all);
  const batches = fitting.filter((name) => name.toLowerCase().includes('batch'));
  return batches.length > 0 ? batches : fitting;
}
