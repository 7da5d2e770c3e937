import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { temporaryFolder } from '../../../../test/files';
import { projectRoot } from '../../../../test/outside';
import { testRandom } from '../../../../test/reference/cases';
import { readHdf5 } from './hdf5';

/** Sound files are read, whatever the machine and whatever way they are packed. */

const SPINNING = 5;

// First of all tests: the library is loaded once.
test('a slow processor may take its time to load the library', async (t) => {
  const path = join(temporaryFolder(t), 'a.h5');
  copyFileSync(join(projectRoot(), 'test/checkpoints/files/sequential.h5'), path);
  // Processor time of the whole process is counted, so that others who use it make loading look slow.
  const others = Array.from({ length: SPINNING }, () => new Worker('for (;;);', { eval: true }));
  t.after(() => Promise.all(others.map((worker) => worker.terminate())));
  await Promise.all(others.map((worker) => new Promise((resolve) => worker.once('online', resolve))));
  assert.ok((await readHdf5(path)).tensors.size > 0);
});

test('a large dataset in one compressed chunk', async (t) => {
  const path = join(temporaryFolder(t), 'a.h5');
  const h5wasm = await import('h5wasm/node');
  await h5wasm.ready;
  const random = testRandom(1);
  const data = Float32Array.from({ length: 6 << 20 }, () => random() - 0.5);
  const file = new h5wasm.File(path, 'w');
  file.create_dataset({ name: 'w', data, shape: [data.length], chunks: [data.length], compression: 1 });
  file.close();
  const bytes = (await readHdf5(path)).tensors.get('w')!.bytes();
  assert.equal(Buffer.compare(bytes, new Uint8Array(data.buffer)), 0);
});
