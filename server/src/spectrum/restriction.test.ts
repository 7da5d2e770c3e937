import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../random';
import { average, exactMeasure, pooledRule, spectralMeasure, standardError } from './estimate';
import type { SymmetricOperator } from './operator';
import { liveCoordinates, restricted, restrictedRanges, withFlatShare } from './restriction';
import { naiveJacobi, prescribedOperator } from './testing';

const f = (modulus: number) => 0.1 / (modulus + 0.1);

/** The operator on every third coordinate of `total`, zero elsewhere. */
function spreadOut(inner: SymmetricOperator, total: number): SymmetricOperator {
  return {
    dimension: total,
    positiveSemidefinite: inner.positiveSemidefinite,
    apply: async (vectors) => {
      const products = await inner.apply(vectors.map((v) => v.filter((_, i) => i % 3 === 1)));
      return products.map((product) =>
        Float32Array.from({ length: total }, (_, i) => (i % 3 === 1 ? product[(i - 1) / 3]! : 0)),
      );
    },
  };
}

test('finds the rows that are zero, and multiplies with the others', async () => {
  const inner = prescribedOperator(
    Array.from({ length: 20 }, (_, i) => (i + 1) ** -1),
    3,
  );
  const outer = spreadOut(inner, 60);
  const random = Random.stream(3, 'restriction');
  const products = await outer.apply([random.rademacher(60), random.rademacher(60)]);
  const live = liveCoordinates(products);
  assert.deepEqual(
    Array.from(live),
    Array.from({ length: 20 }, (_, i) => 3 * i + 1),
  );
  const inside = restricted(outer, live);
  const v = random.rademacher(20);
  assert.deepEqual(await inside.apply([v]), await inner.apply([v]));
  assert.equal(inside.dimension, 20);
  assert.deepEqual(
    restrictedRanges(
      [
        { offset: 0, length: 30 },
        { offset: 30, length: 1 },
        { offset: 31, length: 29 },
      ],
      live,
    ),
    [
      { offset: 0, length: 10 },
      { offset: 10, length: 0 },
      { offset: 10, length: 10 },
    ],
  );
  assert.deepEqual(Array.from(liveCoordinates([Float32Array.of(0, -0, 1e-40)])), [2]);
});

test('what is known to be flat counts as zeros, without a sampling error', () => {
  const spectrum = Array.from({ length: 50 }, (_, i) => (i + 1) ** -1.3);
  const whole = exactMeasure([...spectrum, ...new Array<number>(150).fill(0)]);
  const split = exactMeasure(spectrum, 150);
  assert.ok(Math.abs(average(whole, 'gauss', f) - average(split, 'gauss', f)) < 1e-14);
  assert.equal(split.dimension, 200);
  const pooled = pooledRule(split, 'gauss');
  assert.ok(Math.abs(pooled.weights.reduce((sum, weight) => sum + weight, 0) - 1) < 1e-14);
  assert.ok(
    Math.abs(
      pooled.nodes.reduce((sum, node, i) => sum + pooled.weights[i]! * f(node), 0) - average(whole, 'gauss', f),
    ) < 1e-14,
  );

  const z = Float64Array.from(Random.stream(1, 'z').gaussianVector(50));
  const jacobi = naiveJacobi(spectrum, z, 20);
  const alone = standardError(spectralMeasure(50, [jacobi]), f);
  assert.ok(Math.abs(standardError(spectralMeasure(200, [jacobi], 150), f) - alone / 4) < 1e-15);
  const bounds = withFlatShare({ low: () => 0.2, high: () => 0.4 }, 0.75);
  assert.ok(Math.abs(bounds.low(1) - 0.8) < 1e-15 && Math.abs(bounds.high(1) - 0.85) < 1e-15);
});
