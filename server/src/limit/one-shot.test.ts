import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../random';
import {
  bootstrapIntervals,
  brackets,
  nextSparsity,
  riseError,
  sparsitiesAtEnds,
  wilsonInterval,
  type Criterion,
  type Outcomes,
} from './one-shot';

const accuracy = (tolerance: number): Criterion => ({ kind: 'accuracy', tolerance });
const loss = (tolerance: number): Criterion => ({ kind: 'loss', tolerance });

/** `correct` of ten samples right, all with the same loss. */
const point = (sparsity: number, correct: number, each: number): Outcomes => ({
  sparsity,
  hits: Uint8Array.from({ length: 10 }, (_, i) => (i < correct ? 1 : 0)),
  losses: new Float64Array(10).fill(each),
});

describe('brackets', () => {
  const points = [point(0, 8, 0.1), point(0.5, 7, 0.15), point(0.8, 8, 0.2), point(0.9, 7, 0.3), point(1, 1, 2.3)];

  it('end at the largest sparsity that will do, whatever comes before it', () => {
    assert.deepEqual(brackets(points, [accuracy(0), accuracy(0.1), loss(0.05), loss(0.11), loss(3)]), [
      { low: 0.8, high: 0.9 },
      { low: 0.9, high: 1 },
      { low: 0.5, high: 0.8 },
      { low: 0.8, high: 0.9 },
      { low: 1, high: null },
    ]);
  });

  it('are those of the dense network when nothing else will do', () => {
    assert.deepEqual(brackets(points, [loss(0)]), [{ low: 0, high: 0.5 }]);
  });
});

describe('bisection', () => {
  it('finds a limit that nobody told it, to a tenth of a point, in few measurements', () => {
    for (const limit of [0.1234, 0.707, 0.9321, 0.99512]) {
      const at = (s: number): Outcomes => point(s, s <= limit ? 8 : 7, 0);
      const points = [0, 0.3, 0.6, 0.8, 0.9, 0.97, 1].map(at);
      const criteria = [accuracy(0)];
      let measured = 0;
      for (;;) {
        const next = nextSparsity(brackets(points, criteria), 1e6);
        if (next === null) break;
        points.push(at(next));
        points.sort((a, b) => a.sparsity - b.sparsity);
        measured++;
      }
      const [{ low, high }] = brackets(points, criteria) as [{ low: number; high: number }];
      assert.ok(low <= limit && high > limit && high - low <= Math.min(0.001, 0.05 * (1 - low)), `${low} ${high}`);
      assert.ok(measured <= 14, `${measured} for ${limit}`);
    }
  });

  it('ends at single weights, and where a limit was met to the last', () => {
    assert.equal(nextSparsity([{ low: 0.5, high: 0.51 }], 100), null);
    assert.equal(nextSparsity([{ low: 1, high: null }], 1e6), null);
    assert.ok(nextSparsity([{ low: 0.98, high: 1 }], 1e6)! < 1);
  });

  it('sharpens the ends of intervals where the grid is coarse', () => {
    const points = [0, 0.5, 0.8, 0.802, 0.9, 1].map((s) => point(s, 8, 0));
    const sharper = sparsitiesAtEnds(points, [[0.5, 0.9]], 1e6);
    assert.equal(sharper.length, 2);
    assert.ok(sharper[0]! > 0.5 && sharper[0]! < 0.8 && sharper[1]! > 0.802 && sharper[1]! < 0.9);
    assert.deepEqual(sparsitiesAtEnds(points, [[0.8, 0.802]], 1e6), []);
  });
});

describe('bootstrap intervals', () => {
  /**
   * A population: a prediction is right up to a sparsity of its own, 1 − u³
   * with u uniform, and one in ten never; a loss is a random share of s⁴.
   */
  const grid = Array.from({ length: 41 }, (_, i) => i / 40);
  const population = (random: Random, samples: number): Outcomes[] => {
    const ends = Array.from({ length: samples }, () => (random.uniform() < 0.1 ? -1 : 1 - random.uniform() ** 3));
    const scale = Array.from({ length: samples }, () => 2 * random.uniform());
    return grid.map((sparsity) => ({
      sparsity,
      hits: Uint8Array.from(ends, (end) => (end >= sparsity ? 1 : 0)),
      losses: Float64Array.from(scale, (x) => x * sparsity ** 4),
    }));
  };

  it('hold the truth in about 95 of 100 samples', () => {
    const criteria = [accuracy(0.01), accuracy(0.1), loss(0.2)];
    // P(end < s) = P(u > (1 − s)^⅓) = 1 − (1 − s)^⅓, of nine tenths; mean loss s⁴.
    const truth = [1 - (1 - 0.01 / 0.9) ** 3, 1 - (1 - 0.1 / 0.9) ** 3, 0.2 ** 0.25];
    const held = criteria.map(() => 0);
    const trials = 60;
    for (let trial = 0; trial < trials; trial++) {
      const random = Random.stream(trial, 'population');
      const points = population(random, 600);
      bootstrapIntervals(points, criteria, 200, random).forEach(([low, high], i) => {
        if (low <= truth[i]! && truth[i]! <= high) held[i]! += 1;
      });
    }
    held.forEach((times, i) => assert.ok(times >= 0.88 * trials, `criterion ${i}: ${times} of ${trials}`));
  });

  it('shrink as samples are added, hold what was found, and come again with the seed', () => {
    const width = (samples: number): number => {
      const points = population(Random.stream(1, 'few'), samples);
      const make = () => bootstrapIntervals(points, [loss(0.2)], 200, Random.stream(2, 'draws'));
      const [[low, high]] = make() as [[number, number]];
      assert.deepEqual(make(), [[low, high]]);
      const [found] = brackets(points, [loss(0.2)]);
      assert.ok(low <= found!.low && high >= found!.high!);
      return high - low;
    };
    assert.ok(width(4000) < width(100));
  });

  it('count pairs: what both get wrong is no uncertainty', () => {
    // Half of the samples wrong at every sparsity, and nothing changes until all goes at 0.8.
    const points = [0, 0.5, 0.8, 1].map((sparsity) => point(sparsity, sparsity < 0.8 ? 5 : 0, 0));
    assert.deepEqual(bootstrapIntervals(points, [accuracy(0)], 500, Random.stream(1, 'pairs')), [[0.5, 0.8]]);
  });
});

it('Wilson’s interval is where the share is 1.96 of its own deviations from the truth', () => {
  for (const [k, n] of [
    [0, 10],
    [3, 10],
    [716, 1017],
    [9916, 10_000],
    [7, 7],
  ] as const) {
    const [low, high] = wilsonInterval(k, n);
    for (const end of [low, high]) {
      if (end < 1e-12 || end > 1 - 1e-12) continue;
      assert.ok(Math.abs(Math.abs(k / n - end) / Math.sqrt((end * (1 - end)) / n) - 1.959964) < 1e-6);
    }
    assert.ok(low <= k / n && k / n <= high);
  }
  // Agresti and Coull 1998 have 0 of 10 as [0, 0.278].
  assert.ok(Math.abs(wilsonInterval(0, 10)[1] - 0.2775) < 1e-3);
});

it('the error of a rise is that of its samples, paired', () => {
  const dense = { sparsity: 0, hits: new Uint8Array(4), losses: Float64Array.of(1, 2, 3, 4) };
  const pruned = { sparsity: 0.5, hits: new Uint8Array(4), losses: Float64Array.of(2, 3, 4, 5) };
  assert.equal(riseError(dense, pruned), 0);
  const uneven = { ...pruned, losses: Float64Array.of(1, 3, 3, 5) };
  assert.ok(Math.abs(riseError(dense, uneven) - Math.sqrt(1 / 3 / 4)) < 1e-12);
});
