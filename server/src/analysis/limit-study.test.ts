import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CurvatureKind, LimitResult } from '../../../protocol/analysis';
import { spectralLimit } from '../limit/limit';
import { Magnitudes } from '../limit/magnitudes';
import { Random } from '../random';
import { exactMeasure, ruleBounds } from '../spectrum/estimate';
import { LimitStudy, type StudiedOperator } from './limit-study';
import type { StudyEnd } from './planner';

/**
 * Whole studies of operators whose spectrum is known: how often the interval
 * that is shown contains the truth.
 */

/** A power of two, and too large for the whole matrix to be computed. */
const D = 4096;

/** The orthogonal Walsh–Hadamard transform, in place. */
function transform(x: Float64Array): void {
  for (let half = 1; half < D; half *= 2) {
    for (let first = 0; first < D; first += 2 * half) {
      for (let i = first; i < first + half; i++) {
        const a = x[i]!;
        const b = x[i + half]!;
        x[i] = a + b;
        x[i + half] = a - b;
      }
    }
  }
  for (let i = 0; i < D; i++) x[i]! /= Math.sqrt(D);
}

/** S·H·diag(λ)·H·S with random signs S: a rotation that costs D log D. */
function rotated(kind: CurvatureKind, eigenvalues: Float64Array, random: Random): StudiedOperator {
  const signs = random.rademacher(D);
  const multiply = (v: Float32Array): Float32Array => {
    const x = new Float64Array(v);
    for (let i = 0; i < D; i++) x[i]! *= signs[i]!;
    transform(x);
    for (let i = 0; i < D; i++) x[i]! *= eigenvalues[i]!;
    transform(x);
    for (let i = 0; i < D; i++) x[i]! *= signs[i]!;
    return new Float32Array(x);
  };
  return {
    kind,
    dimension: D,
    positiveSemidefinite: kind === 'ggn',
    products: 1,
    seconds: 0,
    apply: (vectors) => Promise.resolve(vectors.map(multiply)),
    // The errors of these products are those of storing them.
    rescaled: (vectors) => Promise.resolve(vectors.map((v) => multiply(v.map((x) => 0.625 * x)).map((x) => x / 0.625))),
  };
}

/** `inner` on four coordinates of five, and zero rows between them: weights that bend nothing. */
function withZeroRows(inner: StudiedOperator): StudiedOperator {
  const isLive = (i: number) => i % 5 !== 4;
  const dimension = (5 * D) / 4;
  const spread = (product: Float32Array) => {
    let at = 0;
    return Float32Array.from({ length: dimension }, (_, i) => (isLive(i) ? product[at++]! : 0));
  };
  const beside =
    (multiply: StudiedOperator['apply']): StudiedOperator['apply'] =>
    async (vectors) =>
      (await multiply(vectors.map((v) => v.filter((_, i) => isLive(i))))).map(spread);
  return { ...inner, dimension, apply: beside(inner.apply), rescaled: beside(inner.rescaled) };
}

/** A few large eigenvalues and a bulk over a random range, often with zeros; of either sign for the Hessian. */
function randomEigenvalues(kind: CurvatureKind, random: Random): Float64Array {
  const outliers = 5 + random.below(60);
  const decay = 0.8 + 1.5 * random.uniform();
  const bulk = 10 ** (-1 - 4 * random.uniform());
  const spread = 0.3 + 1.5 * random.uniform();
  const rank = random.uniform() < 0.5 ? D : Math.floor(D * (0.05 + 0.9 * random.uniform()));
  const negative = kind === 'ggn' ? 0 : 0.1 + 0.4 * random.uniform();
  return Float64Array.from({ length: D }, (_, i) => {
    if (i < outliers) return 10 * (i + 1) ** -decay;
    if (i >= rank) return 0;
    return (random.uniform() < negative ? -1 : 1) * bulk * Math.exp(spread * random.gaussian());
  });
}

/** Weights of two sizes, as L1 training leaves them. */
function randomWeights(random: Random, count: number): Magnitudes {
  const laplace = () => -0.05 * Math.log(1 - random.uniform());
  return Magnitudes.of([Float32Array.from({ length: count }, () => laplace() * (random.uniform() < 0.5 ? 0.05 : 1))]);
}

interface Outcome {
  readonly truth: number;
  readonly end: StudyEnd;
  /** Every limit that was told, the last one last. */
  readonly limits: readonly LimitResult[];
}

async function study(kind: CurvatureKind, seed: number, steps = 48, tolerance = 0.02): Promise<Outcome> {
  const random = Random.stream(seed, 'study');
  const eigenvalues = randomEigenvalues(kind, random);
  const whole = rotated(kind, eigenvalues, random);
  const operator = seed % 4 === 0 ? withZeroRows(whole) : whole;
  const magnitudes = randomWeights(random, operator.dimension);
  const epsilon = 10 ** (-3 + 2.5 * random.uniform());
  const limits: LimitResult[] = [];
  const layer = { name: 'w', op: 'Gemm', shape: [operator.dimension], offset: 0, length: operator.dimension } as const;
  const end = await new LimitStudy(
    operator,
    { dimension: operator.dimension, layers: [layer] },
    magnitudes,
    epsilon,
    { steps, vectors: 256, tolerance, seed, deadline: Infinity, now: () => 0 },
    { announce: () => undefined, plan: () => undefined, update: ({ limit }) => void limits.push(limit) },
  ).run();
  const dimension = ruleBounds(exactMeasure(eigenvalues, operator.dimension - D)).low;
  return { truth: spectralLimit(dimension, epsilon, (s) => magnitudes.squaredRadius(s)), end, limits };
}

const contains = (truth: number, { interval: [low, high] }: LimitResult) => low <= truth && truth <= high;

/** Of either operator. */
const PROBLEMS = 200;

for (const kind of ['ggn', 'hessian'] as const) {
  test(`the ${kind} interval contains the truth in 93 % of random problems or more, at every step`, async (t) => {
    const byStep = new Map<number, [inside: number, all: number]>();
    let inside = 0;
    let resolved = 0;
    let width = 0;
    for (let seed = 0; seed < PROBLEMS; seed++) {
      const { truth, end, limits } = await study(kind, seed);
      for (const limit of limits.filter(({ curvature }) => curvature.probes === 1)) {
        const count = byStep.get(limit.curvature.steps) ?? [0, 0];
        byStep.set(limit.curvature.steps, [count[0] + Number(contains(truth, limit)), count[1] + 1]);
      }
      const last = limits.at(-1)!;
      if (contains(truth, last)) inside++;
      if (end === 'resolved') resolved++;
      width += (last.interval[1] - last.interval[0]) / PROBLEMS;
    }
    t.diagnostic(`${inside} of ${PROBLEMS} in the end, ${resolved} resolved, mean width ${width.toFixed(4)}`);
    assert.ok(inside >= 0.93 * PROBLEMS, `${inside} of ${PROBLEMS}`);
    for (const [step, [hits, all]] of byStep) {
      // Of few problems one or two may be out.
      assert.ok(hits >= 0.93 * all - 2, `${hits} of ${all} at step ${step}`);
    }
    // An interval that is everything would contain the truth too.
    assert.ok(resolved >= 0.4 * PROBLEMS && width < 0.06, `${resolved} resolved, mean width ${width}`);
  });
}

/** Steps of the short run; the long one makes ten times as many. */
const SHORT = 8;
const SEEDS = 50;

for (const kind of ['ggn', 'hessian'] as const) {
  test(`no ${kind} interval excludes what a run of ten times as many steps gives`, async (t) => {
    let width = 0;
    for (let seed = 0; seed < SEEDS; seed++) {
      // A tolerance that is never met, so that neither run ends before its last step.
      const { limits } = await study(kind, 1000 + seed, SHORT, 1e-9);
      const long = (await study(kind, 1000 + seed, 10 * SHORT, 1e-9)).limits.at(-1)!;
      assert.ok(limits.length === SHORT && long.curvature.steps === 10 * SHORT, `${long.curvature.steps} steps`);
      for (const { interval, curvature } of limits) {
        const where = `seed ${seed}, step ${curvature.steps}: ${interval.join(' … ')} for ${long.sparsity}`;
        assert.ok(interval[0] <= long.sparsity && long.sparsity <= interval[1], where);
      }
      const [low, high] = limits.at(-1)!.interval;
      width += (high - low) / SEEDS;
    }
    t.diagnostic(`mean width after ${SHORT} steps ${width.toFixed(3)}`);
    assert.ok(width < 0.6, `an interval of everything excludes nothing: mean width ${width}`);
  });
}
