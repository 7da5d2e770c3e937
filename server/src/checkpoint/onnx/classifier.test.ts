import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { evaluate } from '../../../../test/reference/interpreter';
import { sharedData, withoutSharedData } from '../../../../test/outside';
import { floats, ints, modelBytes, node, ramp, type ModelParts } from '../../../../test/onnx-models';
import { InputError } from '../../errors';
import type { Model } from '../../graph/model';
import { elementCount } from '../../graph/shapes';
import { importClassifier } from './classifier';
import { toFloat32 } from '../elements';
import { onnx } from './generated/onnx';
import { decodeModel, open } from './reader';
import { storedTensor } from './tensor';

function classifier(parts: ModelParts, batch = 5): Model {
  return importClassifier(decodeModel(modelBytes(parts), 'm.onnx'), { batch });
}

/** Logits by the reference interpreter. */
function logits(model: Model, x: ArrayLike<number>): number[] {
  const feeds = new Map([...model.parameters].map(([name, { value }]) => [name, value as ArrayLike<number>]));
  feeds.set(model.input.attributes.name, x);
  return Array.from(evaluate([model.logits], feeds)[0]!);
}

/** A perceptron [N, 4] → [N, 3] followed by `tail`, which makes `y` of `z`. */
function perceptron(tail: ModelParts['nodes'], more: Partial<ModelParts> = {}): ModelParts {
  return {
    inputs: [['x', ['N', 4]]],
    outputs: ['y'],
    nodes: [node('MatMul', ['x', 'w'], ['z']), ...tail],
    tensors: [ramp('w', [4, 3]), ...(more.tensors ?? [])],
    ...(more.opset !== undefined && { opset: more.opset }),
  };
}

const tails: { title: string; tail: ModelParts['nodes']; tensors?: ModelParts['tensors']; opset?: number }[] = [
  { title: 'nothing', tail: [node('Identity', ['z'], ['y'])] },
  { title: 'softmax', tail: [node('Softmax', ['z'], ['y'], { axis: 1 })] },
  { title: 'softmax of opset 7', tail: [node('Softmax', ['z'], ['y'])], opset: 7 },
  { title: 'log-softmax', tail: [node('LogSoftmax', ['z'], ['y'], { axis: -1 })] },
  { title: 'softmax, then log', tail: [node('Softmax', ['z'], ['s']), node('Log', ['s'], ['y'])] },
  { title: 'softmax, then identity', tail: [node('Softmax', ['z'], ['s']), node('Identity', ['s'], ['y'])] },
  {
    title: 'softmax over channels of one pixel, then flatten',
    tail: [
      node('Reshape', ['z', 'pixel'], ['p']),
      node('Softmax', ['p'], ['s'], { axis: 1 }),
      node('Flatten', ['s'], ['y']),
    ],
    tensors: [ints('pixel', [0, 3, 1, 1])],
  },
  {
    title: 'sizes of 1 behind the classes',
    tail: [node('Unsqueeze', ['z', 'a'], ['y'])],
    tensors: [ints('a', [2, 3])],
  },
  { title: 'softmax of a cast', tail: [node('Cast', ['z'], ['c'], { to: 11 }), node('Softmax', ['c'], ['y'])] },
];

const x = Array.from({ length: 20 }, (_, i) => Math.sin(i));
const bare = logits(classifier(perceptron([node('Identity', ['z'], ['y'])])), x);

for (const { title, tail, tensors = [], opset } of tails) {
  test(`logits come out whatever follows: ${title}`, () => {
    const model = classifier(perceptron(tail, { tensors, ...(opset !== undefined && { opset }) }));
    assert.deepEqual(model.logits.shape, [5, 3]);
    assert.deepEqual(logits(model, x), bare);
  });
}

test('a softmax inside the network stays', () => {
  const model = classifier(perceptron([node('Softmax', ['z'], ['s']), node('Relu', ['s'], ['y'])]));
  assert.equal(model.logits.op, 'relu');
});

test('a log that follows no softmax stays', () => {
  const model = classifier(perceptron([node('Exp', ['z'], ['e']), node('Log', ['e'], ['y'])]));
  assert.equal(model.logits.op, 'log');
});

// Batch sizes.

/** A convolution whose result is flattened by a Reshape to `target`. */
function convolutional(first: number | string, target: readonly number[]): ModelParts {
  return {
    inputs: [['x', [first, 1, 4, 4]]],
    outputs: ['y'],
    nodes: [
      node('Conv', ['x', 'k'], ['c'], { kernel_shape: [3, 3] }),
      node('Reshape', ['c', 'target'], ['f']),
      node('Gemm', ['f', 'w'], ['y'], { transB: 1 }),
    ],
    tensors: [ramp('k', [2, 1, 3, 3]), ints('target', target), ramp('w', [3, 8])],
  };
}

const batches: { title: string; parts: ModelParts }[] = [
  { title: 'symbolic', parts: convolutional('N', [-1, 8]) },
  { title: 'symbolic, with a 1 in the reshape', parts: convolutional('N', [1, 8]) },
  { title: '1, with a 1 in the reshape', parts: convolutional(1, [1, 8]) },
  { title: '1, with the rest left open', parts: convolutional(1, [1, -1]) },
  { title: '1, with a 0 in the reshape', parts: convolutional(1, [0, -1]) },
  { title: '2, with a 2 in the reshape', parts: convolutional(2, [2, 8]) },
];

for (const { title, parts } of batches) {
  test(`any batch size can be bound: ${title}`, () => {
    const samples = Array.from({ length: 3 }, (_, s) => Array.from({ length: 16 }, (_, i) => Math.cos(s + i)));
    const one = classifier(parts, 1);
    const three = classifier(parts, 3);
    assert.deepEqual(three.input.shape, [3, 1, 4, 4]);
    assert.deepEqual(
      logits(three, samples.flat()),
      samples.flatMap((sample) => logits(one, sample)),
    );
  });
}

test('a batch size that cannot be changed is named', () => {
  const parts = perceptron([node('Concat', ['z', 'more'], ['d'], { axis: 1 }), node('Relu', ['d'], ['y'])], {
    tensors: [floats('more', [1, 1], [1])],
  });
  assert.throws(() => classifier({ ...parts, inputs: [['x', [1, 4]]] }, 8), {
    name: 'InputError',
    message:
      /^batch size fixed: 1 \(input "x", m\.onnx\); export the network with a dynamic batch axis; at 8: Concat: concatenation/,
  });
  assert.deepEqual(classifier({ ...parts, inputs: [['x', [1, 4]]] }, 1).logits.shape, [1, 4]);
});

// Layers.

test('weights are found behind what only moves them, in order of first use, once', () => {
  const model = classifier({
    inputs: [['x', ['N', 1, 4, 4]]],
    outputs: ['y'],
    nodes: [
      node('Reshape', ['late', 'matrix'], ['reshaped']),
      node('Transpose', ['reshaped'], ['turned'], { perm: [1, 0] }),
      node('Cast', ['half'], ['kernel'], { to: 1 }),
      node('Conv', ['x', 'kernel', 'bias'], ['c'], { kernel_shape: [3, 3] }),
      node('BatchNormalization', ['c', 'scale', 'bias', 'bias', 'scale'], ['n']),
      node('ConvTranspose', ['n', 'up'], ['u']),
      node('Flatten', ['u'], ['f']),
      node('MatMul', ['f', 'turned'], ['a']),
      node('Constant', [], ['embedded'], { value: { tensor: ramp('', [4, 4]) } }),
      node('Gemm', ['a', 'embedded', 'bias4'], ['b']),
      node('MatMul', ['b', 'tied'], ['d']),
      node('MatMul', ['d', 'tied'], ['y']),
    ],
    tensors: [
      ramp('late', [2, 2, 9]),
      ints('matrix', [4, 9]),
      {
        name: 'half',
        dims: ramp('', [2, 1, 3, 3]).dims!,
        dataType: onnx.TensorProto.DataType.FLOAT16,
        rawData: new Uint8Array(36),
      },
      floats('bias', [2], [1, 1]),
      floats('scale', [2], [1, 1]),
      ramp('up', [2, 1, 2, 2]),
      ramp('bias4', [4]),
      ramp('tied', [4, 4]),
    ],
  });
  assert.deepEqual(model.layers, [
    { name: 'half', op: 'Conv', shape: [2, 1, 3, 3] },
    { name: 'up', op: 'ConvTranspose', shape: [2, 1, 2, 2] },
    { name: 'late', op: 'MatMul', shape: [2, 2, 9] },
    { name: 'embedded', op: 'Gemm', shape: [4, 4] },
    { name: 'tied', op: 'MatMul', shape: [4, 4] },
  ]);
  for (const { name, shape } of model.layers) {
    assert.equal(model.parameters.get(name)!.value.length, elementCount(shape), name);
  }
});

const refusals: { title: string; parts: ModelParts; message: RegExp }[] = [
  {
    title: 'several inputs',
    parts: {
      ...perceptron([node('Add', ['z', 'b'], ['y'])]),
      inputs: [
        ['x', ['N', 4]],
        ['b', ['N', 3]],
      ],
    },
    message: /^several inputs: x, b \(m\.onnx\); only networks with one data input/,
  },
  {
    title: 'several outputs',
    parts: { ...perceptron([node('Relu', ['z'], ['y'])]), outputs: ['z', 'y'] },
    message: /^several outputs: z, y \(m\.onnx\); export the network with the class scores/,
  },
  {
    title: 'an image as output',
    parts: { ...perceptron([node('Reshape', ['x', 's'], ['y'])], { tensors: [ints('s', [0, 2, 2])] }) },
    message:
      /^output shape: \[5, 2, 2\] for 5 samples \(output "y", m\.onnx\); class scores \[batch, classes\] are needed/,
  },
  {
    title: 'one class',
    parts: perceptron([node('ReduceSum', ['z', 'a'], ['y'])], { tensors: [ints('a', [1])] }),
    message: /^output with 1 class \(output "y", m\.onnx\); cross entropy needs two/,
  },
  {
    title: 'an output that ignores the input',
    parts: perceptron([node('Identity', ['w'], ['y'])]),
    message: /^output independent of the input: y/,
  },
  {
    title: 'no weights',
    parts: { ...perceptron([]), nodes: [node('Relu', ['x'], ['y'])] },
    message: /^network without prunable weights \(m\.onnx\)/,
  },
  {
    title: 'symbolic sample sizes',
    parts: { ...perceptron([node('Relu', ['z'], ['y'])]), inputs: [['x', ['N', 'width']]] },
    message: /^input shape: \[N, width\] \(input "x", m\.onnx\); a batch of samples with fixed sizes is needed/,
  },
];

for (const { title, parts, message } of refusals) {
  test(`no classifier: ${title}`, () => {
    assert.throws(
      () => classifier(parts),
      (error) => error instanceof InputError && message.test(error.message),
    );
  });
}

// Published networks.

const skip = withoutSharedData();
const checkpoint = (name: string): string => join(sharedData()!, 'checkpoints/onnx', name);

const published: { file: string; input: number[]; op: string; layers: string[]; weights: number }[] = [
  {
    file: 'vnncomp/resnet_2b.onnx',
    input: [3, 32, 32],
    op: 'add',
    layers: [
      'conv1.weight',
      'layer1.0.conv1.weight',
      'layer1.0.conv2.weight',
      'layer1.0.shortcut.0.weight',
      'layer1.1.conv1.weight',
      'layer1.1.conv2.weight',
      'linear1.weight',
      'linear2.weight',
    ],
    weights: 111808,
  },
  {
    file: 'vnncomp/cifar_base_kw.onnx',
    input: [3, 32, 32],
    op: 'add',
    layers: ['0.weight', '2.weight', '5.weight', '7.weight'],
    weights: 105832,
  },
  {
    file: 'vnncomp/cifar10_small.onnx',
    input: [32, 32, 3],
    op: 'add',
    layers: ['conv2d/Conv2D', 'conv2d_1/Conv2D', 'dense/MatMul', 'dense_1/MatMul', 'dense_2/MatMul'].map(
      (name) => `sequential/${name}/ReadVariableOp:0`,
    ),
    weights: 84992,
  },
  {
    file: 'vnncomp/mnist-net_256x2.onnx',
    input: [784, 1],
    op: 'add',
    layers: ['layers.0.weight', 'layers.2.weight', 'layers.4.weight'],
    weights: 268800,
  },
  {
    file: 'mnist_zoo/model.onnx',
    input: [1, 28, 28],
    op: 'add',
    layers: ['Parameter5', 'Parameter87', 'Parameter193'],
    weights: 5960,
  },
  { file: 'mnist_zoo/pytorch.onnx', input: [784], op: 'matmul', layers: ['22', '23', '24'], weights: 54912 },
  {
    file: 'burn_mnist.onnx',
    input: [1, 28, 28],
    op: 'add',
    layers: ['conv1.weight', 'conv2.weight', 'conv3.weight', 'fc1.weight', 'fc2.weight'],
    weights: 376712,
  },
  {
    file: 'mnist_atmega_simplified.onnx',
    input: [1, 14, 14],
    op: 'add',
    layers: ['cnn1.weight', 'cnn2.weight', 'linear.weight'],
    weights: 3740,
  },
  { file: 'onnx_mlir_mnist.onnx', input: [1, 28, 28], op: 'add', layers: ['fc1.weight', 'fc2.weight'], weights: 26368 },
  {
    file: 'wonnx_opt-mnist.onnx',
    input: [1, 28, 28],
    op: 'add',
    layers: ['Parameter5', 'Parameter87', 'Parameter193_reshape1'],
    weights: 5960,
  },
];

for (const { file, input, op, layers, weights } of published) {
  test(`${file} is a classifier of ${weights} prunable weights at batch 128`, { skip }, async () => {
    const model = importClassifier(await open(checkpoint(file)), { batch: 128 });
    assert.deepEqual(model.input.shape, [128, ...input]);
    assert.deepEqual(model.logits.shape, [128, 10]);
    assert.equal(model.logits.op, op);
    assert.deepEqual(
      model.layers.map(({ name }) => name),
      layers,
    );
    assert.equal(
      model.layers.reduce((sum, { shape }) => sum + elementCount(shape), 0),
      weights,
    );
  });
}

test('mnist_zoo/model.onnx answers its recorded inputs as recorded', { skip }, async () => {
  const model = importClassifier(await open(checkpoint('mnist_zoo/model.onnx')), { batch: 3 });
  const recorded = (kind: 'input' | 'output'): number[] =>
    [0, 1, 2].flatMap((set) => {
      const path = checkpoint(`mnist_zoo/test_data_set_${set}/${kind}_0.pb`);
      return Array.from(toFloat32(storedTensor(onnx.TensorProto.decode(readFileSync(path)), kind, path).read()));
    });
  const expected = recorded('output');
  const scale = Math.max(...expected.map(Math.abs));
  logits(model, recorded('input')).forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]!) <= 1e-5 * scale, `${value} where ${expected[i]} is recorded`);
  });
});

test('super_resolution.onnx is refused for its age', { skip }, async () => {
  const file = await open(checkpoint('super_resolution.onnx'));
  assert.throws(() => importClassifier(file, { batch: 1 }), /^InputError: Add: broadcasting of opset 6 and earlier/);
});
