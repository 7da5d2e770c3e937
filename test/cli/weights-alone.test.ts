import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { AnalysisResult } from '../../protocol/analysis';
import { float32Bytes, idxBytes, temporaryFolder } from '../files';
import { floats, ints, modelBytes, node } from '../onnx-models';
import { testRandom } from '../reference/cases';
import { run } from './command';

/** The real command on weights alone: an architecture that is found, that is named, and a graph that is lent. */

const SAMPLES = 12;
const shapes = {
  'conv1.weight': [2, 1, 5, 5],
  'conv1.bias': [2],
  'conv2.weight': [3, 2, 5, 5],
  'conv2.bias': [3],
  'fc1.weight': [6, 75],
  'fc1.bias': [6],
  'fc2.weight': [5, 6],
  'fc2.bias': [5],
  'fc3.weight': [3, 5],
  'fc3.bias': [3],
} as const;
const count = (shape: readonly number[]): number => shape.reduce((n, size) => n * size, 1);

function weights(): Map<string, number[]> {
  const random = testRandom(5);
  return new Map(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      Array.from({ length: count(shape) }, () => Math.fround((2 * random() - 1) / Math.sqrt(count(shape.slice(1))))),
    ]),
  );
}

function safetensors(tensors: ReadonlyMap<string, number[]>): Buffer {
  let at = 0;
  const entries = [...tensors].map(([name, values]) => {
    const begin = at;
    at += 4 * values.length;
    return [name, { dtype: 'F32', shape: shapes[name as keyof typeof shapes], data_offsets: [begin, at] }] as const;
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, ...[...tensors.values()].map(float32Bytes)]);
}

/** LeNet-5 with a padding at the first convolution, in other words and with other weights. */
const graph = modelBytes({
  inputs: [['x', ['N', 1, 28, 28]]],
  outputs: ['y'],
  nodes: [
    node('Conv', ['x', 'conv1.weight', 'conv1.bias'], ['a'], { pads: [2, 2, 2, 2] }),
    node('Relu', ['a'], ['b']),
    node('MaxPool', ['b'], ['c'], { kernel_shape: [2, 2], strides: [2, 2] }),
    node('Conv', ['c', 'conv2.weight', 'conv2.bias'], ['d']),
    node('Relu', ['d'], ['e']),
    node('MaxPool', ['e'], ['f'], { kernel_shape: [2, 2], strides: [2, 2] }),
    node('Reshape', ['f', 'flat'], ['g']),
    node('Gemm', ['g', 'fc1.weight', 'fc1.bias'], ['h'], { transB: 1 }),
    node('Relu', ['h'], ['i']),
    node('Gemm', ['i', 'fc2.weight', 'fc2.bias'], ['j'], { transB: 1 }),
    node('Relu', ['j'], ['k']),
    node('Gemm', ['k', 'fc3.weight', 'fc3.bias'], ['y'], { transB: 1 }),
  ],
  tensors: [
    ints('flat', [0, -1]),
    ...Object.entries(shapes).map(([name, shape]) => floats(name, shape, new Array<number>(count(shape)).fill(1))),
  ],
});

function folderOf(t: TestContext): string {
  const random = testRandom(6);
  const pixels = Uint8Array.from({ length: SAMPLES * 784 }, () => Math.floor(256 * random()));
  const labels = Uint8Array.from({ length: SAMPLES }, (_, i) => i % 3);
  const folder = temporaryFolder(t, {
    'data/t10k-images-idx3-ubyte': idxBytes(8, [SAMPLES, 28, 28], pixels),
    'data/t10k-labels-idx1-ubyte': idxBytes(8, [SAMPLES], labels),
    'graph.onnx': graph,
  });
  writeFileSync(join(folder, 'lenet.safetensors'), safetensors(weights()));
  return folder;
}

test('the architecture is found from the data, named, or lent by a graph, with the same result', async (t) => {
  const cwd = folderOf(t);
  const analyze = async (...more: string[]): Promise<AnalysisResult> => {
    const args = [
      'analyze',
      'lenet.safetensors',
      '--data',
      'data',
      '--split',
      'test',
      '--steps',
      '0',
      '--threads',
      '1',
    ];
    const { status, stdout, stderr } = await run([...args, '--json', ...more], { cwd });
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout) as AnalysisResult;
  };
  const found = await analyze();
  const named = await analyze('--architecture', 'lenet5-padded');
  const lent = await analyze('--graph', 'graph.onnx');
  for (const { loss, accuracy } of [named, lent]) {
    assert.deepEqual(accuracy, found.accuracy);
    assert.ok(Math.abs(loss - found.loss) < 1e-6 * found.loss);
  }
  assert.ok(found.loss > 0);
});

test('what does not fit is said, and nothing is computed', async (t) => {
  const cwd = folderOf(t);
  const refused: readonly [readonly string[], RegExp][] = [
    [['--architecture', 'lenet5'], /too small|lenet5: fc1\.weight is \[6, 75\]/],
    [
      ['--architecture', 'resnet18'],
      /pruning-limit: architecture does not fit: resnet18: .*conv1\.weight is \[2, 1, 5, 5\]/,
    ],
    [['--architecture', 'lenet'], /pruning-limit: unknown architecture: lenet; known are /],
    [['--architecture', 'lenet5', '--graph', 'graph.onnx'], /pruning-limit: graph given twice/],
    [['--graph', 'lenet.safetensors'], /pruning-limit: no graph: /],
  ];
  for (const [more, message] of refused) {
    const { status, stdout, stderr } = await run(['analyze', 'lenet.safetensors', '--data', 'data', ...more], { cwd });
    assert.equal(status, 2, `${more.join(' ')}: ${stderr}`);
    assert.equal(stdout, '');
    assert.match(stderr, message);
  }
  const { stdout } = await run(['inspect', 'lenet.safetensors'], { cwd });
  assert.match(stdout, /several architectures fit: lenet5, lenet5-padded/);
});
