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
        const [a, b] = [x[i]!, x[i + half]!];
        x[i] = a + b;
        x[i + half] = a - b;
      }
    }
  }
  for (let i = 0; i < D; i++) x[i]! /= Math.sqrt(D);
}

/** Qᵀ·diag(λ)·Q with Q = H·S₂·H·S₁, S random signs: a rotation that costs D log D. */
function rotated(kind: CurvatureKind, eigenvalues: Float64Array, random: Random): StudiedOperator {
  const signs = [random.rademacher(D), random.rademacher(D)] as const;
  const flip = (x: Float64Array, s: Float32Array) => x.forEach((_, i) => (x[i]! *= s[i]!));
  return {
    kind,
    dimension: D,
    positiveSemidefinite: kind === 'ggn',
    products: 1,
    seconds: 0,
    apply: (vectors) =>
      Promise.resolve(
        vectors.map((v) => {
          const x = Float64Array.from(v);
          for (const s of signs) {
            flip(x, s);
            transform(x);
          }
          x.forEach((_, i) => (x[i]! *= eigenvalues[i]!));
          for (const s of [signs[1], signs[0]]) {
            transform(x);
            flip(x, s);
          }
          return Float32Array.from(x);
        }),
      ),
  };
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
function randomWeights(random: Random): Magnitudes {
  const laplace = () => -0.05 * Math.log(1 - random.uniform());
  return Magnitudes.of([Float32Array.from({ length: D }, () => laplace() * (random.uniform() < 0.5 ? 0.05 : 1))]);
}

interface Outcome {
  readonly truth: number;
  readonly end: StudyEnd;
  /** Every limit that was told, the last one last. */
  readonly limits: readonly LimitResult[];
}

async function study(kind: CurvatureKind, seed: number): Promise<Outcome> {
  const random = Random.stream(seed, 'study');
  const eigenvalues = randomEigenvalues(kind, random);
  const magnitudes = randomWeights(random);
  const epsilon = 10 ** (-3 + 2.5 * random.uniform());
  const limits: LimitResult[] = [];
  const layer = { name: 'w', op: 'Gemm', shape: [D], offset: 0, length: D } as const;
  const end = await new LimitStudy(
    rotated(kind, eigenvalues, random),
    { dimension: D, layers: [layer] },
    magnitudes,
    epsilon,
    { steps: 48, vectors: 256, tolerance: 0.02, seed, deadline: Infinity, now: () => 0 },
    { announce: () => undefined, plan: () => undefined, update: ({ limit }) => void limits.push(limit) },
  ).run();
  const dimension = ruleBounds(exactMeasure(eigenvalues)).low;
  return { truth: spectralLimit(dimension, epsilon, (s) => magnitudes.squaredRadius(s)), end, limits };
}

const contains = (truth: number, { interval: [low, high] }: LimitResult) => low <= truth && truth <= high;

for (const [kind, problems] of [
  ['ggn', 200],
  ['hessian', 100],
] as const) {
  test(`the ${kind} interval contains the truth in 93 % of random problems or more, at every step`, async (t) => {
    const byStep = new Map<number, [inside: number, all: number]>();
    let inside = 0;
    let resolved = 0;
    let width = 0;
    for (let seed = 0; seed < problems; seed++) {
      const { truth, end, limits } = await study(kind, seed);
      for (const limit of limits.filter(({ curvature }) => curvature.probes === 1)) {
        const count = byStep.get(limit.curvature.steps) ?? [0, 0];
        byStep.set(limit.curvature.steps, [count[0] + Number(contains(truth, limit)), count[1] + 1]);
      }
      const last = limits.at(-1)!;
      if (contains(truth, last)) inside++;
      if (end === 'resolved') resolved++;
      width += (last.interval[1] - last.interval[0]) / problems;
    }
    t.diagnostic(`${inside} of ${problems} in the end, ${resolved} resolved, mean width ${width.toFixed(4)}`);
    assert.ok(inside >= 0.93 * problems, `${inside} of ${problems}`);
    for (const [step, [hits, all]] of byStep) {
      // Of few problems one or two may be out.
      assert.ok(hits >= 0.93 * all - 2, `${hits} of ${all} at step ${step}`);
    }
    // An interval that is everything would contain the truth too.
    assert.ok(resolved >= 0.4 * problems && width < 0.06, `${resolved} resolved, mean width ${width}`);
  });
}
