import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openModel } from '../../server/src/checkpoint/model';
import { modelWeights } from '../../server/src/checkpoint/model-weights';
import { openCheckpoint } from '../../server/src/checkpoint/open';
import type { WeightsFile } from '../../server/src/checkpoint/checkpoint';
import { projectRoot } from '../outside';

/** Files that PyTorch itself wrote (pytorch_files.py), read back bit for bit. */

const folder = join(projectRoot(), 'test/checkpoints/files');
const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Record<
  string,
  Record<string, readonly [dtype: string, shape: readonly number[], sha256: string]>
>;

const open = async (name: string): Promise<WeightsFile> => {
  const file = await openCheckpoint(join(folder, name));
  assert.ok(file.kind === 'weights');
  return file;
};

for (const [name, tensors] of Object.entries(expected)) {
  test(`PyTorch's tensors are read bit for bit: ${name}`, async () => {
    const file = await open(name);
    const found = [...file.tensors].map(([key, tensor]) => [
      key,
      [tensor.dtype, [...tensor.shape], createHash('sha256').update(tensor.bytes()).digest('hex')],
    ]);
    assert.deepEqual(Object.fromEntries(found), tensors);
  });
}

test('values are what the bytes mean', async () => {
  const { tensors } = await open('views.pt');
  assert.deepEqual([...tensors.get('transposed')!.read().values].slice(0, 5), [0, 6, 12, 18, 1]);
  assert.deepEqual([...tensors.get('expanded')!.read().values], [1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
  assert.deepEqual([...tensors.get('scalar')!.read().values], [3.5]);
  const half = (await open('dtypes.pt')).tensors.get('float16')!;
  const single = (await open('dtypes.pt')).tensors.get('float32')!;
  assert.equal(half.read().type, 'float16');
  assert.equal(single.read().values.length, 6);
});

const NAMES = ['conv', 'norm', 'fc'];
for (const name of ['wrapped.pt', 'wrapped_legacy.pt', 'list.pt', 'parallel.pt', 'compiled.pt', 'script.pt']) {
  test(`the network's own tensors are found under their own names: ${name}`, async () => {
    const heads = new Set([...modelWeights(await open(name)).keys()].map((key) => key.split('.', 1)[0]!));
    assert.deepEqual([...heads], NAMES);
  });
}

const refused: readonly [string, RegExp][] = [
  ['quantised.pt', /^InputError: tensor not supported: quantised \(torch\._utils\._rebuild_qtensor\)/],
  ['sparse.pt', /^InputError: tensor not supported: sparse/],
];
for (const [name, message] of refused) {
  test(`refused by name: ${name}`, async () => {
    await assert.rejects(openCheckpoint(join(folder, name)), message);
  });
}

test('weights of an unknown network say what comes closest and how to export it', async () => {
  await assert.rejects(
    openModel(join(folder, 'parallel.pt'), { batch: 1 }),
    /^InputError: no architecture fits: closest is .*, but .*; export the network with torch\.onnx\.export\(.*\(parallel\.pt\)$/,
  );
});
