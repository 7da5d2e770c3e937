import assert from 'node:assert/strict';
import { test } from 'node:test';
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
import { NATIVE } from './dialect';
import { emitGraph, type EmitOptions } from './emit';

const operators = (graph: Graph, options?: EmitOptions): string[] =>
  onnx.ModelProto.decode(emitGraph(graph, new Map(), options).bytes).graph!.node!.map(({ opType }) => opType!);

const convolution = { strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], group: 1 };

/** Emits `outputs`, which take inputs x, w and c, runs them and compares with their definitions. */
async function assertRuns(outputs: readonly AnyNode[], inputs: readonly AnyNode[]): Promise<string[]> {
  const random = testRandom(3);
  const names = inputs.map((node) => (node.op === 'input' ? node.attributes.name : ''));
  const values = inputs.map(({ shape }) => Float32Array.from(randomValues(shape, random)));
  const expected = evaluate(outputs, new Map(names.map((name, i) => [name, values[i]!])));
  const graph = { outputs: outputs.map((node, i) => ({ name: `y${i}`, node })) };
  const session = await InferenceSession.create(emitGraph(graph).bytes);
  const feeds = names.map((name, i) => [name, new Tensor('float32', values[i]!, inputs[i]!.shape)] as const);
  const results = await session.run(Object.fromEntries(feeds));
  expected.forEach((want, i) => {
    const got = results[`y${i}`]!.data as Float32Array;
    want.forEach((x, j) => assert.ok(Math.abs(got[j]! - x) < 1e-5, `output ${i} at ${j}: ${got[j]}, expected ${x}`));
  });
  return operators(graph);
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
    (op) => !['Reshape', 'Transpose'].includes(op),
  );
  // Two of the four are kernels.
  assert.deepEqual(large.sort(), ['Conv', 'Conv', 'ReorderInput', 'ReorderInput', 'ReorderInput', 'ReorderOutput']);
});
