import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { analyze } from '../../server/src/analysis/analyze';
import { openCheckpoint } from '../../server/src/checkpoint/open';
import { InputError } from '../../server/src/errors';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { sharedData, withoutSharedData } from '../outside';

/** Real checkpoints of every format: what they predict, and what is refused. */

const skip = withoutSharedData();
const place = (path: string): string => join(sharedData() ?? '', path);

interface Pair {
  readonly checkpoint: string;
  readonly data: string;
  readonly normalize?: { readonly mean: readonly number[]; readonly deviation: readonly number[] };
  readonly scale?: number;
  readonly graph?: string;
  readonly correct: number;
}

const norm = (mean: readonly number[], deviation: readonly number[]): Pick<Pair, 'normalize'> => ({
  normalize: { mean, deviation },
});
const MNIST = norm([0.1307], [0.3081]);
const HALF = norm([0.5], [0.5]);

/** Counts by an independent evaluation (README.md of the data); found without a word about the architecture. */
const pairs: readonly Pair[] = [
  {
    checkpoint: 'pytorch/akamaster/resnet20-12fca82f.th',
    data: 'cifar10',
    ...norm([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    correct: 932,
  },
  {
    checkpoint: 'pytorch/vnncomp/resnet2b_model_best.pth',
    data: 'cifar10',
    ...norm([0.4914, 0.4822, 0.4465], [0.2471, 0.2435, 0.2616]),
    correct: 716,
  },
  { checkpoint: 'pytorch/burn_mnist/mnist.pt', data: 'mnist', ...MNIST, correct: 9915 },
  { checkpoint: 'safetensors/burn_mnist.safetensors', data: 'mnist', ...MNIST, correct: 9917 },
  { checkpoint: 'pytorch/fashion_lenet5/lenet5.pth', data: 'fashion-mnist', ...HALF, correct: 4013 },
  { checkpoint: 'pytorch/fashion_lenet5/lenet5_wd.pth', data: 'fashion-mnist', ...HALF, correct: 4044 },
  { checkpoint: 'keras/subhadip/MNIST_CNN.keras', data: 'mnist', correct: 9888 },
  { checkpoint: 'keras/fashion_thiru_fashion_mnist_model.h5', data: 'fashion-mnist', correct: 3940 },
  { checkpoint: 'keras/mlperf_tiny/pretrainedResnet.h5', data: 'cifar10', scale: 1, correct: 895 },
  { checkpoint: 'tfjs/subhadip_cnn/model.json', data: 'mnist', correct: 9888 },
  { checkpoint: 'onnx/burn_mnist.onnx', data: 'mnist', ...MNIST, correct: 9916 },
  { checkpoint: 'onnx/mnist_zoo/model.onnx', data: 'mnist', scale: 1, correct: 9891 },
  { checkpoint: 'onnx/mnist_zoo/model.onnx', data: 'mnist', correct: 9890 },
  { checkpoint: 'onnx/vnncomp/mnist-net_256x2.onnx', data: 'mnist', correct: 9808 },
];

for (const { checkpoint, data, normalize, scale = 255, correct } of pairs) {
  test(`${checkpoint}, values over ${scale}: ${correct} correct`, { skip }, async () => {
    const samples = { path: place(`datasets/${data}`), split: 'test', scale, samples: 'all' } as const;
    const options = {
      ...DEFAULT_OPTIONS,
      data: { ...samples, ...(normalize && { normalize }) },
      steps: 0,
      threads: 1,
    };
    const result = await analyze({ checkpoint: place(`checkpoints/${checkpoint}`), options }, () => undefined);
    assert.equal(result.accuracy.correct, correct);
  });
}

test('a graph is lent to weights by shape, and gives what the graph with its own weights gives', { skip }, async () => {
  const graph = place('checkpoints/onnx/vnncomp/cifar_base_kw.onnx');
  const data = { path: place('datasets/cifar10'), split: 'test', scale: 255, samples: 'all' } as const;
  const options = { ...DEFAULT_OPTIONS, data, steps: 0, threads: 1 };
  const own = await analyze({ checkpoint: graph, options }, () => undefined);
  const checkpoint = place('checkpoints/onnx/vnncomp/cifar_base_kw.pth');
  const lent = await analyze({ checkpoint, options: { ...options, graph } }, () => undefined);
  assert.equal(lent.loss, own.loss);
  assert.deepEqual(lent.accuracy, own.accuracy);
});

/** Files that are refused, and why; all others of their folders are read to their last tensor. */
const refused: Readonly<Record<string, RegExp>> = {
  'reader__test_data__broken.pt': /^format unknown/,
  'keyerror-exploit.pkl': /^pickle refused: it wants to call os\.system/,
  'malicious-invalid-bytes.pkl': /^pickle refused: it wants to call os\.system/,
  'malicious1_v0.pkl': /^pickle refused: it wants to call builtins\.eval/,
  'malicious1_v3.pkl': /^pickle refused: it wants to call builtins\.eval/,
  'malicious1_v4.pkl': /^pickle refused: it wants to call builtins\.eval/,
  'malicious2_v4.pkl': /^pickle refused: it wants to call posix\.system/,
  'malicious9.pkl': /^pickle refused: it wants to call sys\.exit/,
  'pytorch_magic_bypass.pt': /^pickle refused: it wants to call builtins\.eval/,
  'benign0_v3.pkl': /^no tensors/,
  'int_arrays.npz': /^archive without a checkpoint/,
  'int_arrays_compressed.npz': /^archive without a checkpoint/,
  'not_a_pickle.bin': /^file truncated/,
  'object_array.npy': /^format unknown/,
  'perf_samples_idxs.npy': /^format unknown/,
  'pretrainedResnet.tflite': /^format unknown/,
  'group1-shard1of1.bin': /^/,
  'nn_10.json': /^format unknown/,
};

for (const folder of ['pytorch', 'safetensors', 'keras', 'tfjs', 'malicious-pickles']) {
  test(`every file is read to its last tensor, or refused for the expected reason: ${folder}`, { skip }, async () => {
    const root = place(`checkpoints/${folder}`);
    const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
    assert.ok(files.length > 3);
    for (const { name, parentPath } of files) {
      const reason = refused[basename(name)];
      const attempt = async (): Promise<void> => {
        for (const tensor of (await openCheckpoint(join(parentPath, name))).tensors.values()) tensor.bytes();
      };
      if (reason === undefined) await attempt();
      else {
        const fits = (error: unknown): boolean => error instanceof InputError && reason.test(error.message);
        await assert.rejects(attempt(), fits, name);
      }
    }
  });
}
