import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { RetrainResult } from '../../protocol/retrain';
import { openModel } from '../../server/src/checkpoint/model';
import { Magnitudes } from '../../server/src/limit/magnitudes';
import { Random } from '../../server/src/random';
import { COMMAND, computeProcesses, run, start, until, withoutProc } from './command';
import { assertMatches } from './schema';
import { trainSubject } from './train-subject';

const DATA = ['--data', 'data', '--batch', '16', '--threads', '1'];
const BASE = ['retrain', 'dense.onnx', ...DATA, '-o', 'out.onnx', '--epochs', '4', '--rate', '0.05'];

/** A folder with data and `dense.onnx`, which is trained. */
async function denseSubject(t: TestContext, samples?: number): Promise<string> {
  const cwd = trainSubject(t, samples);
  const args = ['train', 'net.onnx', ...DATA, '-o', 'dense.onnx', '--epochs', '6', '--rate', '0.05'];
  const { status, stderr } = await run(args, { cwd });
  assert.equal(status, 0, stderr);
  return cwd;
}

async function retrained(cwd: string, ...args: string[]): Promise<RetrainResult> {
  const { status, stdout, stderr } = await run([...BASE, ...args, '--json'], { cwd });
  assert.equal(status, 0, stderr);
  const result = JSON.parse(stdout) as RetrainResult;
  assertMatches('retrained', result);
  return result;
}

async function weightsOf(path: string): Promise<readonly Float32Array[]> {
  const { layers, parameters } = await openModel(path, { batch: 1 });
  return layers.map(({ name }) => parameters.get(name)!.value);
}

describe('retrain', () => {
  it('finds the sparsity from which the loss comes back, and writes that network', async (t) => {
    const cwd = await denseSubject(t);
    const { dense, epsilon, trials, brackets, limit, weights, samples } = await retrained(cwd, '--seeds', '2');
    assert.equal(samples, 150);
    const target = dense.loss + epsilon.value;
    for (const { loss, reached, epochs } of trials) {
      assert.equal(reached, loss !== null && loss <= target);
      assert.ok(reached ? epochs <= 4 : epochs === 4, `${epochs} epochs`);
    }
    assert.ok(
      trials.some(({ reached, epochs }) => reached && epochs > 0),
      'training has brought one back',
    );
    assert.deepEqual(
      brackets.map(({ seed }) => seed),
      [1, 2],
    );
    for (const { seed, reached, missed } of brackets) {
      const own = trials.filter((trial) => trial.seed === seed);
      assert.equal(reached, Math.max(...own.filter((trial) => trial.reached).map(({ sparsity }) => sparsity)));
      const above = own.filter((trial) => !trial.reached && trial.sparsity > reached).map(({ sparsity }) => sparsity);
      assert.equal(missed, Math.min(...above));
    }
    assert.deepEqual(limit!.interval, [
      Math.min(...brackets.map(({ reached }) => reached)),
      Math.max(...brackets.map(({ missed }) => missed)),
    ]);
    assert.deepEqual(readdirSync(cwd).sort(), ['data', 'dense.onnx', 'net.onnx', 'out.onnx']);

    // The output is the sparsest: the mask is that of the dense network's magnitudes, and its loss is what was said.
    const best = Math.max(...brackets.map(({ reached }) => reached));
    const [before, after] = [await weightsOf(join(cwd, 'dense.onnx')), await weightsOf(join(cwd, 'out.onnx'))];
    const kept = Math.round((1 - best) * weights);
    Magnitudes.of(before)
      .masks(kept)
      .forEach((mask, layer) =>
        mask.forEach((stays, i) => assert.ok(stays === 1 || after[layer]![i] === 0, `layer ${layer}, weight ${i}`)),
      );
    const args = ['analyze', 'out.onnx', '--data', 'data', '--split', 'train', '--steps', '0', '--json'];
    const { loss } = JSON.parse((await run(args, { cwd })).stdout) as { loss: number };
    const said = trials.find(({ reached, sparsity }) => reached && sparsity === best)!.loss!;
    assert.ok(Math.abs(loss - said) < 1e-5 && loss <= target + 1e-5, `${loss}, said ${said}, allowed ${target}`);
  });

  it('calls what diverges not come back', async (t) => {
    const cwd = await denseSubject(t);
    const { trials, brackets } = await retrained(cwd, '--rate', '1e20');
    assert.ok(
      trials.some(({ loss }) => loss === null),
      'a training has diverged',
    );
    // What is left is pruning at once.
    const without = trials.filter(({ reached }) => reached);
    assert.ok(without.length > 0 && without.every(({ epochs }) => epochs === 0));
    assert.ok(existsSync(join(cwd, 'out.onnx')) && brackets[0]!.reached > 0);
  });

  it('answers from 0 where nothing that was tried comes back, for every seed', async (t) => {
    const cwd = await denseSubject(t);
    // Half of the weights, a training that does not move, and a bracket that is narrow enough with that.
    const hopeless = ['--epochs', '1', '--rate', '1e-12', '--epsilon', 'abs:1e-6', '--tolerance', '0.5'];
    const { dense, brackets, limit, trials } = await retrained(cwd, ...hopeless, '--seeds', '2');
    assert.deepEqual(
      brackets.map(({ seed, reached, missed }) => [seed, reached, missed]),
      [
        [1, 0, 0.5],
        [2, 0, 0.5],
      ],
    );
    assert.deepEqual(limit, { sparsity: 0.25, interval: [0, 0.5] });
    for (const { score } of brackets) assert.deepEqual(score, dense.score);
    assert.ok(trials.every(({ sparsity, reached }) => reached === (sparsity === 0)));
    const [before, after] = [await weightsOf(join(cwd, 'dense.onnx')), await weightsOf(join(cwd, 'out.onnx'))];
    assert.deepEqual(after, before);
    assert.deepEqual(readdirSync(cwd).sort(), ['data', 'dense.onnx', 'net.onnx', 'out.onnx']);
  });

  it('says it in words too', async (t) => {
    const cwd = await denseSubject(t);
    const { status, stdout, stderr } = await run([...BASE, '--epochs', '1'], { cwd });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^dense\.onnx\n228 prunable weights, 150 training samples\n/);
    assert.match(stdout, /Comes back to its loss from \d+\.\d\d % \(.*\)\nwithin 1 epoch, with 1 order of the samples/);
    assert.match(stdout, /seed +sparsity +kept +epochs +loss\n/);
    assert.match(stderr, /did not come back: loss [\d.]+ after 1 epoch, allowed/);
  });
});

const LONG = ['--epochs', '150', '--seeds', '2', '--resume'];
/** Shorter, as it is made twice. */
const CUT = ['--epochs', '40', '--seeds', '2', '--resume'];

describe('a search that is cut off', { skip: withoutProc() }, () => {
  it('goes on to the same bytes and trials after kills at random moments', async (t) => {
    const cwd = await denseSubject(t, 600);
    const begin = performance.now();
    const expected = await retrained(cwd, ...CUT);
    const total = expected.trials.reduce((sum, { epochs }) => sum + epochs, 0);
    // Moments in the course of the search, however fast the machine is.
    const perEpoch = (performance.now() - begin) / total;
    const bytes = readFileSync(join(cwd, 'out.onnx'));
    rmSync(join(cwd, 'out.onnx'));
    const random = Random.stream(7, 'kills');
    for (let kills = 0; kills < 4; kills++) {
      const life = start([...BASE, ...CUT], { cwd });
      const epochs = random.below(Math.ceil(total / 10));
      const pause = 5 * perEpoch * random.uniform();
      const count = (): number => life.stderr().split('near zero').length - 1;
      await until(() => count() >= epochs || life.process.exitCode !== null, `${epochs} epochs`);
      await new Promise((resolve) => setTimeout(resolve, pause));
      for (const pid of computeProcesses(life.process.pid!)) killed(pid);
      life.process.kill('SIGKILL');
      const { signal, stderr } = await life.finished;
      assert.equal(signal, 'SIGKILL', stderr);
    }
    assert.deepEqual(await retrained(cwd, ...CUT), expected);
    assert.deepEqual(readFileSync(join(cwd, 'out.onnx')), bytes);
  });

  it('ends after its epoch when it is interrupted, and keeps what it has', async (t) => {
    const cwd = await denseSubject(t, 600);
    const life = start([...BASE, ...LONG], { cwd });
    await until(() => life.stderr().includes('epoch   3 of 150'), 'the third epoch');
    life.process.kill('SIGINT');
    const { status, stdout, stderr } = await life.finished;
    assert.equal(status, 130, stderr);
    assert.match(stdout, /Stopped on request/);
    assert.ok(existsSync(join(cwd, 'out.onnx.trials')) && !existsSync(join(cwd, 'out.onnx')));
  });
});

function killed(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['output is the input', ['-o', 'net.onnx', '--force'], /file is an input: net\.onnx; choose another place/],
  ['no data', ['--data', 'nowhere'], /data not found: nowhere/],
  ['tolerance above 1', ['--tolerance', '2'], /--tolerance out of range: 2; give 0 to 1/],
  ['no seed', ['--seeds', '0'], /--seeds out of range: 0/],
  ['no tolerance of the loss', ['--epsilon', 'abs:0'], /--epsilon takes batch-std, abs:X or rel:X/],
  ['no epoch', ['--epochs', '0'], /--epochs out of range: 0/],
];

describe('retrain refuses', () => {
  for (const [name, args, message] of refused) {
    it(`${name}, and writes nothing`, async (t) => {
      const cwd = trainSubject(t);
      const before = readFileSync(join(cwd, 'net.onnx'));
      const { status, stdout, stderr } = await run(['retrain', 'net.onnx', ...DATA, '-o', 'out.onnx', ...args], {
        cwd,
      });
      assert.deepEqual([status, stdout], [2, ''], stderr);
      assert.match(stderr, message);
      assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
      assert.deepEqual(readFileSync(join(cwd, 'net.onnx')), before);
      assert.deepEqual(readdirSync(cwd).sort(), ['data', 'net.onnx']);
    });
  }

  it('to replace a file, or a search that was begun, unless told to', async (t) => {
    const cwd = await denseSubject(t);
    writeFileSync(join(cwd, 'out.onnx'), 'precious');
    for (const more of [[], ['--resume']]) {
      const { status, stderr } = await run([...BASE, ...more], { cwd });
      assert.equal(status, 2);
      assert.match(stderr, more.length > 0 ? /nothing to go on with: out\.onnx is there/ : /file exists: out\.onnx/);
      assert.equal(readFileSync(join(cwd, 'out.onnx'), 'utf8'), 'precious');
    }
  });

  it('data without the split that is asked for', async (t) => {
    const cwd = await denseSubject(t);
    for (const name of ['images-idx3', 'labels-idx1']) rmSync(join(cwd, `data/t10k-${name}-ubyte`));
    const { status, stderr } = await run(BASE, { cwd });
    assert.equal(status, 2);
    assert.match(stderr, /split not found: test in data.*--evaluate none/);
    const { brackets } = await retrained(cwd, '--evaluate', 'none');
    assert.equal(brackets[0]!.score, null);
  });

  it('a full disk, and leaves what was there', { skip: process.platform !== 'linux' }, async (t) => {
    const cwd = await denseSubject(t);
    writeFileSync(join(cwd, 'out.onnx'), 'precious');
    const quoted = [process.execPath, COMMAND, ...BASE, '--force'].map((word) => `'${word}'`).join(' ');
    // A limit on the size of files stands for the disk.
    const shell = `trap '' XFSZ; ulimit -f 1; exec ${quoted}`;
    const { status, stderr } = spawnSync('sh', ['-c', shell], { cwd, encoding: 'utf8' });
    assert.equal(status, 2, stderr);
    assert.match(stderr, /file not written: .*\(EFBIG\)/);
    assert.equal(readFileSync(join(cwd, 'out.onnx'), 'utf8'), 'precious');
  });
});
