import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it, test, type TestContext } from 'node:test';
import type { AnalysisResult } from '../../protocol/analysis';
import type { PruneResult } from '../../protocol/prune';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { networkOf } from '../../server/src/checkpoint/model';
import { importGraph } from '../../server/src/checkpoint/onnx/import';
import { openCheckpoint } from '../../server/src/checkpoint/open';
import { readNpz } from '../../server/src/dataset/arrays';
import { temporaryFolder } from '../files';
import { projectRoot, sharedData, withoutSharedData } from '../outside';
import { safetensorsBytes, tinyShards } from '../checkpoints/shards';
import { floats, modelBytes, node } from '../onnx-models';
import { testRandom } from '../reference/cases';
import { evaluate } from '../reference/interpreter';
import { COMMAND, computeProcesses, isRunning, run, start, until, withoutProc } from './command';

/** The real command on checkpoints of every format but ONNX, which prune.test.ts has. */

const files = join(projectRoot(), 'test/checkpoints/files');

/** A folder with one of the committed files, or with a checkpoint of several files. */
function folderWith(
  t: TestContext,
  name: string,
): { readonly cwd: string; readonly prune: (...more: string[]) => string[] } {
  const cwd = temporaryFolder(t, tinyShards());
  if (!readdirSync(cwd).includes(name)) copyFileSync(join(files, name), join(cwd, name));
  return { cwd, prune: (...more) => ['prune', name, ...more] };
}

/** Values as the file has them, by the name of the tensor. */
async function stored(path: string): Promise<Map<string, readonly number[]>> {
  const { tensors } = await openCheckpoint(path);
  return new Map([...tensors].map(([name, tensor]) => [name, [...tensor.read().values]]));
}

const cases = [
  { file: 'sequential.keras', output: 'out.keras' },
  { file: 'sequential.h5', output: 'out.h5' },
  { file: 'functional.keras', output: 'out.keras' },
  { file: 'tied.pt', output: 'out.pt' },
  { file: 'mlp.safetensors.index.json', output: 'out.safetensors.index.json' },
  { file: 'model.json', output: 'out.json' },
] as const;

describe('a pruned network goes back into the format it came from', () => {
  for (const { file, output } of cases) {
    it(file, async (t) => {
      const { cwd, prune } = folderWith(t, file);
      const { status, stdout, stderr } = await run(
        prune('--sparsity', '0.6', '-o', output, '--mask', 'm.npz', '--allow-disconnected', '--json'),
        { cwd },
      );
      assert.equal(status, 0, stderr);
      const result = JSON.parse(stdout) as PruneResult;
      const before = await stored(join(cwd, file));
      const after = await stored(join(cwd, output));
      const names = result.layers.map(({ name }) => name);
      // The twin: kernels as the file has them, one threshold, whatever their axes mean.
      const sizes = names
        .flatMap((name) => before.get(name)!)
        .map(Math.abs)
        .sort((a, b) => b - a);
      const threshold = sizes[result.kept - 1]!;
      const masks = await readNpz(join(cwd, 'm.npz'), names);
      for (const [name, values] of before) {
        const layer = names.indexOf(name);
        const wished = layer < 0 ? values : values.map((w) => (Math.abs(w) >= threshold ? w : 0));
        assert.deepEqual(after.get(name), wished, name);
        if (layer < 0) continue;
        assert.deepEqual(masks[layer]!.shape, result.layers[layer]!.shape);
        assert.deepEqual(
          [...masks[layer]!.values],
          wished.map((w) => (w === 0 ? 0 : 1)),
        );
      }
      assert.equal(result.kept, sizes.length - Math.floor(0.6 * sizes.length));
    });
  }
});

/** Outputs of a network by the definition of its nodes. */
async function outputsOf(path: string, input: readonly number[]): Promise<number[]> {
  const network = await networkOf(await openCheckpoint(path), {});
  const { inputs, outputs, parameters } = importGraph(network, { batch: 1 });
  const feeds = new Map<string, ArrayLike<number>>([...parameters].map(([key, { value }]) => [key, value]));
  for (const name of inputs.keys()) feeds.set(name, input);
  return [...evaluate([...outputs.values()], feeds)[0]!];
}

/** The same by onnxruntime, from the file as any other program would read it. */
async function runtimeOutputsOf(path: string, input: readonly number[]): Promise<number[]> {
  const session = await InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const [described] = session.inputMetadata;
  assert.ok(described?.isTensor);
  const shape = described.shape.map((size) => (typeof size === 'number' ? size : 1));
  const results = await session.run({ [described.name]: new Tensor('float32', Float32Array.from(input), shape) });
  await session.release();
  return [...(Object.values(results)[0]!.data as Float32Array)];
}

describe('any network can be exported to ONNX, pruned', () => {
  for (const { file, output } of cases) {
    it(file, async (t) => {
      const { cwd, prune } = folderWith(t, file);
      const random = testRandom(4);
      // As many as the largest input has.
      const input = Array.from({ length: 8 * 8 * 3 }, () => 2 * random() - 1);
      for (const [target, ...more] of [[output], ['dense.onnx'], ['sparse.onnx', '--sparse']]) {
        const args = prune('--sparsity', '0.52', '-o', target!, '--allow-disconnected', ...more);
        const { status, stderr } = await run(args, { cwd });
        assert.equal(status, 0, stderr);
      }
      const network = importGraph(await networkOf(await openCheckpoint(join(cwd, file)), {}), { batch: 1 });
      const count = [...network.inputs.values()][0]!.shape.reduce((n, size) => n * size, 1);
      const wished = await outputsOf(join(cwd, output), input.slice(0, count));
      for (const target of ['dense.onnx', 'sparse.onnx']) {
        for (const found of [
          await outputsOf(join(cwd, target), input.slice(0, count)),
          await runtimeOutputsOf(join(cwd, target), input.slice(0, count)),
        ]) {
          const error = Math.max(...found.map((x, i) => Math.abs(x - wished[i]!)));
          assert.ok(found.length === wished.length && error < 1e-5, `${target}: error ${error}`);
        }
      }
    });
  }

  it('weights that borrow a graph go into that graph', async (t) => {
    const { cwd, prune } = folderWith(t, 'parallel.pt');
    const weights = [...(await openCheckpoint(join(cwd, 'parallel.pt'))).tensors.values()].filter(
      ({ dtype }) => dtype === 'float32',
    );
    const graph = modelBytes({
      inputs: [['x', ['N', 1, 4, 4]]],
      outputs: [['y', ['N', 3]]],
      nodes: [
        node('Conv', ['x', 'conv.weight', 'conv.bias'], ['c']),
        node(
          'BatchNormalization',
          ['c', ...['weight', 'bias', 'running_mean', 'running_var'].map((x) => `norm.${x}`)],
          ['n'],
        ),
        node('Relu', ['n'], ['r']),
        node('Flatten', ['r'], ['f']),
        node('Gemm', ['f', 'fc.weight', 'fc.bias'], ['y'], { transB: 1 }),
      ],
      tensors: weights.map(({ name, shape }) =>
        floats(name.replace('module.', ''), shape, new Array<number>(shape.reduce((n, size) => n * size, 1)).fill(1)),
      ),
    });
    writeFileSync(join(cwd, 'graph.onnx'), graph);
    for (const target of ['out.pt', 'out.onnx']) {
      const { status, stderr } = await run(prune('--sparsity', '0.5', '--graph', 'graph.onnx', '-o', target), { cwd });
      assert.equal(status, 0, stderr);
    }
    const [own, exported] = [await stored(join(cwd, 'out.pt')), await stored(join(cwd, 'out.onnx'))];
    assert.equal(exported.size, weights.length);
    for (const [name, values] of exported) assert.deepEqual(values, own.get(`module.${name}`), name);
    assert.equal(
      exported
        .get('fc.weight')!
        .concat(exported.get('conv.weight')!)
        .filter((w) => w === 0).length,
      21,
    );
  });
});

test('two names for the same weights stay consistent, or are refused by name', async (t) => {
  const { cwd, prune } = folderWith(t, 'tied.pt');
  // Every weight is there twice, and an odd number cannot be pruned.
  const odd = await run(prune('--sparsity', '0.5', '-o', 'odd.pt'), { cwd });
  assert.equal(odd.status, 2);
  assert.match(
    odd.stderr,
    /^pruning-limit: weights shared: 2\.weight and 0\.weight lie in the same bytes and would be pruned differently \(tied\.pt\); save the network with a \.clone\(\) of one of them$/m,
  );
  assert.equal(readdirSync(cwd).includes('odd.pt'), false);
  const even = await run(prune('--sparsity', '0.52', '-o', 'even.pt', '--json'), { cwd });
  assert.equal(even.status, 0, even.stderr);
  assert.equal((JSON.parse(even.stdout) as PruneResult).kept, 24);
});

/** A mistake, and the one sentence that answers it. */
const mistakes: readonly {
  readonly what: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly prepare?: (folder: string) => void;
  readonly says: RegExp;
}[] = [
  {
    what: 'a name of another format',
    file: 'sequential.keras',
    args: ['-o', 'out.pt'],
    says: /^name of another format: out\.pt would be Keras, not PyTorch; let it end in \.keras/,
  },
  {
    what: 'sparse weights in a format that has none',
    file: 'sequential.keras',
    args: ['-o', 'out.keras', '--sparse'],
    says: /^sparse Keras: only ONNX has sparse weights; let out\.keras end in \.onnx, or leave out --sparse$/,
  },
  {
    what: 'an unknown network',
    file: 'parallel.pt',
    args: ['-o', 'out.pt'],
    says: /^no architecture fits: closest is .*; export the network with torch\.onnx\.export/,
  },
  {
    what: 'an architecture that is another',
    file: 'tied.pt',
    args: ['-o', 'out.pt', '--architecture', 'resnet18'],
    says: /^architecture does not fit: resnet18/,
  },
  {
    what: 'a shard in the way that is an input',
    file: 'mlp.safetensors.index.json',
    args: ['-o', 'sub/mlp.safetensors.index.json', '--force'],
    prepare: (folder) => {
      mkdirSync(join(folder, 'sub'));
      writeFileSync(join(folder, 'sub/mlp-1.safetensors'), 'of another model');
      symlinkSync('../mlp-1.safetensors', join(folder, 'sub/mlp.mlp-1.safetensors'));
    },
    says: /^file is an input: .*sub\/mlp\.mlp-1\.safetensors; choose another place, it would be overwritten$/,
  },
  {
    what: 'a shard in the way',
    file: 'model.json',
    args: ['-o', 'out.json'],
    prepare: (folder) => writeFileSync(join(folder, 'out.b.bin'), 'old'),
    says: /^file exists: .*out\.b\.bin; choose another name, or allow it to be replaced with --force$/,
  },
];

const listing = (folder: string): string[] => readdirSync(folder, { recursive: true }).map(String).sort();

describe('bad input: pruning other formats', { concurrency: 2 }, () => {
  for (const { what, file, args, prepare, says } of mistakes) {
    it(what, async (t) => {
      const { cwd, prune } = folderWith(t, file);
      prepare?.(cwd);
      const before = listing(cwd);
      const { status, stdout, stderr } = await run(prune('--sparsity', '0.5', ...args), { cwd });
      const sentence = stderr.split('\n').find((line) => line.startsWith('pruning-limit: ')) ?? stderr;
      assert.match(sentence.slice('pruning-limit: '.length), says);
      assert.deepEqual([status, stdout], [2, '']);
      assert.deepEqual(listing(cwd), before, 'nothing is left behind');
    });
  }
});

describe('a full disk leaves nothing half-written', { skip: process.platform === 'win32' }, () => {
  for (const { file, output } of cases) {
    it(file, async (t) => {
      const { cwd, prune } = folderWith(t, file);
      writeFileSync(join(cwd, output), 'before');
      const before = listing(cwd);
      // No file may grow beyond so much: to a writer the same as a disk without room.
      const limit = file === 'tied.pt' || file.endsWith('.json') ? 1 : 16;
      const shell = ['bash', '-c', `ulimit -f ${limit}; exec "$@"`, 'bash', process.execPath, COMMAND] as const;
      const args = prune('--sparsity', '0.52', '-o', output, '--force', '--allow-disconnected');
      const { status, stdout, stderr } = await start(args, { cwd }, [...shell]).finished;
      assert.deepEqual([status, stdout], [2, ''], stderr);
      assert.match(stderr, /^pruning-limit: file not written: .*choose another place$/m);
      assert.deepEqual(listing(cwd), before);
      assert.equal(readFileSync(join(cwd, output), 'utf8'), 'before');
    });
  }
});

/** A multilayer perceptron whose shards take a while to be written and read back. */
function slowShards(): Record<string, Uint8Array | string> {
  const random = testRandom(5);
  const values = (count: number): number[] => Array.from({ length: count }, () => 2 * random() - 1);
  const [first, second] = ['mlp-1.safetensors', 'mlp-2.safetensors'];
  return {
    'mlp.safetensors.index.json': JSON.stringify({ weight_map: { '0.weight': first, '2.weight': second } }),
    [first!]: safetensorsBytes({ '0.weight': [[1500, 700], values(1500 * 700)] }),
    [second!]: safetensorsBytes({ '2.weight': [[5, 1500], values(5 * 1500)] }),
  };
}

describe(
  'killed in the middle, the checkpoint is whole or not there, and the old one is as it was',
  {
    skip: withoutProc(),
  },
  () => {
    const OUTPUT = 'out.safetensors.index.json';
    /** Whom, and when, in milliseconds after the staging folder has appeared; null for the first word of the pruning. */
    const kills = [
      ['the command', null],
      ['the compute process', null],
      ['the command', 0],
      ['the compute process', 0],
      ['the command', 60],
      ['the compute process', 60],
    ] as const;

    it('whoever is killed, and whenever', async (t) => {
      const cwd = temporaryFolder(t, slowShards());
      const before = new Map(listing(cwd).map((name) => [name, readFileSync(join(cwd, name))]));
      const isStaged = (): boolean => listing(cwd).some((name) => name.startsWith('.out.'));
      let cut = 0;
      for (const [victim, wait] of kills) {
        const what = `${victim}, ${wait} ms`;
        const args = ['prune', 'mlp.safetensors.index.json', '--sparsity', '0.5', '-o', OUTPUT];
        const life = start(args, { cwd });
        const hasEnded = (): boolean => life.process.exitCode !== null;
        await until(() => life.stderr().includes('pruning') || hasEnded(), 'pruning begins');
        const computing = computeProcesses(life.process.pid!);
        if (wait !== null) {
          while (!isStaged() && !hasEnded()) await new Promise((resolve) => setTimeout(resolve, 1));
          await new Promise((resolve) => setTimeout(resolve, wait));
        }
        if (victim === 'the command') life.process.kill('SIGKILL');
        else for (const pid of computing) tryToKill(pid);
        const { status } = await life.finished;
        await until(() => !computing.some(isRunning), 'the compute process ends');
        if (status !== 0) cut++;

        const names = listing(cwd);
        assert.deepEqual(
          names.filter((name) => name.startsWith('.')),
          [],
          `${what}: nothing is left behind`,
        );
        for (const [name, bytes] of before) assert.ok(readFileSync(join(cwd, name)).equals(bytes), `${what}: ${name}`);
        // A compute process that is killed cannot put back what it was just moving.
        if (!names.includes(OUTPUT) && victim === 'the command') assert.deepEqual(names, [...before.keys()], what);
        if (names.includes(OUTPUT)) {
          const weights = [...(await stored(join(cwd, OUTPUT))).values()].flat();
          assert.equal(weights.filter((w) => w === 0).length, Math.floor(weights.length / 2), what);
        }
        for (const name of names) if (!before.has(name)) rmSync(join(cwd, name));
      }
      assert.ok(cut >= 2, `${cut} were cut off`);
    });
  },
);

function tryToKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** Real checkpoints, and the loss that an analysis of what was written finds. */
const REAL = [
  { file: 'pytorch/burn_mnist/mnist.pt', data: 'mnist', normalize: '.1307;.3081' },
  { file: 'safetensors/burn_mnist.safetensors', data: 'mnist', normalize: '.1307;.3081' },
  { file: 'pytorch/akamaster/resnet20-12fca82f.th', data: 'cifar10', normalize: '.485,.456,.406;.229,.224,.225' },
  { file: 'pytorch/fashion_lenet5/lenet5.pth', data: 'fashion-mnist', normalize: '.5;.5' },
  { file: 'keras/subhadip/MNIST_CNN.keras', data: 'mnist', normalize: undefined },
  { file: 'keras/fashion_thiru_fashion_mnist_model.h5', data: 'fashion-mnist', normalize: undefined },
  { file: 'tfjs/subhadip_cnn/model.json', data: 'mnist', normalize: undefined },
] as const;

describe('what is said of a pruned checkpoint is what an analysis of it says', { skip: withoutSharedData() }, () => {
  const measured = new Map<string, PruneResult>();
  for (const { file, data, normalize } of REAL) {
    it(file, async (t) => {
      const cwd = temporaryFolder(t);
      const options = [
        ...['--data', join(sharedData()!, 'datasets', data), '--samples', '300', '--threads', '1', '--json'],
        ...(normalize === undefined ? [] : ['--normalize', normalize]),
      ];
      const checkpoint = join(sharedData()!, 'checkpoints', file);
      const output = join(cwd, basename(file));
      const pruned = await run(['prune', checkpoint, '--sparsity', '0.7', '-o', output, ...options], { cwd });
      assert.equal(pruned.status, 0, pruned.stderr);
      const result = JSON.parse(pruned.stdout) as PruneResult;
      const analyzed = await run(['analyze', output, '--steps', '0', ...options], { cwd });
      assert.equal(analyzed.status, 0, analyzed.stderr);
      const analysis = JSON.parse(analyzed.stdout) as AnalysisResult;
      assert.deepEqual(result.measured!.after, { loss: analysis.loss, correct: analysis.accuracy.correct });
      assert.ok(Math.abs(result.sparsity - 0.7) < 1e-4);
      // And so it is of what was exported.
      const onnx = join(cwd, 'out.onnx');
      const exported = await run(['prune', checkpoint, '--sparsity', '0.7', '--sparse', '-o', onnx, ...options], {
        cwd,
      });
      assert.equal(exported.status, 0, exported.stderr);
      const again = JSON.parse(
        (await run(['analyze', onnx, '--steps', '0', ...options], { cwd })).stdout,
      ) as AnalysisResult;
      assert.deepEqual([again.loss, again.accuracy.correct], [analysis.loss, analysis.accuracy.correct]);
      measured.set(file, result);
    });
  }

  it('the same weights in two formats lose the same', () => {
    const [keras, tfjs] = ['keras/subhadip/MNIST_CNN.keras', 'tfjs/subhadip_cnn/model.json'].map((file) =>
      measured.get(file)!,
    );
    assert.deepEqual(keras!.measured!.after, tfjs!.measured!.after);
    assert.deepEqual(
      keras!.layers.map(({ kept }) => kept),
      tfjs!.layers.map(({ kept }) => kept),
    );
  });
});
