import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { AnalysisRequest, AnalysisResult, CurvatureKind } from '../../protocol/analysis';
import { analyze } from '../../server/src/analysis/analyze';
import { MemoryGuard } from '../../server/src/analysis/memory';
import { openSubject, type Subject } from '../../server/src/analysis/subject';
import { openModel } from '../../server/src/checkpoint/model';
import { createOrtEngine } from '../../server/src/engine/ort';
import { Magnitudes } from '../../server/src/limit/magnitudes';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { evaluate, samplesFor } from '../../samples/training';
import { FC_L1, FC_SIZES, trainFc } from '../models/fc';
import { projectRoot, sharedData, withoutSharedData } from '../outside';

/**
 * The fully connected network of the figures in docs/method.md, trained and
 * analysed from nothing: both limits at the precision promised for it and in
 * the order that was found, and the terms of the path beside PyTorch's.
 */

const PYTHON = '/usr/bin/python3';
const withoutData = withoutSharedData();
const checkpoint = join(__dirname, 'fc-mnist.onnx');
const data = join(sharedData() ?? '', 'datasets/mnist');

const request = (curvature: CurvatureKind, steps: number, tolerance: number): AnalysisRequest => ({
  checkpoint,
  options: {
    ...DEFAULT_OPTIONS,
    data: { ...DEFAULT_OPTIONS.data, path: data, split: 'train', samples: 10_000 },
    curvature,
    steps,
    tolerance,
    l1: FC_L1,
    batch: 500,
    minutes: 30,
    // Tests run beside each other, one thread each.
    threads: 1,
  },
});
const plain = request('hessian', 200, 0.01);
const hessianRequest = { ...plain, options: { ...plain.options, measure: { on: 'both', samples: 10_000 } as const } };

let hessian: AnalysisResult;
let gaussNewton: AnalysisResult;

before(async () => {
  if (withoutData) return;
  // Trained again whenever the trainer, which is in this bundle, is newer than its network.
  if (!existsSync(checkpoint) || statSync(checkpoint).mtimeMs < statSync(__filename).mtimeMs) {
    writeFileSync(checkpoint, await trainFc(await createOrtEngine(1), data));
  }
  gaussNewton = await analyze(request('ggn', 64, 0.002), () => undefined);
  hessian = await analyze(hessianRequest, () => undefined);
});

test('the network is right 98 times in a hundred', { skip: withoutData }, async () => {
  const model = await openModel(checkpoint, { batch: 500 });
  const { correct, total } = await evaluate(await createOrtEngine(1), model, await samplesFor(model, data, 'test'));
  assert.equal(total, 10_000);
  assert.ok(correct >= 9800, `${correct} correct`);
});

for (const [name, result, most, steps] of [
  ['Gauss–Newton', () => gaussNewton, 0.002, 64],
  ['Hessian', () => hessian, 0.01, 200],
] as const) {
  test(
    `the ${name} interval, and so its bracket, is ${most} at most within ${steps} steps`,
    { skip: withoutData },
    () => {
      const { bracket, interval, resolved, curvature } = result().limits[0]!;
      assert.ok(
        resolved && interval[1] - interval[0] <= most,
        `${interval.join(' to ')} after ${curvature.steps} steps`,
      );
      assert.ok(interval[0] <= bracket[0] && bracket[1] <= interval[1], `bracket ${bracket.join(' to ')}`);
      assert.ok(curvature.steps <= steps, `${curvature.steps} steps`);
    },
  );
}

test('one-shot pruning ends first, then the Hessian limit, then Gauss–Newton', { skip: withoutData }, () => {
  const { limits, path, loss, epsilon, validity } = hessian;
  const [paper, optimistic] = [limits[0]!, gaussNewton.limits[0]!];
  const within = path.filter((point) => point.loss - loss <= epsilon.value).map(({ sparsity }) => sparsity);
  const oneShot = Math.max(...within);
  assert.ok(oneShot > 0.85 && oneShot < paper.interval[0], `one-shot to ${oneShot}`);
  assert.ok(paper.sparsity > 0.93 && paper.interval[1] < optimistic.interval[0], `Hessian ${paper.sparsity}`);
  assert.ok(optimistic.sparsity > 0.98 && optimistic.sparsity < 0.993, `Gauss–Newton ${optimistic.sparsity}`);
  assert.ok(validity.edge! < paper.interval[0], `edge of validity ${validity.edge}`);
});

test('the measured limits end before the paper’s, and say how sure they are', { skip: withoutData }, () => {
  const paper = hessian.limits[0]!;
  const [onTest, onTrain] = hessian.measured;
  const [accuracy, ...tolerances] = onTest!.oneShot.filter(({ criterion }) => criterion === 'accuracy');
  assert.deepEqual([accuracy!.tolerance, onTest!.samples, onTrain!.samples], [0, 10_000, 10_000]);
  assert.ok(accuracy!.sparsity > 0.85 && accuracy!.interval[1] < paper.interval[0], `accuracy ${accuracy!.sparsity}`);
  for (const [i, { sparsity, interval }] of [accuracy!, ...tolerances].entries()) {
    assert.ok(interval[1] - interval[0] < 0.1, `interval ${interval.join(' … ')}`);
    if (i > 0) assert.ok(sparsity >= accuracy!.sparsity);
  }
  // The path was measured on the same training samples.
  const [loss] = onTrain!.oneShot;
  const rise = ({ loss }: { loss: number }): number => loss - hessian.loss;
  const before = hessian.path.filter((point) => rise(point) <= hessian.epsilon.value).at(-1)!;
  const after = hessian.path.find((point) => point.sparsity > before.sparsity)!;
  assert.ok(loss!.sparsity >= before.sparsity && loss!.sparsity <= after.sparsity, `loss ${loss!.sparsity}`);
  assert.ok(loss!.interval[1] < paper.interval[0] && loss!.interval[1] - loss!.interval[0] < 0.02);
});

/** PyTorch is asked at so many sparsities, from the one on where pruning costs anything. */
const ASKED = 6;
const FIRST = 0.8;

interface Term {
  readonly R: number;
  readonly linear: number;
  readonly penalty: number;
  readonly quadratic: number;
  readonly loss: number;
}

function withoutTorch(): string | false {
  if (withoutData) return withoutData;
  const { status } = spawnSync(PYTHON, ['-c', 'import numpy, torch'], { stdio: 'ignore' });
  return status === 0 ? false : `needs PyTorch in ${PYTHON}`;
}

test('the terms of the path are those of PyTorch in float64', { skip: withoutTorch() }, async () => {
  const subject = await openSubject(hessianRequest, new MemoryGuard(0));
  const layers = subject.layout.layers.map(({ offset, length }) => subject.weights.subarray(offset, offset + length));
  const magnitudes = Magnitudes.of(layers);
  const costly = hessian.path.filter(({ sparsity }) => sparsity >= FIRST);
  const points = costly.filter((_, i) => i % Math.floor(costly.length / ASKED) === 0).slice(0, ASKED);
  assert.equal(points.length, ASKED);
  const terms = askTorch(
    subject,
    points.map(({ sparsity }) => magnitudes.keptCount(sparsity)),
  );
  points.forEach((point, i) => {
    const { R, linear, penalty, quadratic, loss } = terms[i]!;
    const assertNear = (what: string, actual: number, expected: number, scale: number, tolerance: number) =>
      assert.ok(
        Math.abs(actual - expected) <= tolerance * Math.abs(scale),
        `${what} at ${point.sparsity}: ${actual}, PyTorch ${expected}`,
      );
    assertNear('R', point.R, R, R, 1e-6);
    // The penalty nearly cancels the gradient: what is left is as exact as the two are.
    assertNear('linear term', point.linear, linear + penalty, linear, 1e-4);
    assertNear('quadratic term', point.quadratic, quadratic, quadratic, 1e-4);
    assertNear('measured rise', point.loss - hessian.loss, loss, hessian.loss + loss, 1e-5);
  });
});

/** The terms at each number of kept weights, through files in a folder of their own. */
function askTorch({ model, layout, weights, batches, samples }: Subject, keep: readonly number[]): Term[] {
  const folder = mkdtempSync(join(tmpdir(), 'fc-path-'));
  const write = (name: string, parts: readonly (Float32Array | Int32Array)[]): void =>
    writeFileSync(
      join(folder, name),
      Buffer.concat(parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength))),
    );
  try {
    write(
      'inputs.f32',
      batches.map(({ inputs, count }) => inputs.subarray(0, count * FC_SIZES[0])),
    );
    write(
      'labels.i32',
      batches.map(({ labels }) => labels),
    );
    layout.layers.forEach(({ name, offset, length }, i) => {
      write(`weight${i}.f32`, [weights.subarray(offset, offset + length)]);
      write(`bias${i}.f32`, [model.parameters.get(name.replace('weight', 'bias'))!.value]);
    });
    writeFileSync(join(folder, 'request.json'), JSON.stringify({ sizes: FC_SIZES, samples, l1: FC_L1, keep }));
    const script = join(projectRoot(), 'test/outside/fc_path.py');
    return JSON.parse(execFileSync(PYTHON, [script, folder], { encoding: 'utf8' })) as Term[];
  } finally {
    rmSync(folder, { recursive: true });
  }
}
