import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { TrainResult } from '../../protocol/train';
import { importForTraining } from '../../server/src/checkpoint/onnx/classifier';
import { decodeModel } from '../../server/src/checkpoint/onnx/reader';
import { Random } from '../../server/src/random';
import { computeProcesses, run, start, until, withoutProc } from './command';
import { trainSubject } from './train-subject';

const BASE = ['train', 'net.onnx', '--data', 'data', '--batch', '16', '--rate', '0.05', '--threads', '1'];
const VARIED = ['--crop', '1', '--flip', '--l1', '1e-3', '--weight-decay', '1e-4'];

/** Runs to the end, which must be a good one. */
async function trained(cwd: string, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await run([...BASE, ...args], { cwd });
  assert.equal(status, 0, stderr);
  return stdout;
}

function weights(folder: string, file: string): ReadonlyMap<string, Float32Array> {
  const model = importForTraining(decodeModel(readFileSync(join(folder, file)), file), { batch: 2 });
  const statistics = model.normalizations.flatMap(({ mean, variance }) => [mean, variance]);
  return new Map([...model.parameters.values(), ...statistics].map(({ name, value }) => [name, value]));
}

describe('train', () => {
  it('lowers the loss, and writes weights and running statistics into the network as it was', async (t) => {
    const cwd = trainSubject(t);
    const before = readFileSync(join(cwd, 'net.onnx'));
    const result = JSON.parse(await trained(cwd, '-o', 'out.onnx', '--epochs', '6', '--json')) as TrainResult;
    assert.equal(result.finished, true);
    assert.equal(result.epochs.length, 6);
    const [first, last] = [result.epochs[0]!, result.epochs.at(-1)!];
    assert.ok(last.loss < 0.5 * first.loss, `${last.loss} after ${first.loss}`);
    assert.ok(last.score!.correct > 50 && last.score!.total === 60, `${last.score!.correct} correct`);
    assert.deepEqual(readFileSync(join(cwd, 'net.onnx')), before);
    assert.deepEqual(readdirSync(cwd).sort(), ['data', 'net.onnx', 'out.onnx']);

    const file = decodeModel(readFileSync(join(cwd, 'out.onnx')), 'out.onnx');
    assert.deepEqual(
      file.nodes.map(({ op, inputs }) => [op, ...inputs]),
      decodeModel(before, 'net.onnx').nodes.map(({ op, inputs }) => [op, ...inputs]),
    );
    const [start, end] = [weights(cwd, 'net.onnx'), weights(cwd, 'out.onnx')];
    for (const [name, value] of start) assert.notDeepEqual(end.get(name), value, `${name} has moved`);

    // What training says of accuracy is what the analysis of its file says.
    const checked = await run(['analyze', 'out.onnx', '--data', 'data', '--steps', '0', '--json'], { cwd });
    const { loss, accuracy } = JSON.parse(checked.stdout) as { loss: number; accuracy: { correct: number } };
    assert.equal(accuracy.correct, last.score!.correct);
    assert.ok(Math.abs(loss - last.score!.loss) < 1e-5, `${loss} and ${last.score!.loss}`);
  });

  it('begins with fresh weights of an architecture, the same for the same seed', async (t) => {
    const cwd = trainSubject(t);
    const args = ['train', '--architecture', 'fc-300-100', '--data', 'data', '--epochs', '1', '--threads', '1'];
    for (const [name, seed] of [
      ['a', '1'],
      ['b', '1'],
      ['c', '2'],
    ] as const) {
      const { status, stderr } = await run([...args, '-o', `${name}.onnx`, '--seed', seed], { cwd });
      assert.equal(status, 0, stderr);
    }
    const [a, b, c] = ['a', 'b', 'c'].map((name) => readFileSync(join(cwd, `${name}.onnx`)));
    assert.deepEqual(a, b);
    assert.notDeepEqual(a, c);
  });

  it('proximal steps with a large penalty make exact zeros, and a mask of zeros keeps them', async (t) => {
    const cwd = trainSubject(t);
    await trained(cwd, '-o', 'sparse.onnx', '--epochs', '4', '--l1', '0.03', '--l1-mode', 'proximal');
    const sparse = weights(cwd, 'sparse.onnx');
    const zeros = sparse.get('fc.weight')!.filter((w) => w === 0).length;
    assert.ok(zeros > 50, `${zeros} zeros`);
    const args = ['train', 'sparse.onnx', '--data', 'data', '-o', 'tuned.onnx', '--epochs', '2', '--mask', 'zeros'];
    const { status, stderr } = await run([...args, '--batch', '16', '--threads', '1'], { cwd });
    assert.equal(status, 0, stderr);
    const tuned = weights(cwd, 'tuned.onnx');
    for (const name of ['conv.weight', 'fc.weight']) {
      tuned.get(name)!.forEach((w, i) => assert.equal(w === 0, sparse.get(name)![i] === 0, `${name} ${i}: ${w}`));
    }
  });

  it('takes the mask that prune writes', async (t) => {
    const cwd = trainSubject(t);
    const pruned = await run(['prune', 'net.onnx', '--sparsity', '0.5', '-o', 'p.onnx', '--mask', 'm.npz'], { cwd });
    assert.equal(pruned.status, 0, pruned.stderr);
    await trained(cwd, '-o', 'tuned.onnx', '--epochs', '1', '--mask', 'm.npz');
    const [expected, tuned] = [weights(cwd, 'p.onnx'), weights(cwd, 'tuned.onnx')];
    for (const name of ['conv.weight', 'fc.weight']) {
      tuned.get(name)!.forEach((w, i) => assert.equal(w === 0, expected.get(name)![i] === 0, `${name} ${i}: ${w}`));
    }
  });

  it('predicts the limit as it moves', async (t) => {
    const cwd = trainSubject(t);
    const stdout = await trained(cwd, '-o', 'out.onnx', '--epochs', '4', '--limit-every', '2', '--json');
    const { epochs } = JSON.parse(stdout) as TrainResult;
    assert.deepEqual(
      epochs.map(({ limit }) => limit !== null),
      [false, true, false, true],
    );
    const [low, high] = epochs.at(-1)!.limit!.interval;
    assert.ok(low > 0 && low <= high && high < 1, `${low} to ${high}`);
  });

  it('finds the smallest penalty that lets the network be pruned', async (t) => {
    const cwd = trainSubject(t);
    const search = [
      '--target-sparsity',
      '0.85',
      '--accuracy-budget',
      '5',
      '--l1-range',
      '0.005,0.1',
      '--l1-mode',
      'proximal',
    ];
    const stdout = await trained(cwd, '-o', 'out.onnx', '--epochs', '5', ...search, '--json');
    const { trials, options, finished } = JSON.parse(stdout) as TrainResult;
    assert.ok(finished);
    assert.equal(trials![0]!.l1, 0);
    const good = trials!.filter(({ l1, ok }) => ok && l1 > 0).map(({ l1 }) => l1);
    assert.equal(options.l1, Math.min(...good));
    const reference = trials![0]!.dense;
    for (const { pruned, ok } of trials!) {
      assert.equal(ok, (reference.correct - pruned.correct) / reference.total <= 0.05 + 1e-12);
    }
    const below = trials!.filter(({ l1, ok }) => !ok && l1 < options.l1).map(({ l1 }) => l1);
    assert.ok(options.l1 / Math.max(...below) <= 1.25, `${options.l1} after ${below.join()}`);
    assert.deepEqual(readdirSync(cwd).sort(), ['data', 'net.onnx', 'out.onnx']);
  });
});

/** Enough epochs for a kill to find some behind it and some before. */
const LONG = [...VARIED, '--epochs', '400', '-o', 'out.onnx', '--resume'];

describe('a training that is cut off', { skip: withoutProc() }, () => {
  let whole: Buffer | undefined;
  async function uninterrupted(t: TestContext): Promise<Buffer> {
    if (whole === undefined) {
      const cwd = trainSubject(t, 600);
      await trained(cwd, ...LONG);
      whole = readFileSync(join(cwd, 'out.onnx'));
    }
    return whole;
  }

  it('goes on to the same bytes after 20 kills at random moments', async (t) => {
    const expected = await uninterrupted(t);
    const cwd = trainSubject(t, 600);
    const random = Random.stream(5, 'kills');
    const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 300 * random.uniform()));
    let resumed = 0;
    for (let kill = 0; kill < 20; kill++) {
      const life = start([...BASE, ...LONG], { cwd });
      // At any moment of its start, or some epochs later, however busy the machine is.
      const epochs = random.below(6);
      const count = (): number => life.stderr().split('near zero').length - 1;
      if (epochs > 0) await until(() => count() >= epochs, `${epochs} epochs`);
      await pause();
      for (const pid of computeProcesses(life.process.pid!)) killed(pid);
      life.process.kill('SIGKILL');
      const { stderr, status } = await life.finished;
      assert.notEqual(status, 0, 'the training has ended before the kill');
      if (stderr.includes('goes on after epoch')) resumed++;
    }
    t.diagnostic(`${resumed} of 20 lives went on from a state`);
    await trained(cwd, ...LONG);
    assert.deepEqual(readFileSync(join(cwd, 'out.onnx')), expected);
    assert.deepEqual(
      readdirSync(cwd).filter((name) => name.endsWith('.resume')),
      [],
    );
    assert.ok(resumed >= 10, `${resumed} resumed`);
  });

  it('ends after its epoch when it is interrupted, and goes on to the same bytes', async (t) => {
    const expected = await uninterrupted(t);
    const cwd = trainSubject(t, 600);
    const life = start([...BASE, ...LONG], { cwd });
    await until(() => life.stderr().includes('epoch   2 of 400'), 'the second epoch');
    life.process.kill('SIGINT');
    const { status, stdout, stderr } = await life.finished;
    assert.equal(status, 130, stderr);
    assert.match(stderr, /ends after this epoch/);
    assert.match(stdout, /Stopped on request/);
    assert.ok(existsSync(join(cwd, 'out.onnx.resume')) && existsSync(join(cwd, 'out.onnx')));
    await trained(cwd, ...LONG);
    assert.deepEqual(readFileSync(join(cwd, 'out.onnx')), expected);
    // There is nothing left to do.
    assert.match((await run([...BASE, ...LONG], { cwd })).stderr, /out\.onnx is the end of this training already/);
  });
});

function killed(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
