import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { analyze } from '../../server/src/analysis/analyze';
import { onnx } from '../../server/src/checkpoint/onnx/generated/onnx';
import { importGraph } from '../../server/src/checkpoint/onnx/import';
import { open as openOnnxFile } from '../../server/src/checkpoint/onnx/reader';
import { storedTensor } from '../../server/src/checkpoint/onnx/tensor';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { sharedData, withoutSharedData } from '../outside';
import { evaluate } from '../reference/interpreter';

/** Real checkpoints of every format: what they predict. `tensors.test.ts` has what they hold. */

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
  {
    checkpoint: 'onnx/vnncomp/resnet_2b.onnx',
    data: 'cifar10',
    ...norm([0.4914, 0.4822, 0.4465], [0.2471, 0.2435, 0.2616]),
    correct: 716,
  },
  // Channels last; the count is onnxruntime's.
  { checkpoint: 'onnx/vnncomp/cifar10_small.onnx', data: 'cifar10', correct: 644 },
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

test('every checkpoint of the table of pairs is counted', { skip }, () => {
  const table = readFileSync(place('README.md'), 'utf8').match(/^\| `(?:pytorch|onnx|keras|tfjs)\/.*$/gm) ?? [];
  const named = table.flatMap((row) => [...row.split('|')[1]!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!));
  assert.ok(named.length >= 15, `${named.length} checkpoints`);
  const counted = pairs.map(({ checkpoint }) => checkpoint);
  assert.deepEqual(
    named.filter((name) => !counted.some((one) => one.endsWith(name) || one === `${name}/model.json`)),
    [],
  );
});

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

test('the recorded inputs of mnist_zoo give its recorded outputs', { skip }, async () => {
  const folder = place('checkpoints/onnx/mnist_zoo');
  const graph = importGraph(await openOnnxFile(join(folder, 'model.onnx')));
  const [input] = [...graph.inputs.keys()];
  const recorded = (set: string, name: string): ArrayLike<number> => {
    const path = join(folder, set, name);
    return storedTensor(onnx.TensorProto.decode(readFileSync(path)), name, path).read().values;
  };
  const weights = [...graph.parameters].map(([name, { value }]) => [name, value] as const);
  const sets = ['test_data_set_0', 'test_data_set_1', 'test_data_set_2'];
  for (const set of sets) {
    const feeds = new Map<string, ArrayLike<number>>([...weights, [input!, recorded(set, 'input_0.pb')]]);
    const scores = Array.from(evaluate([...graph.outputs.values()], feeds)[0]!);
    const wanted = Array.from(recorded(set, 'output_0.pb'));
    const scale = Math.max(...wanted.map(Math.abs));
    assert.equal(scores.length, wanted.length);
    const error = Math.max(...scores.map((score, i) => Math.abs(score - wanted[i]!))) / scale;
    assert.ok(error < 1e-5, `${set}: relative error ${error}`);
  }
});
