import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { idxBytes, temporaryFolder } from '../../../test/files';
import { sharedData, withoutSharedData } from '../../../test/outside';
import { openDataset } from './open';

const PIXELS = Array.from({ length: 12 }, (_, i) => 20 * i);
const IMAGES = idxBytes(8, [3, 2, 2], PIXELS);
const LABELS = idxBytes(8, [3], [0, 2, 1]);
const PAIR = { 't10k-images-idx3-ubyte': IMAGES, 't10k-labels-idx1-ubyte': LABELS };
const SMALLER = {
  'train-images-idx3-ubyte': idxBytes(8, [1, 2, 2], [9, 8, 7, 6]),
  'train-labels-idx1-ubyte': idxBytes(8, [1], [5]),
};

const READABLE: Record<string, { files: Record<string, Uint8Array>; path?: string }> = {
  'a folder': { files: PAIR },
  'both splits in a folder': { files: { ...PAIR, ...SMALLER } },
  'gzipped files': {
    files: { 't10k-images-idx3-ubyte.gz': gzipSync(IMAGES), 't10k-labels-idx1-ubyte.gz': gzipSync(LABELS) },
  },
  'gzipped images, plain labels': {
    files: { 't10k-images-idx3-ubyte.gz': gzipSync(IMAGES), 't10k-labels-idx1-ubyte': LABELS },
  },
  'both forms of one set': { files: { ...PAIR, 't10k-images-idx3-ubyte.gz': gzipSync(IMAGES) } },
  'gzipped content without .gz': { files: { ...PAIR, 't10k-images-idx3-ubyte': gzipSync(IMAGES) } },
  'plain content with .gz': { files: { 't10k-images-idx3-ubyte.gz': IMAGES, 't10k-labels-idx1-ubyte.gz': LABELS } },
  'dots in the names': { files: { 't10k-images.idx3-ubyte': IMAGES, 't10k-labels.idx1-ubyte': LABELS } },
  'a set name in front': {
    files: { 'emnist-mnist-test-images-idx3-ubyte': IMAGES, 'emnist-mnist-test-labels-idx1-ubyte': LABELS },
  },
  'labels of a wider type': {
    files: {
      't10k-images-idx3-ubyte': IMAGES,
      't10k-labels-idx1-int': idxBytes(0x0c, [3], [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1]),
    },
  },
  'a path to the images': { files: { ...PAIR, ...SMALLER }, path: 't10k-images-idx3-ubyte' },
  'a path to images of another name': {
    files: { 'my-images.idx': IMAGES, 'my-labels.idx': LABELS },
    path: 'my-images.idx',
  },
};

for (const [name, { files, path = '' }] of Object.entries(READABLE)) {
  test(`idx: ${name}`, async (t) => {
    const folder = temporaryFolder(t, files);
    const dataset = await openDataset(join(folder, path), 'test');
    assert.equal(dataset.format, 'idx');
    assert.equal(dataset.count, 3);
    assert.equal(dataset.classes, 3);
    assert.deepEqual(dataset.sampleShape, [1, 2, 2]);
    assert.deepEqual([...dataset.values], PIXELS);
    assert.deepEqual(dataset.labels, Int32Array.of(0, 2, 1));
  });
}

test('idx: a path to a file is that file whatever the split', async (t) => {
  const folder = temporaryFolder(t, { ...PAIR, ...SMALLER });
  assert.equal((await openDataset(join(folder, 't10k-images-idx3-ubyte'), 'train')).count, 3);
  assert.equal((await openDataset(folder, 'train')).count, 1);
});

test('idx: other types, big-endian, and other ranks', async (t) => {
  const floats = Buffer.alloc(8);
  floats.writeFloatBE(1.5, 0);
  floats.writeFloatBE(-2, 4);
  const folder = temporaryFolder(t, {
    'test-images-idx2-float': idxBytes(0x0d, [1, 2], floats),
    'test-labels-idx1-ubyte': idxBytes(8, [1], [3]),
    'train-images-idx4-short': idxBytes(0x0b, [1, 3, 1, 2], [0, 1, 255, 255, 1, 0, 0, 3, 0, 4, 0, 5]),
    'train-labels-idx1-ubyte': idxBytes(8, [1], [0]),
  });
  const test = await openDataset(folder, 'test');
  assert.deepEqual([test.sampleShape, test.values], [[2], Float32Array.of(1.5, -2)]);
  const train = await openDataset(folder, 'train');
  assert.deepEqual(
    [train.sampleShape, [...train.values]],
    [
      [3, 1, 2],
      [1, -1, 256, 3, 4, 5],
    ],
  );
});

const huge = idxBytes(8, [60000, 28, 1278], PIXELS);
const cut = gzipSync(
  idxBytes(
    8,
    [100, 28, 28],
    new Uint8Array(78400).map((_, i) => (i * i) >> 3),
  ),
);
const crooked = Buffer.from(gzipSync(IMAGES));
crooked[crooked.length - 6]! ^= 0xff;
/** 4 MiB of zeros in about 4 kB, behind a header of 12 bytes. */
const bomb = gzipSync(Buffer.concat([IMAGES, new Uint8Array(4 << 20)]));

const REFUSED: Record<string, { files: Record<string, Uint8Array>; message: RegExp; path?: string }> = {
  'an empty file': {
    files: { ...PAIR, 't10k-images-idx3-ubyte': Buffer.alloc(0) },
    message: /^file truncated: \S+t10k-images-idx3-ubyte ends before its data do; fetch the file again$/,
  },
  'half a header': { files: { ...PAIR, 't10k-images-idx3-ubyte': IMAGES.subarray(0, 9) }, message: /^file truncated/ },
  'truncated content': {
    files: { ...PAIR, 't10k-images-idx3-ubyte': IMAGES.subarray(0, -1) },
    message: /^array size wrong: \S+ says \[3, 2, 2\], 12 bytes, which it cannot hold; fetch the file again$/,
  },
  'bytes behind the content': {
    files: { ...PAIR, 't10k-images-idx3-ubyte': Buffer.concat([IMAGES, Buffer.alloc(1)]) },
    message: /^array size wrong: \S+ says \[3, 2, 2\] and holds more; fetch the file again$/,
  },
  'two gigabytes in 28 bytes': {
    files: { ...PAIR, 't10k-images-idx3-ubyte': huge },
    message: /^array size wrong: \S+ says \[60000, 28, 1278\], 2147040000 bytes, which it cannot hold/,
  },
  'two gigabytes in 60 bytes of gzip': {
    files: { ...PAIR, 't10k-images-idx3-ubyte': gzipSync(huge) },
    message: /^array size wrong: \S+ says \[60000, 28, 1278\], 2147040000 bytes, which it cannot hold/,
  },
  'sizes beyond counting': {
    files: { ...PAIR, 't10k-images-idx3-ubyte': idxBytes(8, [2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], []) },
    message: /^array size wrong: \S+ says \[4294967295, 4294967295, 4294967295, 4294967295\]/,
  },
  'truncated gzip': {
    files: { ...PAIR, 't10k-images-idx3-ubyte': cut.subarray(0, cut.length / 2) },
    message: /^file truncated/,
  },
  'a wrong gzip checksum': {
    files: { ...PAIR, 't10k-images-idx3-ubyte': crooked },
    message: /^compressed data damaged: \S+ \(incorrect data check\); fetch the file again$/,
  },
  'gzip that unpacks to more than its header says': {
    files: { ...PAIR, 't10k-images-idx3-ubyte': bomb },
    message: /^array size wrong: \S+ says \[3, 2, 2\] and holds more/,
  },
  'a wrong magic number': {
    files: { ...PAIR, 't10k-images-idx3-ubyte': Buffer.from('PK\x03\x04 and so on') },
    message: /^not an idx file: \S+ starts with 50 4b 03 04; choose a file in a format that is read$/,
  },
  'an unknown type': {
    files: { ...PAIR, 't10k-images-idx3-ubyte': idxBytes(7, [3, 2, 2], PIXELS) },
    message: /^not an idx file: \S+ starts with 00 00 07 03/,
  },
  'missing labels': {
    files: { 't10k-images-idx3-ubyte.gz': gzipSync(IMAGES) },
    message:
      /^labels not found: t10k-labels-idx1-ubyte \(or \.gz\) beside \S+t10k-images-idx3-ubyte\.gz; put it there$/,
  },
  'more labels than images': {
    files: { ...PAIR, 't10k-labels-idx1-ubyte': idxBytes(8, [4], [0, 1, 2, 3]) },
    message: /^sample and label counts differ: 3 samples and 4 labels in \S+; pair files of the same set$/,
  },
  'images for labels': {
    files: { ...PAIR, 't10k-labels-idx1-ubyte': IMAGES },
    message: /^label shape unknown: \[3, 2, 2\] in \S+; one class number per sample is wanted$/,
  },
  'labels for images': {
    files: { ...PAIR, 't10k-images-idx3-ubyte': LABELS },
    message: /^images file not found: \S+ holds \[3\]; name the file of the images$/,
  },
  'a name without images': {
    files: { 'digits.idx': IMAGES },
    path: 'digits.idx',
    message: /^labels not found: no "images" in the name \S+digits\.idx; name the pair …images… and …labels…$/,
  },
  'the labels file named': {
    files: PAIR,
    path: 't10k-labels-idx1-ubyte',
    message: /^images file wanted: \S+t10k-labels-idx1-ubyte is the labels; name the images beside it$/,
  },
  'no samples': {
    files: { 't10k-images-idx3-ubyte': idxBytes(8, [0, 28, 28], []), 't10k-labels-idx1-ubyte': idxBytes(8, [0], []) },
    message: /^data set empty: \S+ has no samples; choose another file or split$/,
  },
  'a split that is not there': {
    files: SMALLER,
    message: /^split not found: test in \S+, which holds train-images-idx3-ubyte; choose train or name a file$/,
  },
  'two sets in a folder': {
    files: { ...PAIR, 'b-test-images-idx3-ubyte': IMAGES },
    message:
      /^data ambiguous: \S+ holds several sets \(b-test-images-idx3-ubyte, t10k-images-idx3-ubyte\); name one file$/,
  },
};

for (const [name, { files, message, path = '' }] of Object.entries(REFUSED)) {
  test(`idx refused: ${name}`, async (t) => {
    const folder = temporaryFolder(t, files);
    await assert.rejects(openDataset(join(folder, path), 'test'), { name: 'InputError', message });
  });
}

for (const [folder, split, count, classes] of [
  ['mnist', 'train', 60000, 10],
  ['mnist', 'test', 10000, 10],
  ['fashion-mnist', 'test', 4443, 10],
] as const) {
  test(`idx outside: ${folder} ${split}`, { skip: withoutSharedData() }, async () => {
    const path = join(sharedData()!, 'datasets', folder);
    const dataset = await openDataset(path, split);
    assert.deepEqual([dataset.count, dataset.classes], [count, classes]);
    assert.deepEqual(dataset.sampleShape, [1, 28, 28]);
    const stem = split === 'train' ? 'train' : 't10k';
    const images = gunzipSync(readFileSync(join(path, `${stem}-images-idx3-ubyte.gz`)));
    const labels = gunzipSync(readFileSync(join(path, `${stem}-labels-idx1-ubyte.gz`)));
    for (const i of [0, 1, 777, count - 1]) {
      assert.equal(dataset.labels[i], labels[8 + i]);
      const at = 16 + i * 784;
      assert.deepEqual(Buffer.from(dataset.values.subarray(i * 784, (i + 1) * 784)), images.subarray(at, at + 784));
    }
  });
}

test('idx outside: fashion-mnist has no train split', { skip: withoutSharedData() }, async () => {
  await assert.rejects(openDataset(join(sharedData()!, 'datasets/fashion-mnist'), 'train'), {
    name: 'InputError',
    message: /^split not found: train in \S+, which holds t10k-images-idx3-ubyte\.gz; choose test or name a file$/,
  });
});
