import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { sharedData, withoutSharedData } from '../../../test/outside';
import { floats, ints, modelBytes, node, type ModelParts } from '../../../test/onnx-models';
import type { CheckpointSummary } from '../../../protocol/analysis';
import { inspectCheckpoint } from './inspect';

async function inspected(t: Parameters<typeof temporaryFolder>[0], parts: ModelParts): Promise<CheckpointSummary> {
  const folder = temporaryFolder(t, { 'm.onnx': modelBytes(parts) });
  return inspectCheckpoint(join(folder, 'm.onnx'));
}

test('what a checkpoint holds is listed, unsupported operators and symbolic shapes included', async (t) => {
  const summary = await inspected(t, {
    inputs: [['x', ['N', 'C', 2]]],
    outputs: [['y', ['N', 3]]],
    nodes: [
      node('NonZero', ['x', 'n'], ['r'], {}, 'up'),
      node('MatMul', ['r', 'w'], ['a']),
      node('NonZero', ['a', 'n'], ['b']),
      node('Mystery', ['b'], ['y'], {}, '', 'com.example'),
    ],
    tensors: [floats('w', [2, 3], [0, 1, -0, NaN, Infinity, 2]), ints('n', [1]), floats('b0', [3], [1, 2, 3])],
  });
  assert.deepEqual(
    { ...summary, checkpoint: '' },
    {
      checkpoint: '',
      format: 'ONNX',
      producer: 'test',
      opset: 17,
      inputs: [{ name: 'x', shape: ['N', 'C', 2] }],
      outputs: [{ name: 'y', shape: ['N', 3] }],
      architecture: null,
      parameters: { total: 9, prunable: 6 },
      layers: [
        {
          name: 'w',
          op: 'MatMul',
          shape: [2, 3],
          dtype: 'float32',
          weights: 6,
          zeros: 2,
          nonFinite: 2,
          constant: false,
        },
      ],
      tensors: [
        { name: 'w', dtype: 'float32', shape: [2, 3] },
        { name: 'n', dtype: 'int64', shape: [1] },
        { name: 'b0', dtype: 'float32', shape: [3] },
      ],
      operators: { MatMul: 1, NonZero: 2, 'com.example.Mystery': 1 },
      unsupported: [
        { op: 'NonZero', node: 'up' },
        { op: 'com.example.Mystery', node: 'node 3' },
      ],
    },
  );
});

test('a damaged graph is listed all the same', async (t) => {
  const summary = await inspected(t, {
    outputs: ['nowhere'],
    nodes: [
      node('MatMul', ['lost', 'w'], ['a']),
      node('Identity', ['c'], ['b']),
      node('Identity', ['b'], ['c']),
      node('MatMul', ['a', 'c'], ['a']),
    ],
    tensors: [floats('w', [1, 1], [1])],
  });
  assert.deepEqual(
    summary.layers.map(({ name }) => name),
    ['w'],
  );
});

test('missing external data are an error that says what to do', async (t) => {
  const w = { ...floats('w', [1, 1], []), dataLocation: 1, externalData: [{ key: 'location', value: 'w.bin' }] };
  const parts = {
    inputs: [['x', [1, 1]]] as const,
    outputs: ['y'],
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    tensors: [w],
  };
  await assert.rejects(
    inspected(t, parts),
    /^InputError: external data missing: w\.bin \(tensor "w", m\.onnx\); copy the data file/,
  );
});

const published: { file: string; opset: number; layers: number; prunable: number; total: number }[] = [
  { file: 'vnncomp/resnet_2b.onnx', opset: 9, layers: 8, prunable: 111808, total: 112006 },
  { file: 'mnist_zoo/model.onnx', opset: 8, layers: 3, prunable: 5960, total: 5994 },
  { file: 'super_resolution.onnx', opset: 1, layers: 4, prunable: 59488, total: 59657 },
  { file: 'burn_fixtures/opset_22.onnx', opset: 22, layers: 2, prunable: 108, total: 315 },
];

for (const { file, opset, layers, prunable, total } of published) {
  test(`${file} is listed`, { skip: withoutSharedData() }, async () => {
    const summary = await inspectCheckpoint(join(sharedData()!, 'checkpoints/onnx', file));
    assert.deepEqual(
      { opset: summary.opset, layers: summary.layers.length, ...summary.parameters },
      { opset, layers, total, prunable },
    );
  });
}
