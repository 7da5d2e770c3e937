import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { projectRoot } from '../../../test/outside';
import { openDataset } from './open';

/** Batches that Python's pickle wrote (test/datasets/make_files.py). */
const folder = join(projectRoot(), 'test/datasets/files');
const pixels = Array.from({ length: 3 * 3072 }, (_, i) => i % 251);

for (const protocol of [2, 4]) {
  test(`a batch of protocol ${protocol}`, async (t) => {
    const root = temporaryFolder(t);
    copyFileSync(join(folder, `batch_protocol_${protocol}.pkl`), join(root, 'test_batch'));
    for (const path of [root, join(root, 'test_batch')]) {
      const dataset = await openDataset(path, 'test');
      assert.equal(dataset.format, 'cifar10');
      assert.deepEqual([...dataset.labels], [3, 8, 0]);
      assert.deepEqual([...dataset.values], pixels);
    }
  });
}

test('training batches are put together in their order', async (t) => {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'x'));
  for (const name of ['data_batch_1', 'data_batch_2', 'test_batch']) {
    copyFileSync(join(folder, 'batch_protocol_4.pkl'), join(root, 'x', name));
  }
  const dataset = await openDataset(join(root, 'x'), 'train');
  assert.deepEqual([...dataset.labels], [3, 8, 0, 3, 8, 0]);
});

/** As Python 2 wrote the official files: strings of bytes, protocol 2, the names of numpy 1. */
function pythonTwo(labelKey: string): Buffer {
  const short = (text: string): string => `U${String.fromCharCode(text.length)}${text}`;
  const data = Buffer.from(pixels.slice(0, 3072)).toString('latin1');
  const array =
    'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R' +
    '(K\x01K\x01M\0\x0c\x86cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb' +
    `\x89T\0\x0c\0\0${data}tb`;
  return Buffer.from(`\x80\x02}(${short('data')}${array}${short(labelKey)}]K\x63au.`, 'latin1');
}

test('CIFAR-100 as Python 2 wrote it', async (t) => {
  const root = temporaryFolder(t, {
    train: pythonTwo('fine_labels'),
    test: pythonTwo('fine_labels'),
    meta: '',
  });
  const dataset = await openDataset(root, 'train');
  assert.equal(dataset.format, 'cifar100');
  assert.deepEqual([...dataset.labels], [99]);
  assert.deepEqual([...dataset.values], pixels.slice(0, 3072));
});

test('a batch that wants to run something, or is none, is refused', async (t) => {
  const root = temporaryFolder(t, {
    'other/test_batch': pythonTwo('classes'),
    'short/test_batch': readFileSync(join(folder, 'batch_protocol_4.pkl')).subarray(0, 5000),
  });
  const evil = temporaryFolder(t, { test_batch: Buffer.from("\x80\x02cos\nsystem\nS'ls'\n\x85R.", 'latin1') });
  await assert.rejects(
    openDataset(evil, 'test'),
    /^InputError: pickle refused: it wants to call os\.system .*; nothing/,
  );
  await assert.rejects(openDataset(join(root, 'other'), 'test'), /^InputError: not a CIFAR batch: .* no labels/);
  await assert.rejects(openDataset(join(root, 'short'), 'test'), /^InputError: pickle damaged: .* bytes are claimed/);
});
