import assert from 'node:assert/strict';
import { test } from 'node:test';
import Long from 'long';
import { imported, run } from '../../../../../test/onnx-graphs';
import { floats, ints, node, type ModelParts } from '../../../../../test/onnx-models';
import { evaluate } from '../../../../../test/reference/interpreter';
import { vjp } from '../../../autodiff/vjp';

const x4 = { inputs: [['x', [4]]] as const, outputs: ['y'] };

// Forms of operators that ONNX's own tests, of recent opsets, leave out.

const forms: { title: string; parts: ModelParts; x: number[]; values: number[] }[] = [
  {
    title: 'Clip with attributes (opset 6)',
    parts: { ...x4, opset: 8, nodes: [node('Clip', ['x'], ['y'], { min: { float: -1 }, max: { float: 2 } })] },
    x: [-2, -1, 1, 3],
    values: [-1, -1, 1, 2],
  },
  {
    title: 'Slice with attributes (opset 1)',
    parts: { ...x4, opset: 9, nodes: [node('Slice', ['x'], ['y'], { starts: [-3], ends: [100], axes: [0] })] },
    x: [1, 2, 3, 4],
    values: [2, 3, 4],
  },
  {
    title: 'Pad with attributes (opset 2)',
    parts: { ...x4, opset: 10, nodes: [node('Pad', ['x'], ['y'], { pads: [1, -2], value: { float: 9 } })] },
    x: [1, 2, 3, 4],
    values: [9, 1, 2],
  },
  {
    title: 'SpaceToDepth that keeps channels together (opset 28)',
    parts: {
      inputs: [['x', [1, 2, 2, 2]]],
      outputs: ['y'],
      opset: 28,
      nodes: [node('SpaceToDepth', ['x'], ['y'], { blocksize: 2, mode: 'CRD' })],
    },
    x: [0, 1, 2, 3, 4, 5, 6, 7],
    values: [0, 1, 2, 3, 4, 5, 6, 7],
  },
  {
    title: 'SpaceToDepth that keeps places together',
    parts: {
      inputs: [['x', [1, 2, 2, 2]]],
      outputs: ['y'],
      opset: 13,
      nodes: [node('SpaceToDepth', ['x'], ['y'], { blocksize: 2 })],
    },
    x: [0, 1, 2, 3, 4, 5, 6, 7],
    values: [0, 4, 1, 5, 2, 6, 3, 7],
  },
  {
    title: 'Squeeze and Unsqueeze with attributes (opset 1)',
    parts: {
      ...x4,
      opset: 12,
      nodes: [node('Unsqueeze', ['x'], ['a'], { axes: [0, 2] }), node('Squeeze', ['a'], ['y'], { axes: [0] })],
    },
    x: [1, 2, 3, 4],
    values: [1, 2, 3, 4],
  },
  {
    title: 'Split with attributes (opset 2)',
    parts: {
      ...x4,
      opset: 11,
      nodes: [node('Split', ['x'], ['a', 'y'], { split: [3, 1] }), node('Relu', ['a'], ['z'])],
    },
    x: [1, 2, 3, 4],
    values: [4],
  },
  {
    title: 'Softmax over all axes from the first (opset 1)',
    parts: {
      inputs: [['x', [1, 2, 2]]],
      outputs: ['y'],
      opset: 11,
      nodes: [node('Softmax', ['x'], ['y'])],
    },
    x: [0, Math.log(2), Math.log(3), Math.log(4)],
    values: [0.1, 0.2, 0.3, 0.4],
  },
  {
    title: 'Dropout with a ratio (opset 7)',
    parts: { ...x4, opset: 9, nodes: [node('Dropout', ['x'], ['y'], { ratio: { float: 0.5 } })] },
    x: [1, 2, 3, 4],
    values: [1, 2, 3, 4],
  },
  {
    title: 'Reshape with a shape attribute (opset 1)',
    parts: { ...x4, opset: 4, nodes: [node('Reshape', ['x'], ['y'], { shape: [2, -1] })] },
    x: [1, 2, 3, 4],
    values: [1, 2, 3, 4],
  },
  {
    title: 'ConvTranspose with more output padding than padding',
    parts: {
      inputs: [['x', [1, 1, 2]]],
      outputs: ['y'],
      nodes: [node('ConvTranspose', ['x', 'w'], ['y'], { strides: [3], output_padding: [2], pads: [1, 0] })],
      tensors: [floats('w', [1, 1, 2], [1, 10])],
    },
    // Whole: 1 10 0 2 20; cut one in front, two zeros behind.
    x: [1, 2],
    values: [10, 0, 2, 20, 0, 0],
  },
  {
    title: 'ConvTranspose whose output padding takes back padding',
    parts: {
      inputs: [['x', [1, 1, 2]]],
      outputs: ['y'],
      nodes: [node('ConvTranspose', ['x', 'w'], ['y'], { strides: [2], output_padding: [1], pads: [1, 1] })],
      tensors: [floats('w', [1, 1, 3], [1, 10, 100])],
    },
    // Whole: 1 10 102 20 200; cut one in front and none behind.
    x: [1, 2],
    values: [10, 102, 20, 200],
  },
  {
    title: 'MatMul of two vectors, in a matrix chain',
    parts: {
      ...x4,
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      tensors: [floats('w', [4], [1, 10, 100, 1000])],
    },
    x: [1, 2, 3, 4],
    values: [4321],
  },
  {
    title: 'Upsample with attributes (opset 7)',
    parts: {
      inputs: [['x', [1, 1, 2, 2]]],
      outputs: ['y'],
      opset: 8,
      nodes: [node('Upsample', ['x'], ['y'], { mode: 'nearest', scales: { floats: [1, 1, 1, 2] } })],
    },
    x: [1, 2, 3, 4],
    values: [1, 1, 2, 2, 3, 3, 4, 4],
  },
  {
    title: 'Upsample, linear (opset 9)',
    parts: {
      inputs: [['x', [1, 1, 4]]],
      outputs: ['y'],
      opset: 9,
      nodes: [node('Upsample', ['x', 's'], ['y'], { mode: 'linear' })],
      tensors: [floats('s', [3], [1, 1, 2])],
    },
    x: [1, 2, 3, 4],
    values: [1, 1.5, 2, 2.5, 3, 3.5, 4, 4],
  },
  {
    title: 'Resize, rounded down (opset 10)',
    parts: {
      inputs: [['x', [4]]],
      outputs: ['y'],
      opset: 10,
      nodes: [node('Resize', ['x', 's'], ['y'])],
      tensors: [floats('s', [1], [0.75])],
    },
    x: [1, 2, 3, 4],
    values: [1, 2, 3],
  },
  {
    title: 'Resize of the first axis of three, as PyTorch places pixels',
    parts: {
      inputs: [['x', [2, 1, 2]]],
      outputs: ['y'],
      nodes: [
        node('Resize', ['x', '', '', 'n'], ['y'], {
          mode: 'linear',
          coordinate_transformation_mode: 'pytorch_half_pixel',
        }),
      ],
      tensors: [ints('n', [4, 1, 2])],
    },
    x: [0, 10, 4, 14],
    values: [0, 10, 1, 11, 3, 13, 4, 14],
  },
  {
    title: 'Resize of a part that lies outside of the input, to its own size',
    parts: {
      ...x4,
      nodes: [
        node('Resize', ['x', 'roi', '', 'n'], ['y'], {
          mode: 'linear',
          coordinate_transformation_mode: 'tf_crop_and_resize',
          extrapolation_value: { float: 7 },
        }),
      ],
      tensors: [floats('roi', [2], [2, 3]), ints('n', [4])],
    },
    x: [1, 2, 3, 4],
    values: [7, 7, 7, 7],
  },
  {
    title: 'a Softplus of large numbers',
    parts: { ...x4, nodes: [node('Softplus', ['x'], ['y'])] },
    x: [-200, 0, 200, 1000],
    values: [0, Math.log(2), 200, 1000],
  },
];

for (const { title, parts, x, values } of forms) {
  test(`values: ${title}`, () => {
    const got = run(parts, x);
    assert.equal(got.length, values.length);
    got.forEach((value, i) =>
      assert.ok(Math.abs(value - values[i]!) < 1e-6, `${value} where ${values[i]} is expected`),
    );
  });
}

/** Derivatives at and beside the kinks; at a kink the left one, at Softplus's 0 the true one. */
const kinks: { op: string; attributes?: Record<string, { float: number }>; x: number[]; slope: number[] }[] = [
  { op: 'Relu', x: [-1, 0, 1], slope: [0, 0, 1] },
  { op: 'LeakyRelu', attributes: { alpha: { float: 0.25 } }, x: [-1, 0, 1], slope: [0.25, 0.25, 1] },
  { op: 'Elu', x: [-100, 0, 100], slope: [0, 1, 1] },
  { op: 'Softplus', x: [-100, 0, 100], slope: [0, 0.5, 1] },
  { op: 'HardSigmoid', x: [-3, 0, 3], slope: [0, Math.fround(0.2), 0] },
  { op: 'Selu', x: [-100, 0, 100], slope: [0, 1.0507009873554805 * 1.6732632423543772, 1.0507009873554805] },
];

for (const { op, attributes, x, slope } of kinks) {
  test(`the derivative of ${op} is finite and as agreed at kinks`, () => {
    const graph = imported({ inputs: [['x', [3]]], outputs: ['y'], nodes: [node(op, ['x'], ['y'], attributes)] });
    const b = graph.builder;
    const [gradient] = vjp(
      b,
      [...graph.outputs.values()],
      [b.constant(new Float32Array(3).fill(1), [3])],
      [...graph.inputs.values()],
    );
    const [got] = evaluate([gradient!], new Map([['x', x]]));
    Array.from(got!).forEach((value, i) => assert.ok(Math.abs(value - slope[i]!) < 1e-6, `${op} at ${x[i]}: ${value}`));
  });
}

test('a clip to [0, 6] has derivative 0 at its ends', () => {
  const graph = imported({
    inputs: [['x', [5]]],
    outputs: ['y'],
    nodes: [node('Clip', ['x', 'low', 'high'], ['y'])],
    tensors: [floats('low', [], [0]), floats('high', [], [6])],
  });
  const b = graph.builder;
  const [gradient] = vjp(
    b,
    [...graph.outputs.values()],
    [b.constant(new Float32Array(5).fill(1), [5])],
    [...graph.inputs.values()],
  );
  assert.deepEqual(Array.from(evaluate([gradient!], new Map([['x', [-1, 0, 3, 6, 7]]]))[0]!), [0, 0, 1, 0, 0]);
});

test('sizes that hold the batch size of the export are those of any batch', () => {
  const parts: ModelParts = {
    inputs: [['x', [1, 1, 2]]],
    outputs: ['y'],
    nodes: [node('Resize', ['x', '', '', 'n'], ['y'])],
    tensors: [ints('n', [1, 1, 4])],
  };
  const graph = imported(parts, { shapes: new Map([['x', [3, 1, 2]]]), rebatch: { from: 1, to: 3 } });
  assert.deepEqual(graph.outputs.get('y')!.shape, [3, 1, 4]);
});

const large: [string, number[]][] = [
  ['an axis', [2 ** 30]],
  ['a negative size', [-4]],
  ['a size too many', [4, 4]],
];
for (const [what, sizes] of large) {
  test(`refused: a Resize to ${what}`, () => {
    const nodes = [node('Resize', ['x', '', '', 'n'], ['y'])];
    assert.throws(() => imported({ ...x4, nodes, tensors: [ints('n', sizes)] }), /^InputError: Resize: /);
  });
}

const BILLIONS = 2 ** 31 - 1;
const image = { inputs: [['x', [1, 2, 4, 4]]] as const, outputs: ['y'] };
const window = { kernel_shape: [BILLIONS, 1], auto_pad: 'SAME_UPPER' };
const claims: [string, ModelParts][] = [
  ['a kernel of MaxPool', { ...image, nodes: [node('MaxPool', ['x'], ['y'], window)] }],
  ['a kernel of AveragePool', { ...image, nodes: [node('AveragePool', ['x'], ['y'], window)] }],
  ['a window of LRN', { ...image, nodes: [node('LRN', ['x'], ['y'], { size: BILLIONS })] }],
  [
    'the pads of Pad',
    {
      ...x4,
      opset: 10,
      nodes: [node('Pad', ['x'], ['y'], { mode: 'edge', pads: [0, BILLIONS] })],
    },
  ],
  ['the parts of Split', { ...x4, opset: 18, nodes: [node('Split', ['x'], ['y'], { num_outputs: BILLIONS })] }],
];
for (const [what, parts] of claims) {
  test(`refused, and no table made: ${what} of billions`, () => {
    assert.throws(
      () => imported(parts),
      /^InputError: \w+: [a-z_ ]+ of \d{10} .*; export the network for smaller inputs$/,
    );
  });
}

test('attention is the softmax of scaled products, and nothing where nothing may be looked at', () => {
  const shape = [1, 1, 2, 2];
  const tensors = [
    floats('q', shape, [1, 2, 3, 4]),
    floats('k', shape, [0.5, -1, 2, 1]),
    floats('v', shape, [1, 10, 100, 1000]),
    { name: 'm', dims: [2, 2].map((n) => Long.fromNumber(n)), dataType: 9, int32Data: [1, 1, 0, 0] },
  ];
  const nodes = [node('Attention', ['q', 'k', 'v', 'm'], ['y'])];
  const scores = [0.5 - 2, 2 + 2].map((product) => Math.exp(product / Math.sqrt(2)));
  const share = scores[1]! / (scores[0]! + scores[1]!);
  const expected = [1 + 99 * share, 10 + 990 * share, 0, 0];
  run({ outputs: ['y'], opset: 23, nodes, tensors }).forEach((value, i) =>
    assert.ok(Math.abs(value - expected[i]!) < 1e-4, `${value} where ${expected[i]} is expected`),
  );
});
