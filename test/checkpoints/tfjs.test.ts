import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openModel } from '../../server/src/checkpoint/model';
import { openCheckpoint } from '../../server/src/checkpoint/open';
import { InputError } from '../../server/src/errors';
import { evaluate } from '../reference/interpreter';
import { float32Bytes, temporaryFolder } from '../files';

/** Models of TensorFlow.js, written by hand from the description of the format. */

const layer = (kind: string, config: object): object => ({ class_name: kind, config });
const topology = {
  model_config: layer('Sequential', {
    name: 's',
    layers: [
      layer('Dense', { name: 'one', units: 2, activation: 'relu', batch_input_shape: [null, 3], use_bias: true }),
      layer('Dense', { name: 'two', units: 2, activation: 'softmax', use_bias: false }),
    ],
  }),
};
const entry = (name: string, shape: readonly number[], more: object = {}): object => ({
  name,
  shape,
  dtype: 'float32',
  ...more,
});

const values = float32Bytes([1, 2, 3, 4, 5, 6, 0.5, -100]);
/** 0.5·q − 1 */
const codes = Uint8Array.of(2, 4, 6, 8);
const manifest = (paths: readonly string[], weights: readonly object[]): object => ({ paths, weights });
const weights = [
  entry('one/kernel', [3, 2]),
  entry('one/bias', [2]),
  entry('two/kernel', [2, 2], { quantization: { dtype: 'uint8', scale: 0.5, min: -1 } }),
];
const model = (groups: readonly object[], modelTopology: object = topology): string =>
  JSON.stringify({ format: 'layers-model', generatedBy: 'test', modelTopology, weightsManifest: groups });

test('weights are read across shards, and quantised ones restored', async (t) => {
  const all = Buffer.concat([values, codes]);
  const folder = temporaryFolder(t, {
    'model.json': model([manifest(['a.bin', 'b.bin'], weights)]),
    // Cut in the middle of a number.
    'a.bin': all.subarray(0, 10),
    'b.bin': all.subarray(10),
  });
  const file = await openCheckpoint(join(folder, 'model.json'));
  assert.equal(file.format, 'TensorFlow.js');
  assert.deepEqual([...file.tensors.get('one/kernel')!.read().values], [1, 2, 3, 4, 5, 6]);
  assert.deepEqual([...file.tensors.get('two/kernel')!.read().values], [0, 1, 2, 3]);
  const network = await openModel(join(folder, 'model.json'), { batch: 1 });
  const feeds = new Map<string, ArrayLike<number>>([...network.parameters].map(([key, { value }]) => [key, value]));
  feeds.set(network.input.attributes.name, [1, 1, 1]);
  // relu([9 + 0.5, 12 − 100]) = [9.5, 0]; times [[0, 1], [2, 3]].
  assert.deepEqual([...evaluate([network.logits], feeds)[0]!], [0, 9.5]);
});

test('a graph model: a fused product, and a shape that is computed', async (t) => {
  const attr = { s: (text: string) => ({ s: Buffer.from(text).toString('base64') }) };
  const node = (op: string, name: string, input: readonly string[] = [], attributes: object = {}): object => ({
    op,
    name,
    input,
    attr: attributes,
  });
  const dims = [{ size: '-1' }, { size: '3' }, { size: '1' }];
  const nodes = [
    node('Placeholder', 'x', [], { shape: { shape: { dim: dims } } }),
    ...['w', 'b', 'zero', 'one', 'three'].map((name) => node('Const', name)),
    node('Shape', 'shape', ['x']),
    node('StridedSlice', 'batch', ['shape', 'zero', 'one', 'one'], { shrink_axis_mask: { i: '1' } }),
    node('Pack', 'flat', ['batch', 'three']),
    node('Reshape', 'r', ['x', 'flat']),
    node('_FusedMatMul', 'y', ['r', 'w', 'b'], {
      fused_ops: { list: { s: ['BiasAdd', 'Relu'].map((op) => attr.s(op).s) } },
    }),
  ];
  const constants = [
    entry('w', [3, 2]),
    entry('b', [2]),
    ...[
      ['zero', [1]],
      ['one', [1]],
      ['three', []],
    ].map(([name, shape]) => ({ name, shape, dtype: 'int32' })),
  ];
  const integers = new Uint8Array(Int32Array.of(0, 1, 3).buffer);
  const folder = temporaryFolder(t, {
    'model.json': model([manifest(['a.bin'], constants)], { node: nodes }),
    'a.bin': Buffer.concat([values, integers]),
  });
  const network = await openModel(join(folder, 'model.json'), { batch: 2 });
  assert.deepEqual(network.layers, [{ name: 'w', op: 'MatMul', shape: [3, 2] }]);
  const feeds = new Map<string, ArrayLike<number>>([...network.parameters].map(([key, { value }]) => [key, value]));
  feeds.set('x', [1, 1, 1, 0, 0, 1]);
  assert.deepEqual([...evaluate([network.logits], feeds)[0]!], [9.5, 0, 5.5, 0]);
});

test('what is missing or leads out of the folder is refused', async (t) => {
  const folder = temporaryFolder(t, {
    'in/none.json': model([manifest(['none.bin'], weights)]),
    'in/up.json': model([manifest(['../out.bin'], weights)]),
    'in/link.json': model([manifest(['link.bin'], weights)]),
    'in/short.json': model([manifest(['short.bin'], weights)]),
    'in/huge.json': model([manifest(['short.bin'], [entry('one/kernel', [2 ** 31, 2 ** 20])])]),
    'in/short.bin': values,
    'out.bin': values,
  });
  symlinkSync(join(folder, 'out.bin'), join(folder, 'in/link.bin'));
  const refused: readonly [string, RegExp][] = [
    ['none', /^shard missing: none\.bin/],
    ['up', /shard "\.\.\/out\.bin" is no file beside the model/],
    ['link', /^shard outside its folder: link\.bin/],
    ['short', /weights need 36 bytes and the shards have 32/],
    ['huge', /weights need \d+ bytes and the shards have 32|impossible shape/],
  ];
  for (const [name, message] of refused) {
    await assert.rejects(
      openCheckpoint(join(folder, `in/${name}.json`)),
      (error) => error instanceof InputError && message.test(error.message),
      name,
    );
  }
});
