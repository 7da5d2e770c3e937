import assert from 'node:assert/strict';
import { test } from 'node:test';
import { imported, run } from '../../../../test/onnx-graphs';
import { floats, ints, node, type ModelParts } from '../../../../test/onnx-models';

const x4 = { inputs: [['x', [4]]] as const, outputs: ['y'] };

// Shape arithmetic, as exporters write it.

const known = (parts: ModelParts): number[] => Array.from(imported(parts).constants.get('y')!.values);

test('the shape of the input flows through integer arithmetic', () => {
  // view(x.size(0), -1) of PyTorch: Shape, Gather, Unsqueeze, Concat, Reshape.
  const graph = imported(
    {
      inputs: [['x', ['N', 3, 4]]],
      outputs: ['y'],
      nodes: [
        node('Shape', ['x'], ['s']),
        node('Gather', ['s', 'zero'], ['n'], { axis: 0 }),
        node('Unsqueeze', ['n', 'first'], ['n1']),
        node('Concat', ['n1', 'rest'], ['target'], { axis: 0 }),
        node('Reshape', ['x', 'target'], ['y']),
      ],
      tensors: [ints('zero', 0), ints('first', [0]), ints('rest', [-1])],
    },
    { batch: 5 },
  );
  assert.deepEqual(graph.outputs.get('y')!.shape, [5, 12]);
});

const integers: { title: string; nodes: ModelParts['nodes']; tensors: ModelParts['tensors']; values: number[] }[] = [
  {
    title: 'division truncates',
    nodes: [node('Div', ['a', 'b'], ['y'])],
    tensors: [ints('a', [7, -7]), ints('b', [2, 2])],
    values: [3, -3],
  },
  {
    title: 'the remainder has the sign of the divisor',
    nodes: [node('Mod', ['a', 'b'], ['y'])],
    tensors: [ints('a', [7, -7]), ints('b', [3, 3])],
    values: [1, 2],
  },
  {
    title: 'a float detour: floor of half',
    nodes: [
      node('Cast', ['a'], ['f'], { to: 1 }),
      node('Mul', ['f', 'half'], ['h']),
      node('Floor', ['h'], ['d']),
      node('Cast', ['d'], ['y'], { to: 7 }),
    ],
    tensors: [ints('a', [7]), floats('half', [], [0.5])],
    values: [3],
  },
  {
    title: 'a selection: -1 where equal, else ones',
    nodes: [
      node('ConstantOfShape', ['n'], ['ones'], { value: { tensor: ints('', [1]) } }),
      node('Equal', ['a', 'minus'], ['mask']),
      node('Where', ['mask', 'ones', 'a'], ['y']),
    ],
    tensors: [ints('a', [2, -1, 3]), ints('minus', -1), ints('n', [3])],
    values: [2, 1, 3],
  },
  {
    title: 'a slice from the end with a negative step',
    nodes: [node('Slice', ['a', 's', 'e', 'axes', 'step'], ['y'])],
    tensors: [
      ints('a', [1, 2, 3, 4, 5]),
      ints('s', [-1]),
      ints('e', [-(2 ** 62)]),
      ints('axes', [0]),
      ints('step', [-2]),
    ],
    values: [5, 3, 1],
  },
  {
    title: 'a slice to INT64_MAX',
    nodes: [node('Slice', ['a', 's', 'e'], ['y'])],
    tensors: [ints('a', [1, 2, 3]), ints('s', [1]), ints('e', [2 ** 62])],
    values: [2, 3],
  },
  {
    title: 'a range',
    nodes: [node('Range', ['s', 'e', 'd'], ['y'])],
    tensors: [ints('s', 2), ints('e', 9), ints('d', 3)],
    values: [2, 5, 8],
  },
  {
    title: 'pads reversed by reshape, slice and transpose (PyTorch)',
    nodes: [
      node('Reshape', ['a', 'pairs'], ['p']),
      node('Slice', ['p', 's', 'e', 'axes', 's'], ['r']),
      node('Transpose', ['r'], ['t'], { perm: [1, 0] }),
      node('Reshape', ['t', 's'], ['y']),
    ],
    tensors: [
      ints('a', [1, 2, 3, 4]),
      ints('pairs', [-1, 2]),
      ints('s', [-1]),
      ints('e', [-(2 ** 62)]),
      ints('axes', [0]),
    ],
    values: [3, 1, 4, 2],
  },
  {
    title: 'a product of sizes',
    nodes: [node('ReduceProd', ['a'], ['y'], { keepdims: 0 })],
    tensors: [ints('a', [2, 3, 4])],
    values: [24],
  },
  {
    title: 'a tiling',
    nodes: [node('Tile', ['a', 'twice'], ['y'])],
    tensors: [ints('a', [1, 2]), ints('twice', [2])],
    values: [1, 2, 1, 2],
  },
  {
    title: 'the smaller last part of an uneven split, expanded',
    nodes: [
      node('Split', ['a'], ['first', 'second', 'third'], { num_outputs: 3 }),
      node('Expand', ['third', 'wide'], ['y']),
    ],
    tensors: [ints('a', [1, 2, 3, 4, 5]), ints('wide', [2, 1])],
    values: [5, 5],
  },
];

for (const { title, nodes, tensors, values } of integers) {
  test(`integers at import: ${title}`, () => {
    assert.deepEqual(known({ nodes, tensors: tensors!, outputs: ['y'], opset: 18 }), values);
  });
}

test('a float weight in shape arithmetic is no parameter', () => {
  const graph = imported({
    ...x4,
    nodes: [node('Cast', ['scale'], ['n'], { to: 7 }), node('Reshape', ['x', 'n'], ['y'])],
    tensors: [floats('scale', [2], [2, 2])],
  });
  assert.deepEqual(graph.outputs.get('y')!.shape, [2, 2]);
  assert.equal(graph.parameters.size, 0);
});

test('a mask may depend on data', () => {
  const parts: ModelParts = {
    ...x4,
    nodes: [
      node('Greater', ['x', 'one'], ['big']),
      node('Not', ['big'], ['small']),
      node('Where', ['small', 'x', 'one'], ['y']),
    ],
    tensors: [floats('one', [], [1])],
  };
  assert.deepEqual(run(parts, [0, 1, 2, 3]), [0, 1, 1, 1]);
});
