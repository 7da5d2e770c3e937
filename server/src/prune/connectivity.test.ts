import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { floats, node, onnxFile, type ModelParts } from '../../../test/onnx-models';
import { testRandom } from '../../../test/reference/cases';
import { toFloat32 } from '../checkpoint/elements';
import { importGraph } from '../checkpoint/onnx/import';
import { storedLayers } from '../checkpoint/onnx/layers';
import { createOrtEngine } from '../engine/ort';
import { findCuts } from './connectivity';

const engine = createOrtEngine(1);

/** Cuts of a model whose weights are pruned already. */
async function cutsOf(parts: ModelParts): Promise<string[]> {
  const file = onnxFile(parts);
  const layers = storedLayers(file).map(({ name, tensor }) => ({ name, weights: toFloat32(tensor.read()) }));
  return findCuts(await engine, importGraph(file, { batch: 1 }), layers);
}

const NO_PATH = ['no path of kept weights leads from the input to the output y'];
const ones = (name: string, dims: readonly number[]) =>
  floats(name, dims, new Array<number>(dims.reduce((n, size) => n * size, 1)).fill(1));

describe('a multilayer perceptron', () => {
  const mlp = (first: readonly number[], second: readonly number[]): ModelParts => ({
    inputs: [['x', ['N', 2]]],
    outputs: [['y', ['N', 2]]],
    nodes: [
      node('Gemm', ['x', 'a', 'bias'], ['h'], { transB: 1 }),
      node('Relu', ['h'], ['r']),
      node('MatMul', ['r', 'b'], ['y']),
    ],
    tensors: [floats('a', [3, 2], first), floats('b', [3, 2], second), ones('bias', [3])],
  });

  it('is whole while one path is', async () => {
    assert.deepEqual(await cutsOf(mlp([0, 0, 0, 0, 0, -2], [0, 0, 0, 0, 1, 0])), []);
  });

  it('is cut where the units that are reached are not those that are used', async () => {
    assert.deepEqual(await cutsOf(mlp([1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1])), NO_PATH);
  });

  it('is cut by a layer of zeros, which is named', async () => {
    assert.deepEqual(await cutsOf(mlp([0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1])), [
      'layer a would keep none of its 6 weights',
      ...NO_PATH,
    ]);
  });
});

it('agrees with a search through the units of random networks', async () => {
  const random = testRandom(5);
  const sizes = [3, 4, 4, 3];
  let cut = 0;
  for (let round = 0; round < 40; round++) {
    const matrices = sizes
      .slice(1)
      .map((out, i) => Array.from({ length: out * sizes[i]! }, () => (random() < 0.2 ? 2 * random() - 1 : 0)));
    if (matrices.some((matrix) => matrix.every((w) => w === 0))) continue;
    let reached = new Set(Array.from({ length: sizes[0]! }, (_, i) => i));
    matrices.forEach((matrix, i) => {
      const wide = sizes[i]!;
      reached = new Set(
        Array.from({ length: sizes[i + 1]! }, (_, row) => row).filter((row) =>
          [...reached].some((column) => matrix[row * wide + column] !== 0),
        ),
      );
    });
    const last = matrices.length - 1;
    const cuts = await cutsOf({
      inputs: [['h0', ['N', sizes[0]!]]],
      outputs: [[`y`, ['N', sizes.at(-1)!]]],
      nodes: matrices.flatMap((_, i) => [
        node('Gemm', [`h${i}`, `w${i}`], [i === last ? 'y' : `g${i}`], { transB: 1 }),
        ...(i === last ? [] : [node('Sigmoid', [`g${i}`], [`h${i + 1}`])]),
      ]),
      tensors: matrices.map((matrix, i) => floats(`w${i}`, [sizes[i + 1]!, sizes[i]!], matrix)),
    });
    assert.deepEqual(cuts, reached.size > 0 ? [] : NO_PATH, JSON.stringify(matrices));
    if (reached.size === 0) cut++;
  }
  assert.ok(cut > 3 && cut < 30, `${cut} cut`);
});

describe('a residual network', () => {
  /** conv → BN → (+ shortcut) → pool → flatten → fc */
  const residual = (block: readonly number[], used: readonly number[]): ModelParts => ({
    inputs: [['x', ['N', 2, 4, 4]]],
    outputs: [['y', ['N', 2]]],
    nodes: [
      node('Conv', ['x', 'c'], ['h'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
      node('BatchNormalization', ['h', 'scale', 'zero', 'zero', 'scale'], ['n']),
      node('Add', ['n', 'x'], ['s']),
      node('Relu', ['s'], ['r']),
      node('MaxPool', ['r'], ['p'], { kernel_shape: [2, 2], strides: [2, 2] }),
      node('Flatten', ['p'], ['f']),
      node('Gemm', ['f', 'w'], ['z'], { transB: 1 }),
      node('Softmax', ['z'], ['y'], { axis: 1 }),
    ],
    tensors: [
      floats('c', [2, 2, 3, 3], block),
      ones('scale', [2]),
      floats('zero', [2], [0, 0]),
      floats('w', [2, 8], used),
    ],
  });
  const empty = new Array<number>(36).fill(0);

  it('goes on through the shortcut, but the empty layer is named', async () => {
    assert.deepEqual(await cutsOf(residual(empty, new Array<number>(16).fill(1))), [
      'layer c would keep none of its 36 weights',
    ]);
  });

  it('is whole when both are there', async () => {
    assert.deepEqual(await cutsOf(residual(empty.with(4, 1), new Array<number>(16).fill(0).with(9, 1))), []);
  });
});

it('a grouped convolution and a concatenation keep their channels apart', async () => {
  const parts = (second: readonly number[]): ModelParts => ({
    inputs: [['x', ['N', 2, 3, 3]]],
    outputs: [['y', ['N', 2, 1, 1]]],
    nodes: [
      // Channel 0 alone goes on: the weight of channel 1 is zero.
      node('Conv', ['x', 'depthwise'], ['d'], { kernel_shape: [1, 1], group: 2 }),
      node('Concat', ['constant', 'd'], ['k'], { axis: 1 }),
      node('Conv', ['k', 'second'], ['e'], { kernel_shape: [3, 3] }),
      node('Add', ['e', 'offset'], ['y']),
    ],
    tensors: [
      floats('depthwise', [2, 1, 1, 1], [1, 0]),
      ones('constant', [1, 1, 3, 3]),
      floats('second', [2, 3, 3, 3], second),
      ones('offset', [1, 2, 1, 1]),
    ],
  });
  const zeros = new Array<number>(54).fill(0);
  // Channels of the concatenation: the constant, the reached one, the cut one.
  assert.deepEqual(await cutsOf(parts(zeros.with(0, 1).with(20, 1))), NO_PATH);
  assert.deepEqual(await cutsOf(parts(zeros.with(0, 1).with(9, 1))), []);
});
