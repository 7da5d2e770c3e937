import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AnalysisResult } from '../../protocol/analysis';
import { analyze } from '../../server/src/analysis/analyze';
import { openCheckpoint } from '../../server/src/checkpoint/open';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { run } from '../cli/command';
import { float32Bytes, npyBytes, temporaryFolder } from '../files';
import { floats, modelBytes, node, type ModelParts } from '../onnx-models';
import { projectRoot } from '../outside';
import { testRandom } from '../reference/cases';

/**
 * One checkpoint of every format, from the file to the limit. The formats that
 * hold the same weights must end at the same limit, bit for bit.
 */

const folder = join(projectRoot(), 'test/checkpoints/files');

/** `count` samples of noise, as x.npy and y.npy. */
function noise(count: number, shape: readonly number[], classes: number): Record<string, Uint8Array> {
  const random = testRandom(5);
  const size = shape.reduce((product, n) => product * n, count);
  const values = Array.from({ length: size }, () => 2 * random() - 1);
  const labels = Array.from({ length: count }, (_, i) => i % classes);
  return {
    'x.npy': npyBytes('<f4', [count, ...shape], float32Bytes(values)),
    'y.npy': npyBytes('|u1', [count], Uint8Array.from(labels)),
  };
}

async function limits(
  checkpoint: string,
  data: string,
  more: { readonly graph?: string; readonly steps?: number } = {},
): Promise<AnalysisResult> {
  const options = {
    ...DEFAULT_OPTIONS,
    data: { path: data, split: 'test', scale: 1, samples: 'all' },
    batch: 8,
    epsilon: { kind: 'relative', value: 0.1 },
    provider: 'cpu',
    threads: 1,
    ...more,
  } as const;
  const result = await analyze({ checkpoint, options }, () => undefined);
  for (const limit of result.limits) {
    assert.ok(limit.sparsity > 0 && limit.sparsity < 1, `${limit.operator}: ${limit.sparsity}`);
  }
  assert.equal(result.limits.length, 2);
  return result;
}

/** Of the network in pytorch_files.py. */
const SHAPES: Readonly<Record<string, readonly number[]>> = {
  'conv.weight': [2, 1, 3, 3],
  'conv.bias': [2],
  'norm.weight': [2],
  'norm.bias': [2],
  'norm.running_mean': [2],
  'norm.running_var': [2],
  'fc.weight': [3, 8],
  'fc.bias': [3],
};

/** Its graph with the given weights. */
function graphParts(valuesOf: (name: string, shape: readonly number[]) => readonly number[]): ModelParts {
  const statistics = ['norm.weight', 'norm.bias', 'norm.running_mean', 'norm.running_var'];
  return {
    inputs: [['x', ['N', 1, 4, 4]]],
    outputs: [['y', ['N', 3]]],
    nodes: [
      node('Conv', ['x', 'conv.weight', 'conv.bias'], ['c']),
      node('BatchNormalization', ['c', ...statistics], ['n']),
      node('Relu', ['n'], ['r']),
      node('Flatten', ['r'], ['f']),
      node('Gemm', ['f', 'fc.weight', 'fc.bias'], ['y'], { transB: 1 }),
    ],
    tensors: Object.entries(SHAPES).map(([name, shape]) => floats(name, shape, valuesOf(name, shape))),
  };
}

/** The same as safetensors, written from the description of the format. */
function safetensors(
  weights: ReadonlyMap<string, readonly number[]>,
  shapes: Readonly<Record<string, readonly number[]>> = SHAPES,
): Uint8Array {
  let at = 0;
  const header: Record<string, object> = {};
  for (const [name, values] of weights) {
    header[name] = { dtype: 'F32', shape: shapes[name], data_offsets: [at, (at += 4 * values.length)] };
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...[...weights.values()].map(float32Bytes)]);
}

const SAME = [
  'whole_module.pt',
  'whole_module_legacy.pt',
  'wrapped.pt',
  'wrapped_legacy.pt',
  'list.pt',
  'parallel.pt',
  'compiled.pt',
  'deflated.pt',
  'script.pt',
];

test('PyTorch of every kind, safetensors and ONNX with the same weights have the same limit', async (t) => {
  const whole = (await openCheckpoint(join(folder, 'whole_module.pt'))).tensors;
  const weights = new Map(Object.keys(SHAPES).map((name) => [name, Array.from(whole.get(name)!.read().values)]));
  const data = temporaryFolder(t, noise(16, [1, 4, 4], 3));
  const place = temporaryFolder(t, {
    'own.onnx': modelBytes(graphParts((name) => weights.get(name)!)),
    // A lender's own weights count for nothing.
    'graph.onnx': modelBytes(graphParts((_, shape) => new Array<number>(shape.reduce((a, b) => a * b, 1)).fill(1))),
    'own.safetensors': safetensors(weights),
  });
  const own = await limits(join(place, 'own.onnx'), data);
  const others = [...SAME.map((name) => join(folder, name)), join(place, 'own.safetensors')];
  for (const path of others) {
    const { limits: got, loss } = await limits(path, data, { graph: join(place, 'graph.onnx') });
    assert.equal(loss, own.loss, path);
    assert.deepEqual(got, own.limits, path);
  }
});

test('Keras archives and HDF5 files of the same network have the same limit', async (t) => {
  const data = temporaryFolder(t, noise(8, [8, 8, 3], 4));
  const archive = await limits(join(folder, 'functional.keras'), data, { steps: 6 });
  const hdf5 = await limits(join(folder, 'functional.h5'), data, { steps: 6 });
  assert.equal(archive.loss, hdf5.loss);
  assert.deepEqual(archive.limits, hdf5.limits);
});

test('a TensorFlow.js model has the limit of the same network in ONNX', async (t) => {
  const random = testRandom(9);
  const values = (count: number): number[] => Array.from({ length: count }, () => 2 * random() - 1);
  const [one, bias, two] = [values(20), values(5), values(15)];
  const dense = (name: string, units: number, more: object): object => ({
    class_name: 'Dense',
    config: { name, units, ...more },
  });
  const layers = [
    dense('one', 5, { activation: 'tanh', batch_input_shape: [null, 4], use_bias: true }),
    dense('two', 3, { activation: 'softmax', use_bias: false }),
  ];
  const entry = (name: string, shape: readonly number[]): object => ({ name, shape, dtype: 'float32' });
  const place = temporaryFolder(t, {
    'model.json': JSON.stringify({
      format: 'layers-model',
      modelTopology: { model_config: { class_name: 'Sequential', config: { name: 's', layers } } },
      weightsManifest: [
        {
          paths: ['a.bin'],
          weights: [entry('one/kernel', [4, 5]), entry('one/bias', [5]), entry('two/kernel', [5, 3])],
        },
      ],
    }),
    'a.bin': float32Bytes([...one, ...bias, ...two]),
    'own.onnx': modelBytes({
      inputs: [['x', ['N', 4]]],
      outputs: [['y', ['N', 3]]],
      nodes: [
        node('Gemm', ['x', 'one', 'bias'], ['a']),
        node('Tanh', ['a'], ['b']),
        node('MatMul', ['b', 'two'], ['y']),
      ],
      tensors: [floats('one', [4, 5], one), floats('bias', [5], bias), floats('two', [5, 3], two)],
    }),
  });
  const data = temporaryFolder(t, noise(12, [4], 3));
  const layersModel = await limits(join(place, 'model.json'), data);
  const onnx = await limits(join(place, 'own.onnx'), data);
  assert.equal(layersModel.loss, onnx.loss);
  assert.deepEqual(layersModel.limits, onnx.limits);
});

test('the command takes the architecture or the graph that it is told', async (t) => {
  const random = testRandom(2);
  const values = (count: number): number[] => Array.from({ length: count }, () => 2 * random() - 1);
  const shapes = { 'fc1.weight': [5, 16], 'fc1.bias': [5], 'fc2.weight': [3, 5], 'fc2.bias': [3] };
  const weights = new Map(
    Object.entries(shapes).map(([name, shape]) => [name, values(shape.reduce((a, b) => a * b, 1))]),
  );
  // Another activation than the one that is assumed for weights alone.
  const tanh = modelBytes({
    inputs: [['x', ['N', 1, 4, 4]]],
    outputs: [['y', ['N', 3]]],
    nodes: [
      node('Flatten', ['x'], ['f']),
      node('Gemm', ['f', 'fc1.weight', 'fc1.bias'], ['a'], { transB: 1 }),
      node('Tanh', ['a'], ['b']),
      node('Gemm', ['b', 'fc2.weight', 'fc2.bias'], ['y'], { transB: 1 }),
    ],
    tensors: Object.entries(shapes).map(([name, shape]) => floats(name, shape, weights.get(name)!)),
  });
  const cwd = temporaryFolder(t, {
    ...noise(12, [1, 4, 4], 3),
    'w.safetensors': safetensors(weights, shapes),
    'tanh.onnx': tanh,
  });
  const common = ['--data', '.', '--scale', '1', '--steps', '0', '--threads', '1', '--provider', 'cpu', '--json'];
  const loss = async (file: string, ...more: string[]): Promise<number> => {
    const { status, stdout, stderr } = await run(['analyze', file, ...common, ...more], { cwd });
    assert.equal(status, 0, stderr);
    return (JSON.parse(stdout.trim().split('\n').at(-1)!) as AnalysisResult).loss;
  };
  assert.equal(await loss('w.safetensors', '--architecture', 'mlp'), await loss('w.safetensors'));
  const lent = await loss('w.safetensors', '--graph', 'tanh.onnx');
  assert.equal(lent, await loss('tanh.onnx'));
  assert.notEqual(lent, await loss('w.safetensors'));
  const other = await run(['analyze', 'w.safetensors', ...common, '--architecture', 'resnet18'], { cwd });
  assert.equal(other.status, 2);
  assert.match(other.stderr, /architecture does not fit: resnet18: /);
});
