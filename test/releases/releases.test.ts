import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { networkOf } from '../../server/src/checkpoint/model';
import { inspectCheckpoint } from '../../server/src/checkpoint/inspect';
import { importGraph } from '../../server/src/checkpoint/onnx/import';
import { openCheckpoint } from '../../server/src/checkpoint/open';
import { prune } from '../../server/src/prune/prune';
import { projectRoot } from '../outside';
import { evaluate } from '../reference/interpreter';

/**
 * Files of the PyTorch, safetensors, Keras and ONNX that are installed, made on
 * the fly (make.py), read here, pruned here, and loaded there again (check.py).
 */

/** The interpreter that has them. */
const PYTHON = process.env.TEST_PYTHON ?? 'python3';
const MODULES = 'h5py, keras, numpy, onnx, onnxruntime, safetensors, torch';
/** Seconds after which a script that hangs is ended. */
const PATIENCE = 500;
/** The Keras networks are of a few hundred weights: at 90 % nothing gets through them. */
const sparsityOf = (file: string): number => (/\.(keras|h5)$/.test(file) ? 0.5 : 0.9);
/** Sums of float32 in another order, relative to the largest output. */
const ROUNDING = 1e-5;

type Described = readonly [name: string | null, dtype: string, shape: readonly number[], sha256: string];

interface ModelFile {
  readonly file: string;
  readonly graph?: string;
  readonly shape: readonly number[];
  readonly input: readonly number[];
  readonly output: readonly number[];
}

interface Expected {
  readonly versions: Readonly<Record<string, string>>;
  readonly tensors: Readonly<Record<string, readonly Described[]>>;
  readonly models: readonly ModelFile[];
}

interface Export {
  readonly different: readonly string[];
  readonly error: number;
}

interface Checked {
  readonly zeros: number;
  readonly different: readonly string[];
  readonly equal: boolean;
  readonly varied: boolean;
  readonly dense: Export;
  readonly sparse: Export;
}

function withoutReleases(): string | false {
  const found = `import importlib.util as u; assert all(u.find_spec(name) for name in '${MODULES}'.split(', '))`;
  if (spawnSync(PYTHON, ['-c', found], { stdio: 'ignore' }).status === 0) return false;
  return `needs ${MODULES} in ${PYTHON}; TEST_PYTHON names another interpreter`;
}

/** Runs a script of this folder to its end, and returns what it prints. */
async function python(script: string, folder: string): Promise<string> {
  const child = spawn(PYTHON, [join(projectRoot(), 'test/releases', script), folder], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 1000 * PATIENCE,
  });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  assert.equal(status, 0, `${script}: ${err.slice(-4000)}`);
  return out;
}

describe('current releases', { skip: withoutReleases() }, () => {
  let folder: string;
  let expected: Expected;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pruning-limit-releases-'));
    await python('make.py', folder);
    expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Expected;
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('write tensors that are read bit for bit', async (t) => {
    t.diagnostic(JSON.stringify(expected.versions));
    let count = 0;
    for (const [file, wished] of Object.entries(expected.tensors)) {
      const { tensors } = await inspectCheckpoint(join(folder, file), true);
      const found = tensors.map(({ name, dtype, shape, sha256 }) => [name, dtype, shape, sha256]);
      count += wished.length;
      if (wished[0]![0] !== null) assert.deepEqual(byName(found), byName(wished), file);
      else assert.deepEqual(nameless(found), nameless(wished), file);
    }
    t.diagnostic(`${count} tensors of ${Object.keys(expected.tensors).length} files`);
    assert.ok(count > 300, `${count} tensors`);
  });

  it('compute what is computed here', async (t) => {
    let worst = 0;
    for (const { file, graph, shape, input, output } of expected.models) {
      const network = await networkOf(await openCheckpoint(join(folder, file)), {
        graph: graph === undefined ? undefined : join(folder, graph),
      });
      const { inputs, outputs, parameters } = importGraph(network, { batch: shape[0]! });
      const feeds = new Map<string, ArrayLike<number>>([...parameters].map(([key, { value }]) => [key, value]));
      for (const name of inputs.keys()) feeds.set(name, input);
      const found = [...evaluate([...outputs.values()], feeds)[0]!];
      assert.equal(found.length, output.length);
      const scale = Math.max(...output.map(Math.abs));
      const error = Math.max(...found.map((x, i) => Math.abs(x - output[i]!))) / scale;
      assert.ok(error < ROUNDING, `${file}: relative error ${error}`);
      worst = Math.max(worst, error);
    }
    t.diagnostic(`${expected.models.length} networks, largest relative error ${worst.toExponential(1)}`);
  });

  it('load what is written, and compute with it what they compute with the same zeros', async (t) => {
    mkdirSync(join(folder, 'out'));
    const zeros = new Map<string, number>();
    for (const { file, graph } of expected.models) {
      const write = (output: string, sparse: boolean) =>
        prune(
          {
            checkpoint: join(folder, file),
            output: join(folder, 'out', output),
            ...(graph !== undefined && { graph: join(folder, graph) }),
            mask: join(folder, 'out', `${file}.npz`),
            target: { kind: 'sparsity', sparsity: sparsityOf(file) },
            // Of every layer, so that the outputs still depend on the inputs.
            method: 'uniform',
            allowDisconnected: true,
            sparse,
            overwrite: true,
          },
          () => {},
        );
      const { weights, kept, layers } = await write(file, false);
      zeros.set(file, weights - kept);
      assert.ok(kept <= (1 - sparsityOf(file)) * weights + layers.length, `${file}: ${kept} of ${weights} kept`);
      await write(`${file}.dense.onnx`, false);
      await write(`${file}.sparse.onnx`, true);
    }
    const report = JSON.parse(await python('check.py', folder)) as Record<string, Checked>;
    const out = readdirSync(join(folder, 'out'));
    /** With its external data. */
    const size = (name: string): number =>
      out
        .filter((each) => each.startsWith(name))
        .reduce((sum, each) => sum + statSync(join(folder, 'out', each)).size, 0);
    for (const [file, checked] of Object.entries(report)) {
      const { equal, different, varied, dense, sparse } = checked;
      const share = size(`${file}.sparse.onnx`) / size(`${file}.dense.onnx`);
      t.diagnostic(
        `${file}: ${checked.zeros} zeros; ONNX ${dense.error.toExponential(1)}, sparse ${(100 * share).toFixed(1)} %`,
      );
      assert.deepEqual({ equal, different, varied }, { equal: true, different: [], varied: true }, file);
      assert.equal(checked.zeros, zeros.get(file), file);
      for (const each of [dense, sparse]) {
        assert.deepEqual(each.different, [], file);
        assert.ok(each.error < ROUNDING, `${file}: relative error ${each.error}`);
      }
      if (file.startsWith('mlp')) assert.ok(share <= 0.25, `${file}: sparse ONNX has ${share} of the dense size`);
    }
    assert.equal(Object.keys(report).length, expected.models.length);
  });
});

const byName = (list: readonly (readonly unknown[])[]): Record<string, unknown> =>
  Object.fromEntries(list.map(([name, ...rest]) => [name, rest]));

/** As a set that counts: what the library calls its weights, the file may call otherwise. */
const nameless = (list: readonly (readonly unknown[])[]): string[] =>
  list.map(([, ...rest]) => JSON.stringify(rest)).sort();
