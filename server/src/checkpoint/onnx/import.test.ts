import assert from 'node:assert/strict';
import { test } from 'node:test';
import { imported, run } from '../../../../test/onnx-graphs';
import { floats, ints, modelBytes, node, ramp, type ModelParts } from '../../../../test/onnx-models';
import { InputError } from '../../errors';
import { onnx } from './generated/onnx';
import { importGraph } from './import';
import { decodeModel } from './reader';

const types = onnx.TensorProto.DataType;

const x4 = { inputs: [['x', [4]]] as const, outputs: ['y'] };

const refusals: { title: string; parts: ModelParts; message: RegExp }[] = [
  {
    title: 'an operator without a rule',
    parts: { ...x4, nodes: [node('Relu', ['x'], ['a']), node('Foo', ['a'], ['y'], {}, 'foo/1')] },
    message: /^unknown op: Foo \(node 1 "foo\/1", m\.onnx\); it has no derivative here; export/,
  },
  {
    title: 'an operator of another domain',
    parts: { ...x4, nodes: [node('Relu', ['x'], ['y'], {}, '', 'com.microsoft')] },
    message: /^unknown op: com\.microsoft\.Relu \(node 0, m\.onnx\)/,
  },
  {
    title: 'a branch that the data decide',
    parts: { ...x4, nodes: [node('If', ['x'], ['y'], { then_branch: { graph: {} } })] },
    message: /^If: condition depends on data \(node 0, m\.onnx\); export the network without branches/,
  },
  {
    title: 'an operator with too few inputs',
    parts: { ...x4, nodes: [node('Add', ['x'], ['y'])] },
    message: /^Add: input 1 missing \(node 0, m\.onnx\); the file is damaged/,
  },
  {
    title: 'a sum of nothing',
    parts: { ...x4, nodes: [node('Sum', [], ['y'])] },
    message: /^Sum: input 0 missing/,
  },
  {
    title: 'a tensor from nowhere',
    parts: { ...x4, nodes: [node('Add', ['x', 'lost'], ['y'])] },
    message: /^unknown tensor: "lost", input 1 of Add \(node 0, m\.onnx\); the file is damaged/,
  },
  {
    title: 'an output from nowhere',
    parts: { ...x4, outputs: ['z'], nodes: [node('Relu', ['x'], ['y'])] },
    message: /^output without a node: "z" \(m\.onnx\)/,
  },
  {
    title: 'a tensor made twice',
    parts: { ...x4, nodes: [node('Relu', ['x'], ['y']), node('Neg', ['x'], ['y'])] },
    message: /^duplicate tensor: "y" \(node 1, m\.onnx\)/,
  },
  {
    title: 'a circle',
    parts: { ...x4, nodes: [node('Add', ['x', 'b'], ['a']), node('Relu', ['a'], ['b']), node('Neg', ['b'], ['y'])] },
    message: /^circular graph: (Add and Relu|Relu and Add) need each other/,
  },
  {
    title: 'shapes that do not fit',
    parts: { ...x4, nodes: [node('Add', ['x', 'w'], ['y'], {}, 'sum')], tensors: [ramp('w', [3])] },
    message: /^Add: shapes \[4\] and \[3\] do not broadcast \(node 0 "sum", m\.onnx\); the graph does not fit/,
  },
  {
    title: 'an old opset',
    parts: { ...x4, nodes: [node('Pow', ['x', 'x'], ['y'])], opset: 6 },
    message: /^opset not supported: 6 with operator Pow \(node 0, m\.onnx\); convert the model to opset 13/,
  },
  {
    title: 'the broadcasting of an old opset',
    parts: { ...x4, nodes: [node('Add', ['x', 'x'], ['y'], { broadcast: 1 })], opset: 6 },
    message: /^Add: broadcasting of opset 6 and earlier \(node 0, m\.onnx\)/,
  },
  {
    title: 'an opset of the future',
    parts: { ...x4, nodes: [node('Relu', ['x'], ['y'])], opset: 99 },
    message: /^opset not supported: 99 \(m\.onnx\); export the network with opset 28 or earlier/,
  },
  {
    title: 'attention to a window',
    parts: {
      inputs: [['x', [1, 1, 4, 2]]],
      outputs: ['y'],
      opset: 28,
      nodes: [node('Attention', ['x', 'x', 'x'], ['y'], { left_window_size: 2 })],
    },
    message: /^Attention: local window not supported \(node 0, m\.onnx\)/,
  },
  {
    title: 'attention with a cap and a mask, which releases of ONNX define differently',
    parts: {
      inputs: [
        ['x', [1, 1, 4, 2]],
        ['mask', [4, 4]],
      ],
      outputs: ['y'],
      opset: 24,
      nodes: [node('Attention', ['x', 'x', 'x', 'mask'], ['y'], { softcap: { float: 2 } })],
    },
    message:
      /^Attention: softcap with a mask not supported: releases of ONNX define it differently \(node 0, m\.onnx\)/,
  },
  {
    title: 'an integer input',
    parts: { inputs: [['x', [4], types.INT64]], outputs: ['y'], nodes: [node('Neg', ['x'], ['y'])] },
    message: /^input type not supported: int64 \(input "x", m\.onnx\)/,
  },
  {
    title: 'a symbolic shape',
    parts: { inputs: [['x', ['N', 'width']]], outputs: ['y'], nodes: [node('Neg', ['x'], ['y'])] },
    message: /^input shape not fixed: \[N, width\] \(input "x", m\.onnx\); export/,
  },
  {
    title: 'integers that depend on data',
    parts: { ...x4, nodes: [node('Cast', ['x'], ['y'], { to: 7 })] },
    message: /^Cast: conversion to int64 depends on data \(node 0, m\.onnx\)/,
  },
  {
    title: 'a shape that depends on data',
    parts: { ...x4, nodes: [node('Expand', ['x', 'x'], ['y'])] },
    message: /^Expand: input 1 depends on data \(node 0, m\.onnx\)/,
  },
  {
    title: 'batch normalisation in training',
    parts: {
      inputs: [['x', [1, 2, 3]]],
      outputs: ['y'],
      nodes: [node('BatchNormalization', ['x', 's', 's', 's', 's'], ['y'], { training_mode: 1 })],
      tensors: [ramp('s', [2])],
    },
    message:
      /^BatchNormalization: training mode not supported \(node 0, m\.onnx\); export the network in evaluation mode/,
  },
  {
    title: 'indices of a max-pool',
    parts: {
      inputs: [['x', [1, 1, 4]]],
      outputs: ['y', 'i'],
      nodes: [node('MaxPool', ['x'], ['y', 'i'], { kernel_shape: [2] })],
    },
    message: /^MaxPool: output Indices not supported/,
  },
  {
    title: 'an attribute of the wrong kind',
    parts: { ...x4, nodes: [node('Softmax', ['x'], ['y'], { axis: 'last' })] },
    message: /^Softmax: attribute axis is of kind string, not int/,
  },
  {
    title: 'an axis that is none',
    parts: { ...x4, nodes: [node('Softmax', ['x'], ['y'], { axis: 5 })] },
    message: /^Softmax: axis 5 of a tensor of rank 1/,
  },
  {
    title: 'padding without end',
    parts: {
      ...x4,
      nodes: [node('Pad', ['x', 'p', 'v'], ['y'])],
      tensors: [ints('p', [0, 2 ** 50]), floats('v', [], [1])],
    },
    message: /^Pad: .*\(node 0, m\.onnx\); the file is damaged/,
  },
];

for (const { title, parts, message } of refusals) {
  test(`a graph is refused: ${title}`, () => {
    assert.throws(
      () => imported(parts),
      (error) => error instanceof InputError && message.test(error.message),
    );
  });
}

test('what the outputs do not need is not looked at', () => {
  assert.deepEqual(
    run({ ...x4, nodes: [node('Foo', ['x'], ['z']), node('Neg', ['x'], ['y'])] }, [1, 2, 3, 4]),
    [-1, -2, -3, -4],
  );
});

test('nodes may stand in any order', () => {
  assert.deepEqual(
    run({ ...x4, nodes: [node('Neg', ['a'], ['y']), node('Relu', ['x'], ['a'])] }, [-1, 0, 1, 2]),
    [-0, -0, -1, -2],
  );
});

test('only parameters that reach an output are kept, under their names', () => {
  const graph = imported({
    ...x4,
    nodes: [node('Mul', ['x', 'scale'], ['y']), node('Mul', ['x', 'unused'], ['z'])],
    tensors: [ramp('scale', [4]), ramp('unused', [4])],
  });
  assert.deepEqual([...graph.parameters.keys()], ['scale']);
  assert.deepEqual(graph.parameters.get('scale')!.shape, [4]);
});

test('a half-precision weight is a float32 parameter', () => {
  const w: onnx.ITensorProto = { name: 'w', dims: ramp('', [1]).dims!, dataType: types.FLOAT16, int32Data: [0x3555] };
  const graph = imported({ ...x4, nodes: [node('Mul', ['x', 'w'], ['y'])], tensors: [w] });
  assert.deepEqual(Array.from(graph.parameters.get('w')!.value), [0.333251953125]);
});

test('a damaged model is an InputError or another model, never a crash', () => {
  const bytes = modelBytes({
    inputs: [['x', [1, 1, 4, 4]]],
    outputs: ['y'],
    nodes: [
      node('Conv', ['x', 'w'], ['a'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
      node('MaxPool', ['a'], ['b'], { kernel_shape: [2, 2], strides: [2, 2] }),
      node('Reshape', ['b', 's'], ['c']),
      node('Gemm', ['c', 'f'], ['y'], { transB: 1 }),
    ],
    tensors: [ramp('w', [2, 1, 3, 3]), ints('s', [1, -1]), ramp('f', [3, 8])],
  });
  let state = 1;
  const random = (below: number): number => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
  for (let round = 0; round < 3000; round++) {
    const damaged = bytes.slice();
    for (let i = 0; i <= random(3); i++) damaged[random(damaged.length)] = random(256);
    try {
      importGraph(decodeModel(damaged, 'm.onnx'), { batch: 2 });
    } catch (error) {
      assert.ok(error instanceof InputError, `round ${round}: ${(error as Error).stack}`);
    }
  }
});
