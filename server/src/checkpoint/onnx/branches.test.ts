import assert from 'node:assert/strict';
import { test } from 'node:test';
import Long from 'long';
import { imported, run } from '../../../../test/onnx-graphs';
import { floats, ints, modelBytes, node, onnxFile, type ModelParts } from '../../../../test/onnx-models';
import { InputError } from '../../errors';
import type { onnx } from './generated/onnx';
import { storedLayers } from './layers';
import { decodeModel } from './reader';
import { writableLayers } from './writable';

/** Branches whose condition is known, and model-local functions. */

const x4 = { inputs: [['x', [4]]] as const, outputs: ['y'] };
const graph = (
  nodes: onnx.INodeProto[],
  outputs: string[],
  initializer: onnx.ITensorProto[] = [],
): { graph: onnx.IGraphProto } => ({
  graph: { name: 'g', node: nodes, output: outputs.map((name) => ({ name })), initializer },
});
const bool = (name: string, value: number): onnx.ITensorProto => ({ name, dataType: 9, int32Data: [value] });

const doubled = graph([node('Add', ['x', 'x'], ['t'])], ['t']);
const negated = graph([node('Neg', ['x'], ['e'])], ['e']);
const branches = { then_branch: doubled, else_branch: negated };

test('the branch of a constant condition is taken', () => {
  for (const [value, expected] of [
    [1, [2, 4, 6, 8]],
    [0, [-1, -2, -3, -4]],
  ] as const) {
    const parts = { ...x4, nodes: [node('If', ['c'], ['y'], branches)], tensors: [bool('c', value)] };
    assert.deepEqual(run(parts, [1, 2, 3, 4]), expected);
  }
});

test('a condition that a shape decides, as exporters write it', () => {
  const nodes = [
    node('Shape', ['x'], ['s']),
    node('Gather', ['s', 'zero'], ['n'], { axis: 0 }),
    node('Equal', ['n', 'one'], ['c']),
    node('If', ['c'], ['y'], { then_branch: doubled, else_branch: negated }),
  ];
  const parts = { ...x4, nodes, tensors: [ints('zero', 0), ints('one', 1)] };
  assert.deepEqual(run(parts, [1, 2, 3, 4]), [-1, -2, -3, -4]);
});

test('the branch that is not taken may hold anything', () => {
  const strange = graph([node('Foo', ['x', 'lost'], ['t'])], ['t']);
  const nodes = [node('If', ['c'], ['y'], { then_branch: strange, else_branch: negated })];
  assert.deepEqual(run({ ...x4, nodes, tensors: [bool('c', 0)] }, [1, 2, 3, 4]), [-1, -2, -3, -4]);
});

test('branches in branches, with values and weights from all around', () => {
  const inner = graph(
    [node('MatMul', ['a', 'v'], ['m']), node('Add', ['m', 'late'], ['i'])],
    ['i'],
    [floats('v', [4, 2], [1, 0, 0, 1, 0, 0, 0, 0])],
  );
  const outer = graph(
    [node('Mul', ['x', 'w'], ['a']), node('If', ['c'], ['o'], { then_branch: inner, else_branch: inner })],
    ['o'],
  );
  const nodes = [
    // Needed by the inner branch alone.
    node('ReduceSum', ['x'], ['sum'], { keepdims: 0 }),
    node('Mul', ['sum', 'w'], ['by']),
    node('Gather', ['by', 'last'], ['some'], { axis: 0 }),
    node('Neg', ['some'], ['late']),
    node('If', ['c'], ['h'], { then_branch: outer, else_branch: outer }),
    node('MatMul', ['h', 'u'], ['y']),
  ];
  const parts = {
    ...x4,
    nodes,
    tensors: [bool('c', 1), ints('last', 3), floats('w', [4], [10, 100, 1, 1]), floats('u', [2, 1], [1, 1])],
  };
  // a = [10, 200, 3, 4]; m = [10, 200]; late = −10.
  assert.deepEqual(run(parts, [1, 2, 3, 4]), [10 - 10 + 200 - 10]);
  const { parameters, layers } = imported(parts);
  assert.deepEqual([...parameters.keys()].sort(), ['u', 'v', 'w']);
  assert.deepEqual(
    layers.map(({ name, op }) => [name, op]),
    [
      ['u', 'MatMul'],
      ['v', 'MatMul'],
    ],
  );
});

test('weights of one name in two branches are two weights', () => {
  const product = (weights: onnx.ITensorProto[], more: onnx.INodeProto[] = []): { graph: onnx.IGraphProto } =>
    graph([...more, node('MatMul', ['x', 'w'], ['t'])], ['t'], weights);
  const diagonal = (by: number): number[] => Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? by : 0));
  const stored = (by: number): { graph: onnx.IGraphProto } => product([floats('w', [4, 4], diagonal(by))]);
  const constant = product([], [node('Constant', [], ['w'], { value: { tensor: floats('', [4, 4], diagonal(5)) } })]);
  const nodes = [stored(2), stored(3), constant].map((branch, i) =>
    node('If', ['c'], [`h${i}`], { then_branch: branch, else_branch: stored(7) }),
  );
  nodes.push(node('MatMul', ['x', 'w (2)'], ['h3']), node('Sum', ['h0', 'h1', 'h2', 'h3'], ['y']));
  const parts = { ...x4, nodes, tensors: [bool('c', 1), floats('w (2)', [4, 4], diagonal(100))] };
  assert.deepEqual(run(parts, [1, 2, 3, 4]), [110, 220, 330, 440]);
  const { layers, parameters } = imported(parts);
  assert.deepEqual(layers.map(({ name }) => name).sort(), ['w', 'w (2)', 'w (3)', 'w (4)']);
  assert.deepEqual(
    ['w', 'w (2)', 'w (3)', 'w (4)'].map((name) => parameters.get(name)!.value[0]),
    [2, 100, 3, 5],
  );
});

test('layers of branches are listed, and those that only branches need', () => {
  const product = (w: string, more: onnx.ITensorProto[] = []): { graph: onnx.IGraphProto } =>
    graph([node('Identity', [w], ['i']), node('MatMul', ['h', 'i'], ['t'])], ['t'], more);
  const nodes = [
    node('MatMul', ['x', 'first'], ['h']),
    node('If', ['c'], ['y'], {
      then_branch: product('second'),
      else_branch: product('third', [floats('third', [4, 1], [1, 1, 1, 1])]),
    }),
  ];
  const first = floats('first', [4, 4], new Array<number>(16).fill(1));
  const parts = { ...x4, nodes, tensors: [bool('c', 1), first, floats('second', [4, 1], [1, 1, 1, 1])] };
  const layers = storedLayers(onnxFile(parts));
  assert.deepEqual(
    layers.map(({ name, shape }) => [name, shape]),
    [
      ['first', [4, 4]],
      ['second', [4, 1]],
      ['third', [4, 1]],
    ],
  );
  assert.deepEqual(
    writableLayers(onnxFile(parts)).map(({ name }) => name),
    ['first', 'second'],
  );
});

test('a branch that needs what is nowhere is refused', () => {
  const lost = graph([node('Add', ['x', 'lost'], ['t'])], ['t']);
  const nodes = [node('If', ['c'], ['y'], { then_branch: lost, else_branch: lost })];
  assert.throws(
    () => run({ ...x4, nodes, tensors: [bool('c', 1)] }, [1, 2, 3, 4]),
    (error) => error instanceof InputError && /^unknown tensor: a branch needs "lost"/.test(error.message),
  );
});

test('a branch that needs its own result is refused', () => {
  const circle = graph([node('Add', ['x', 'later'], ['t'])], ['t']);
  const nodes = [node('If', ['c'], ['y'], { then_branch: circle, else_branch: circle }), node('Neg', ['y'], ['later'])];
  assert.throws(
    () => run({ ...x4, nodes, tensors: [bool('c', 1)] }, [1, 2, 3, 4]),
    (error) => error instanceof InputError && /^circular graph: a branch needs its own "y"/.test(error.message),
  );
});

type FunctionProto = onnx.IFunctionProto;
const local = (more: Partial<FunctionProto> & { name: string }): FunctionProto => ({
  domain: 'local',
  opsetImport: [{ domain: '', version: Long.fromNumber(17) }],
  ...more,
});
const call = (name: string, inputs: string[], outputs: string[], attributes = {}): onnx.INodeProto =>
  node(name, inputs, outputs, attributes, '', 'local');
const referring = (name: string, to: string): onnx.IAttributeProto => ({ name, refAttrName: to, type: 1 });

/** y = LeakyRelu(x·w, slope), x */
const block = local({
  name: 'Block',
  input: ['a', 'w'],
  output: ['r', 'a'],
  attribute: ['slope'],
  attributeProto: [{ name: 'steep', type: 1, f: 0.5 }],
  node: [
    node('MatMul', ['a', 'w'], ['h']),
    { ...node('LeakyRelu', ['h'], ['l']), attribute: [referring('alpha', 'slope')] },
    { ...node('LeakyRelu', ['l'], ['r']), attribute: [referring('alpha', 'steep')] },
  ],
});

const twice: ModelParts = {
  ...x4,
  nodes: [
    call('Block', ['x', 'u'], ['h', 'same'], { slope: { float: 0.25 } }),
    call('Block', ['h', 'v'], ['k'], { slope: { float: 1 }, steep: { float: 1 } }),
    node('ReduceSum', ['same'], ['s']),
    node('Add', ['k', 's'], ['y']),
  ],
  tensors: [floats('u', [4, 2], [1, -1, 0, 0, 0, 0, 0, 0]), floats('v', [2, 1], [1, 8])],
  functions: [block],
};

test('functions are written out where they are called, each with its own names and attributes', () => {
  // h = [1, −1/8]; k = 1 − 1; s = 10.
  assert.deepEqual(run(twice, [1, 2, 3, 4]), [10]);
  assert.deepEqual(
    imported(twice).layers.map(({ name }) => name),
    ['u', 'v'],
  );
  const file = decodeModel(modelBytes(twice), 'm.onnx');
  assert.deepEqual(
    file.nodes.map(({ op, index }) => [op, index]),
    [
      ['MatMul', 0],
      ['LeakyRelu', 0],
      ['LeakyRelu', 0],
      ['Identity', 0],
      ['MatMul', 1],
      ['LeakyRelu', 1],
      ['LeakyRelu', 1],
      ['ReduceSum', 2],
      ['Add', 3],
    ],
  );
});

test('functions in functions, with a branch and an opset of their own', () => {
  const inner = local({
    name: 'Inner',
    input: ['a'],
    output: ['b'],
    // Before opset 13 the axes are an attribute.
    opsetImport: [{ domain: '', version: Long.fromNumber(11) }],
    node: [node('ReduceSum', ['a'], ['b'], { axes: [0], keepdims: 1 })],
  });
  const chosen = graph([call('Inner', ['a'], ['t'])], ['t']);
  const outer = local({
    name: 'Outer',
    input: ['a', 'c'],
    output: ['b'],
    node: [node('If', ['c'], ['b'], { then_branch: chosen, else_branch: graph([node('Neg', ['a'], ['t'])], ['t']) })],
  });
  const parts = {
    ...x4,
    nodes: [call('Outer', ['x', 'c'], ['y'])],
    tensors: [bool('c', 1)],
    functions: [outer, inner],
  };
  assert.deepEqual(run(parts, [1, 2, 3, 4]), [10]);
});

test('functions that call each other in circles, or double with every level, are refused', () => {
  const circle = ['A', 'B'].map((name, i) =>
    local({ name, input: ['a'], output: ['b'], node: [call('BA'[i]!, ['a'], ['b'])] }),
  );
  const nodes = [call('A', ['x'], ['y'])];
  assert.throws(() => run({ ...x4, nodes, functions: circle }), /^InputError: functions in a circle: .*local\.A/);
  const doubling = Array.from({ length: 40 }, (_, i) =>
    local({
      name: `F${i}`,
      input: ['a'],
      output: ['b'],
      node: [call(`F${i + 1}`, ['a'], ['h']), call(`F${i + 1}`, ['h'], ['b'])],
    }),
  );
  const last = local({ name: 'F40', input: ['a'], output: ['b'], node: [node('Neg', ['a'], ['b'])] });
  const parts = { ...x4, nodes: [call('F0', ['x'], ['y'])], functions: [...doubling, last] };
  assert.throws(() => run(parts), /^InputError: functions too large: more than 200000 nodes/);
  const deep = Array.from({ length: 400 }, (_, i) =>
    local({ name: `D${i}`, input: ['a'], output: ['b'], node: [call(`D${i + 1}`, ['a'], ['b'])] }),
  );
  assert.throws(() => run({ ...x4, nodes: [call('D0', ['x'], ['y'])], functions: deep }), /^InputError: functions in/);
});
