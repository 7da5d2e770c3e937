import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { sharedData, withoutSharedData } from '../../../test/outside';
import { openDataset } from './open';

/** Records with the given label bytes; pixel p of record i is (7i + p) mod 256. */
function records(labels: readonly (readonly number[])[]): Buffer {
  return Buffer.concat(
    labels.flatMap((bytes, i) => [Buffer.from(bytes), Buffer.from({ length: 3072 }).map((_, p) => (7 * i + p) % 256)]),
  );
}

const TEN = records([[3], [9], [0]]);
const HUNDRED = records([
  [19, 99],
  [0, 42],
]);

test('CIFAR-10: plain files and official batches', async (t) => {
  const folder = temporaryFolder(t, {
    'plain/train.bin': TEN,
    'plain/test.bin': records([[1]]),
    'official/data_batch_1.bin': TEN,
    'official/data_batch_2.bin': records([[7]]),
    'official/test_batch.bin': records([[1]]),
    'official/batches.meta.txt': 'airplane\n',
  });
  const plain = await openDataset(join(folder, 'plain'), 'train');
  assert.equal(plain.format, 'cifar10');
  assert.deepEqual(plain.sampleShape, [3, 32, 32]);
  assert.deepEqual(plain.labels, Int32Array.of(3, 9, 0));
  assert.equal(plain.values[2 * 3072 + 1024], (14 + 1024) % 256);
  const official = await openDataset(join(folder, 'official'), 'train');
  assert.deepEqual(official.labels, Int32Array.of(3, 9, 0, 7));
  assert.deepEqual(official.values.subarray(0, 3 * 3072), plain.values);
  assert.deepEqual((await openDataset(join(folder, 'official'), 'test')).labels, Int32Array.of(1));
  assert.deepEqual((await openDataset(join(folder, 'plain/train.bin'), 'test')).labels, Int32Array.of(3, 9, 0));
});

test('CIFAR-100: the fine label is the class', async (t) => {
  const folder = temporaryFolder(t, { 'train.bin': HUNDRED });
  const dataset = await openDataset(folder, 'train');
  assert.deepEqual([dataset.format, dataset.count, dataset.classes], ['cifar100', 2, 100]);
  assert.deepEqual(dataset.labels, Int32Array.of(99, 42));
  assert.equal(dataset.values[3072], 7);
});

test('CIFAR: where both record lengths fit, names decide', async (t) => {
  // 3074 records of CIFAR-10 have the length of 3073 of CIFAR-100. All zero, either may be meant.
  const both = Buffer.alloc(3073 * 3074);
  const folder = temporaryFolder(t, {
    'cifar-10-batches-bin/train.bin': both,
    'CIFAR100/cifar10-like/../test.bin': both,
    'data_batch_1.bin': both,
    'neither/test.bin': both,
  });
  assert.equal((await openDataset(join(folder, 'cifar-10-batches-bin'), 'train')).count, 3074);
  assert.equal((await openDataset(join(folder, 'CIFAR100'), 'test')).count, 3073);
  assert.equal((await openDataset(join(folder, 'data_batch_1.bin'), 'test')).format, 'cifar10');
  await assert.rejects(openDataset(join(folder, 'neither'), 'test'), {
    name: 'InputError',
    message:
      /^CIFAR kind unknown: \S+test\.bin may hold 3073- or 3074-byte records; put it into a folder named cifar10 or cifar100$/,
  });
});

const REFUSED: Record<string, { files: Record<string, Uint8Array>; message: RegExp }> = {
  'a truncated file': {
    files: { 'test.bin': TEN.subarray(0, -5) },
    message: /^not CIFAR records: \S+test\.bin has 9214 bytes, no multiple of 3073 or 3074; fetch the file again$/,
  },
  'labels beyond the classes': {
    files: { 'test.bin': records([[3], [10]]) },
    message: /^not cifar10 records: label 10 in record 1 of \S+test\.bin; its labels lie below 10$/,
  },
  'coarse labels beyond theirs': {
    files: { 'test.bin': records([[20, 3]]) },
    message: /^not cifar100 records: label 20 in record 0 of \S+test\.bin; its labels lie below 20$/,
  },
  'an empty file': {
    files: { 'test.bin': Buffer.alloc(0) },
    message: /^data set empty: \S+ has no samples; choose another file or split$/,
  },
  'batches of different kinds': {
    files: { 'data_batch_1.bin': TEN, 'data_batch_2.bin': HUNDRED, 'test_batch.bin': TEN.subarray(1) },
    message: /^not CIFAR records: \S+test_batch\.bin has 9218 bytes/,
  },
  'a split that is not there': {
    files: { 'train.bin': TEN },
    message: /^split not found: test in \S+, which holds train\.bin; choose train or name a file$/,
  },
};

for (const [name, { files, message }] of Object.entries(REFUSED)) {
  test(`CIFAR refused: ${name}`, async (t) => {
    await assert.rejects(openDataset(temporaryFolder(t, files), 'test'), { name: 'InputError', message });
  });
}

for (const [folder, split, count, labelBytes] of [
  ['cifar10', 'train', 8068, 1],
  ['cifar10', 'test', 1017, 1],
  ['cifar100', 'train', 486, 2],
  ['cifar100', 'test', 916, 2],
] as const) {
  test(`CIFAR outside: ${folder} ${split}`, { skip: withoutSharedData() }, async () => {
    const path = join(sharedData()!, 'datasets', folder);
    const dataset = await openDataset(path, split);
    assert.deepEqual([dataset.format, dataset.count], [folder, count]);
    assert.equal(dataset.classes, folder === 'cifar10' ? 10 : 100);
    const file = readFileSync(join(path, `${split}.bin`));
    for (const i of [0, 5, count - 1]) {
      const at = i * (labelBytes + 3072);
      assert.equal(dataset.labels[i], file[at + labelBytes - 1]);
      assert.deepEqual(
        Buffer.from(dataset.values.subarray(i * 3072, (i + 1) * 3072)),
        file.subarray(at + labelBytes, at + labelBytes + 3072),
      );
    }
  });
}
