import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { AnalysisEvent, AnalysisOptions, AnalysisResult } from '../../protocol/analysis';
import { analyze } from '../../server/src/analysis/analyze';
import { Evaluator } from '../../server/src/analysis/evaluator';
import { MemoryGuard } from '../../server/src/analysis/memory';
import { prunedWeights } from '../../server/src/analysis/path';
import { openSubject } from '../../server/src/analysis/subject';
import { createOrtEngine } from '../../server/src/engine/ort';
import { Magnitudes } from '../../server/src/limit/magnitudes';
import { wilsonInterval } from '../../server/src/limit/one-shot';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { npyBytes } from '../files';
import { run } from './command';
import { assertMatches } from './schema';
import { tinyData, tinySubject } from './subject';

const TEST = 90;
const TRAIN = 120;

/** `net.onnx` and `data/` with both splits. */
function bothSplits(t: TestContext): string {
  const train = Object.entries(tinyData({ count: TRAIN, classOf: (i) => (i + 1) % 3 }));
  const test = Object.entries(tinyData({ count: TEST }));
  return tinySubject(t, {
    ...Object.fromEntries(test.map(([name, bytes]) => [`data/${name}`, bytes])),
    ...Object.fromEntries(train.map(([name, bytes]) => [`data/${name.replace('t10k', 'train')}`, bytes])),
  });
}

const MEASURE = ['analyze', 'net.onnx', '--data', 'data', '--steps', '0', '--threads', '1', '--measure'];

test('the measured curve is what every pruned network really does, and its limits are where it crosses', async (t) => {
  const cwd = bothSplits(t);
  const { status, stdout, stderr } = await run([...MEASURE, '--epsilon', 'abs:0.02', '--json'], { cwd });
  assert.equal(status, 0, stderr);
  const result = JSON.parse(stdout) as AnalysisResult;
  assertMatches('result', result);
  assert.deepEqual(
    result.measured.map(({ split, samples, available, oneShot }) => [split, samples, available, oneShot.length]),
    [
      ['test', TEST, TEST, 5],
      ['train', TRAIN, TRAIN, 1],
    ],
  );

  for (const { split, points, oneShot } of result.measured) {
    // Every number of weights that can go, one by one.
    const options: AnalysisOptions = {
      ...DEFAULT_OPTIONS,
      data: { ...DEFAULT_OPTIONS.data, path: join(cwd, 'data'), split, samples: 'all' },
      threads: 1,
    };
    const subject = await openSubject({ checkpoint: join(cwd, 'net.onnx'), options }, new MemoryGuard(0));
    const evaluator = await Evaluator.create(await createOrtEngine(1), subject);
    const { layout, weights, samples } = subject;
    const magnitudes = Magnitudes.of(
      layout.layers.map(({ offset, length }) => weights.subarray(offset, offset + length)),
    );
    const truth = new Map<number, { loss: number; correct: number }>();
    const at = async (sparsity: number): Promise<{ loss: number; correct: number }> => {
      const kept = magnitudes.keptCount(sparsity);
      if (!truth.has(kept)) truth.set(kept, await evaluator.evaluate(prunedWeights(subject, magnitudes, sparsity)));
      return truth.get(kept)!;
    };
    const dense = await at(0);
    for (const point of points) {
      const { loss, correct } = await at(point.sparsity);
      // Rows of a batch padded otherwise may be summed otherwise.
      assert.ok(Math.abs(point.loss - loss) < 1e-6, `${split} ${point.sparsity}: ${point.loss}, ${loss}`);
      assert.equal(point.correct, correct);
      assert.deepEqual(point.accuracyInterval, wilsonInterval(correct, samples));
    }
    assert.deepEqual([points[0]!.sparsity, points.at(-1)!.sparsity], [0, 1]);
    for (const { criterion, tolerance, sparsity, resolution, interval } of oneShot) {
      const meets = async (s: number): Promise<boolean> => {
        const { loss, correct } = await at(s);
        return criterion === 'loss' ? loss - dense.loss <= tolerance : dense.correct - correct <= tolerance * samples;
      };
      const name = `${split} ${criterion} ${tolerance}`;
      assert.ok(await meets(sparsity), `${name} met at ${sparsity}`);
      if (sparsity < 1) assert.ok(!(await meets(sparsity + resolution)), `${name} not met next to it`);
      assert.ok(resolution <= Math.max(0.001, 1.5 / magnitudes.count), `${name}: resolution ${resolution}`);
      assert.ok(interval[0] <= sparsity && interval[1] >= sparsity + resolution, `${name}: ${interval.join(' … ')}`);
      for (const point of points) if (point.sparsity > sparsity) assert.ok(!(await meets(point.sparsity)), name);
    }
    await evaluator.dispose();
  }
});

test('a curve is measured on one split, some samples of it, or samples from elsewhere', async (t) => {
  const cwd = bothSplits(t);
  const one = await run([...MEASURE, '--measure-on', 'train', '--measure-samples', '30', '--json'], { cwd });
  assert.equal(one.status, 0, one.stderr);
  const [train, ...more] = (JSON.parse(one.stdout) as AnalysisResult).measured;
  assert.deepEqual([train!.split, train!.samples, train!.available, more], ['train', 30, TRAIN, []]);
  const other = await run(
    [...MEASURE, '--measure-on', 'test', '--test-data', 'data/train-images-idx3-ubyte', '--json'],
    {
      cwd,
    },
  );
  assert.equal(other.status, 0, other.stderr);
  const [test] = (JSON.parse(other.stdout) as AnalysisResult).measured;
  assert.deepEqual([test!.samples, test!.path], [TRAIN, join(cwd, 'data/train-images-idx3-ubyte')]);
});

test('it follows the limits, point by point, in text and in the report', async (t) => {
  const cwd = bothSplits(t);
  const events: AnalysisEvent[] = [];
  const options: AnalysisOptions = {
    ...DEFAULT_OPTIONS,
    data: { ...DEFAULT_OPTIONS.data, path: join(cwd, 'data') },
    measure: { on: 'both', samples: 'all' },
    steps: 4,
    tolerance: 1,
    threads: 1,
  };
  const result = await analyze({ checkpoint: join(cwd, 'net.onnx'), options }, (event) => void events.push(event));
  const partial = events.flatMap((event) => (event.kind === 'partial' ? [event.result] : []));
  const counts = partial.map(({ measured }) => measured.reduce((sum, { points }) => sum + points.length, 0));
  const first = counts.findIndex((count) => count > 0);
  assert.deepEqual(
    counts,
    [...counts].sort((a, b) => a - b),
  );
  assert.deepEqual(partial[first]!.limits, result.limits);
  assert.ok(partial[first]!.path.length > 0 && counts[first] === 1 && counts.at(-1)! > 40, counts.join());
  const progress = events.flatMap((event) => (event.kind === 'progress' ? [event] : []));
  assert.equal(progress.at(-1)!.phase, 'measuring');
  assert.ok(progress.every(({ done, total }) => done <= total + 1e-9));

  const text = await run([...MEASURE, '--report', 'r.html'], { cwd });
  assert.match(
    text.stdout,
    /^Pruned at once and measured, the largest sparsity that keeps:\ncriterion +samples +sparsity\naccuracy not below the dense +90 test +[\d.]+ % \([\d.–]+ %\)\naccuracy within 0\.1 points +90 test .*\naccuracy within 0\.5 points .*\naccuracy within 1 point .*\nloss within [\d.]+ nats +90 test .*\nloss within [\d.]+ nats +120 train /m,
  );
  assert.ok(readFileSync(join(cwd, 'r.html'), 'utf8').includes('"oneShot":[{"criterion":"accuracy","tolerance":0,'));
});

test('the same seed gives the same curve', async (t) => {
  const cwd = bothSplits(t);
  const once = async (): Promise<unknown> =>
    (JSON.parse((await run([...MEASURE, '--json'], { cwd })).stdout) as AnalysisResult).measured;
  assert.deepEqual(await once(), await once());
});

test('a split that is not there, or is the other one, is refused before any work', async (t) => {
  const cwd = tinySubject(t, {
    'x.npy': npyBytes(
      '|u1',
      [6, 6, 6],
      new Uint8Array(216).map((_, i) => i % 251),
    ),
    'y.npy': npyBytes('|u1', [6], [0, 1, 2, 0, 1, 2]),
  });
  const missing = await run(MEASURE, { cwd });
  assert.deepEqual([missing.status, missing.stdout], [2, '']);
  assert.match(missing.stderr, /^pruning-limit: split not found: train/m);
  const same = await run(['analyze', 'net.onnx', '--data', 'x.npy', '--measure', '--threads', '1'], { cwd });
  assert.equal(same.status, 2);
  assert.match(
    same.stderr,
    /^pruning-limit: one set of samples for both splits: x\.npy; name the test samples with --test-data, or measure on one split with --measure-on$/m,
  );
  for (const [args, says] of [
    [['--measure-on', 'test'], '--measure-on without --measure: add --measure, or leave it out'],
    [['--measure', '--measure-on', 'val'], '--measure-on is one of both, test, train, not "val"'],
    [['--measure', '--measure-samples', '0'], '--measure-samples out of range: 0; give 1 or more'],
    [['--measure', '--test-data', 'none'], /^data not found: none/],
  ] as const) {
    const { status, stderr } = await run(['analyze', 'net.onnx', '--data', 'data', ...args], { cwd });
    const sentence = stderr.split('\n').at(-2)!.replace('pruning-limit: ', '');
    assert.equal(status, 2);
    if (typeof says === 'string') assert.equal(sentence, says);
    else assert.match(sentence, says);
  }
});
