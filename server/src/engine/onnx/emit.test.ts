import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as library from 'onnxruntime-node';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { convolutional } from '../../../../samples/networks';
import { randomValues, testRandom } from '../../../../test/reference/cases';
import { evaluate } from '../../../../test/reference/interpreter';
import { onnx } from '../../checkpoint/onnx/generated/onnx';
import { GraphBuilder } from '../../graph/builder';
import type { AnyNode, Graph } from '../../graph/ir';
import type { Model } from '../../graph/model';
import { elementCount } from '../../graph/shapes';
import { Random } from '../../random';
import { findBlock } from '../blocks';
import { NATIVE } from './dialect';
import { emitGraph, type EmitOptions } from './emit';
import { OnnxWriter } from './writer';

const operators = (graph: Graph, options?: EmitOptions): string[] =>
  onnx.ModelProto.decode(emitGraph(graph, new Map(), options).bytes).graph!.node!.map(({ opType }) => opType!);

const convolution = { strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], group: 1 };

/** Emits `outputs` of `inputs`, runs them into `got` and compares with their definitions; answers the operators. */
async function assertRuns(
  outputs: readonly AnyNode[],
  inputs: readonly AnyNode[],
  options: EmitOptions = {},
  tolerance = 1e-5,
  got: Float32Array[] = [],
): Promise<string[]> {
  const random = testRandom(3);
  const names = inputs.map((node) => (node.op === 'input' ? node.attributes.name : ''));
  const values = inputs.map(({ shape }) => Float32Array.from(randomValues(shape, random)));
  const expected = evaluate(outputs, new Map(names.map((name, i) => [name, values[i]!])));
  const graph = { outputs: outputs.map((node, i) => ({ name: `y${i}`, node })) };
  const session = await InferenceSession.create(emitGraph(graph, new Map(), options).bytes);
  const feeds = names.map((name, i) => [name, new Tensor('float32', values[i]!, inputs[i]!.shape)] as const);
  const results = await session.run(Object.fromEntries(feeds));
  expected.forEach((want, i) => {
    const result = (got[i] = results[`y${i}`]!.data as Float32Array);
    want.forEach((x, j) => {
      assert.ok(Math.abs(result[j]! - x) < tolerance, `output ${i} at ${j}: ${result[j]}, expected ${x}`);
    });
  });
  return operators(graph, options);
}

test('a bias goes into its convolution, on either side of the sum', async () => {
  for (const swapped of [false, true]) {
    for (const shape of [
      [1, 4, 1, 1],
      [4, 1, 1],
    ]) {
      const b = new GraphBuilder();
      const inputs = [b.input('x', [2, 3, 5, 5]), b.input('w', [4, 3, 2, 2]), b.input('c', [4])] as const;
      const y = b.conv(inputs[0], inputs[1], convolution);
      const bias = b.reshape(inputs[2], shape);
      const sum = swapped ? b.add(bias, y) : b.add(y, bias);
      assert.deepEqual(await assertRuns([b.relu(sum)], inputs), ['Conv', 'Relu']);
    }
  }
});

test('a bias goes into its Gemm', async () => {
  for (const shape of [[4], [1, 4], [2, 1], [1]]) {
    const b = new GraphBuilder();
    const inputs = [b.input('x', [2, 3]), b.input('w', [4, 3]), b.input('c', shape)] as const;
    const sum = b.add(b.matmul(inputs[0], inputs[1], false, true), inputs[2]);
    assert.deepEqual(await assertRuns([sum], inputs), ['Gemm'], shape.join());
  }
});

test('what is no bias stays a sum', async () => {
  const b = new GraphBuilder();
  const inputs = [b.input('x', [1, 3, 5, 4]), b.input('w', [4, 3, 2, 1]), b.input('c', [4])] as const;
  const y = b.conv(inputs[0], inputs[1], convolution);
  // Along another axis, with a product that is used twice, and broadcasting the product.
  assert.deepEqual(await assertRuns([b.add(y, b.reshape(inputs[2], [1, 1, 4, 1]))], inputs), [
    'Conv',
    'Reshape',
    'Add',
  ]);
  const sum = b.add(y, b.reshape(inputs[2], [1, 4, 1, 1]));
  assert.deepEqual(await assertRuns([sum, b.relu(y)], inputs), ['Conv', 'Reshape', 'Add', 'Relu']);
  assert.deepEqual(await assertRuns([sum, y], inputs), ['Conv', 'Reshape', 'Add']);
  const [u, v, wide] = [b.input('u', [1, 3]), b.input('v', [4, 3]), b.input('wide', [5, 4])];
  assert.deepEqual(await assertRuns([b.add(b.matmul(u, v, false, true), wide)], [u, v, wide]), ['Gemm', 'Add']);
});

test('a value that is a result twice has both names', async () => {
  const b = new GraphBuilder();
  const x = b.input('x', [3]);
  const y = b.exp(x);
  assert.deepEqual(await assertRuns([y, y, x], [x]), ['Exp', 'Identity', 'Identity']);
});

test('positions of maxima are written where something needs them', () => {
  const b = new GraphBuilder();
  const pool = { kernel: [2, 2], strides: [2, 2], dilations: [1, 1], pads: [0, 0, 0, 0], ceil: false };
  const x = b.input('x', [1, 2, 4, 4]);
  const y = b.maxPool(x, pool);
  const results = (outputs: readonly AnyNode[]): number[] => {
    const graph = { outputs: outputs.map((node, i) => ({ name: `y${i}`, node })) };
    const { node } = onnx.ModelProto.decode(emitGraph(graph).bytes).graph!;
    return node!.filter(({ opType }) => opType === 'MaxPool').map(({ output }) => output!.length);
  };
  assert.deepEqual(results([y]), [1]);
  assert.deepEqual(results([y, b.maxPoolGather(x, x, pool)]), [2]);
});

test('a network written with a symbolic batch runs for any', async () => {
  const make = (batch: number): Model =>
    convolutional(batch, { image: [1, 8, 8], convolutions: [3], linear: [6, 5] }, 1);
  const { logits, parameters } = make(2);
  const graph = { outputs: [{ name: 'logits', node: logits }] };
  const session = await InferenceSession.create(
    emitGraph(graph, parameters, { layerNames: true, batch: 'batch' }).bytes,
  );
  for (const batch of [1, 2, 5]) {
    const twin = make(batch);
    const { shape } = twin.input;
    const values = Random.stream(1, 'values').gaussianVector(elementCount(shape));
    const results = await session.run({ input: new Tensor('float32', values, shape) });
    assert.deepEqual(results['logits']!.dims, [batch, 5]);
    const feeds = new Map([...parameters].map(([name, { value }]) => [name, value]));
    const [expected] = evaluate([twin.logits], feeds.set('input', values));
    const got = results['logits']!.data as Float32Array;
    expected!.forEach((x, i) => assert.ok(Math.abs(got[i]! - x) < 1e-5, `${batch} samples, at ${i}`));
  }
});

test('in blocks, a residual block is convolutions alone between two changes of the layout', () => {
  const b = new GraphBuilder();
  const same = { ...convolution, pads: [1, 1, 1, 1] };
  const kernel = (name: string): AnyNode => b.parameter(name, [16, 16, 3, 3]);
  const bias = (name: string): AnyNode => b.reshape(b.parameter(name, [16]), [1, 16, 1, 1]);
  const x = b.input('x', [1, 16, 8, 8]);
  const inner = b.relu(b.add(b.conv(x, kernel('v'), same), bias('c')));
  const y = b.relu(b.add(b.add(b.conv(inner, kernel('w'), same), bias('d')), x));
  const graph = { outputs: [{ name: 'y', node: y }] };
  const large = operators(graph, { dialect: { ...NATIVE, block: 16 } }).filter(
    (op) => !['Reshape', 'Gather'].includes(op),
  );
  // Two of the four are kernels.
  assert.deepEqual(large.sort(), ['Conv', 'Conv', 'ReorderInput', 'ReorderInput', 'ReorderInput', 'ReorderOutput']);
});

const count = (ops: readonly string[], op: string): number => ops.filter((other) => other === op).length;

test('in blocks, sums of weight gradients are one image, divided for any number of threads', async (t) => {
  const block = await findBlock(library);
  if (block === 0) return t.skip('this processor has no such layout');
  const divisions = new Set<string>();
  // Channels in one, two, three and four blocks, and in none.
  for (const [channels, outputs] of [
    [block, block],
    [2 * block, 4 * block],
    [3 * block, 5 * block],
    [4 * block, 4 * block],
    [3, block],
  ] as const) {
    let first: Float32Array | undefined;
    for (const threads of [1, 2, 3, 8]) {
      const b = new GraphBuilder();
      const attributes = { ...convolution, pads: [1, 1, 1, 1] };
      const [x, u] = [b.input('x', [block, channels, 3, 4]), b.input('u', [block, channels, 3, 4])];
      const [g, h] = [b.input('g', [block, outputs, 3, 4]), b.input('h', [block, outputs, 3, 4])];
      const sum = b.add(b.convWeightGrad(x, g, attributes, [3, 3]), b.convWeightGrad(u, h, attributes, [3, 3]));
      const options = { dialect: { ...NATIVE, block, threads } };
      const got: Float32Array[] = [];
      const ops = await assertRuns([sum], [x, u, g, h], options, 1e-3, got);
      assert.equal(count(ops, 'Conv'), 2);
      for (const op of ['Add', 'Transpose', 'Pad', 'ConvTranspose', 'FusedMatMul']) assert.equal(count(ops, op), 0, op);
      // To the bit, whatever the division.
      assert.deepEqual(got[0], (first ??= got[0]!));
      const { bytes } = emitGraph({ outputs: [{ name: 'y', node: sum }] }, new Map(), options);
      divisions.add(Buffer.from(bytes).toString('base64'));
    }
  }
  // Five, if threads made no difference.
  assert.ok(divisions.size > 5, `${divisions.size}`);
});

test('in blocks, a weight gradient that something else needs too stays a sum', async (t) => {
  const block = await findBlock(library);
  if (block === 0) return t.skip('this processor has no such layout');
  const b = new GraphBuilder();
  const [x, u, g] = ['x', 'u', 'g'].map((name) => b.input(name, [block, block, 2, 2]));
  const [first, second] = [x!, u!].map((data) => b.convWeightGrad(data, g!, convolution, [1, 1]));
  const ops = await assertRuns(
    [b.add(first!, second!), second!],
    [x!, u!, g!],
    { dialect: { ...NATIVE, block } },
    1e-3,
  );
  assert.deepEqual([count(ops, 'Conv'), count(ops, 'Add')], [2, 1]);
});

test('in blocks, products and a shortcut of narrow images are added where they stand side by side', async (t) => {
  const block = await findBlock(library);
  if (block === 0) return t.skip('this processor has no such layout');
  const b = new GraphBuilder();
  const x = b.input('x', [8, 64, 2, 4]);
  const kernels = [b.input('v', [64, 64, 3, 3]), b.input('w', [64, 64, 3, 3])];
  const products = kernels.map((kernel) => b.conv(x, kernel, { ...convolution, pads: [1, 1, 1, 1] }));
  const y = b.relu(b.add(b.add(products[0]!, products[1]!), x));
  const ops = await assertRuns([y], [x, ...kernels], { dialect: { ...NATIVE, block } }, 1e-3);
  // Two kernels, the data once, and the way back once.
  assert.deepEqual(
    ['Conv', 'Gather', 'Add', 'Relu'].map((op) => count(ops, op)),
    [2, 4, 0, 0],
  );
});

test('nodes that no result needs are not written', () => {
  const writer = new OnnxWriter();
  const x = writer.input('x', [2]);
  const y = writer.node('Exp', [x]);
  writer.node('Neg', [writer.node('Abs', [y])]);
  writer.output('z', y, [2]);
  const { node } = onnx.ModelProto.decode(writer.encode()).graph!;
  assert.deepEqual(
    node!.map(({ opType }) => opType),
    ['Exp'],
  );
});
