import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { formats, openDataset } from './open';

test('the registry names each format once and says what it expects', () => {
  assert.deepEqual(
    formats.map((format) => format.name),
    ['idx', 'cifar', 'cifar-python', 'npz', 'npy', 'csv', 'image-folder'],
  );
  assert.ok(formats.every((format) => format.expects !== ''));
});

test('nothing there', async (t) => {
  const folder = temporaryFolder(t, { 'a.csv': '1,2\n' });
  for (const path of [join(folder, 'absent'), join(folder, 'a.csv', 'below')]) {
    await assert.rejects(openDataset(path, 'test'), {
      name: 'InputError',
      message: `data not found: ${path}; correct the path of the data`,
    });
  }
});

test('not recognised', async (t) => {
  const folder = temporaryFolder(t, {
    'empty/inner/deep.txt': '',
    'odd/a.txt': '',
    'odd/b.jpg': '',
    'cifar-10-batches-py/data_batch_1': '',
    'data.pkl': '',
    'a.jpg': 'JFIF',
  });
  const refused: [string, RegExp][] = [
    ['empty', /^data not recognised: \S+empty holds only the folders inner; name the folder of the data, or store/],
    [
      'empty/inner',
      /^data not recognised: \S+inner holds deep\.txt; wanted is a folder with t10k-images-idx3-ubyte and/,
    ],
    ['odd', /^data not recognised: \S+odd holds a\.txt, b\.jpg; wanted is /],
    ['cifar-10-batches-py', /^split not found: test/],
    ['data.pkl', /^pickled data refused: \S+data\.pkl, as nothing is unpickled; store the arrays with numpy\.savez$/],
    ['a.jpg', /^data not recognised: \S+a\.jpg; wanted is /],
  ];
  for (const [path, message] of refused) {
    await assert.rejects(openDataset(join(folder, path), 'test'), { name: 'InputError', message });
  }
});

test('not readable', { skip: process.platform === 'win32' && 'links need a privilege here' }, async (t) => {
  const path = join(temporaryFolder(t), 'a.csv');
  // Unlike missing permissions, a link to itself stops every user.
  symlinkSync(path, path);
  await assert.rejects(openDataset(path, 'test'), {
    name: 'InputError',
    message: `data not readable: ${path} (ELOOP); check the file and its permissions`,
  });
});
