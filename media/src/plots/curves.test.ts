import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LimitResult, PathPoint } from '../../../protocol/analysis';
import {
  radiusCurve,
  resolvedUnit,
  shortened,
  signedLog,
  signedLogTicks,
  smoothedDensity,
  sparsityFrom,
  statisticalDimension,
} from './curves';

const near = (actual: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected} ± ${tolerance}`);

describe('signedLog', () => {
  it('is odd, linear near 0 and logarithmic far from it', () => {
    assert.equal(signedLog(0, 1e-3), 0);
    near(signedLog(-5, 1e-3), -signedLog(5, 1e-3), 0);
    near(signedLog(1000, 1e-3) - signedLog(100, 1e-3), 1, 1e-4);
    near(signedLog(2e-8, 1e-3) / signedLog(1e-8, 1e-3), 2, 1e-4);
  });

  it('takes the float32 floor as its unit', () => {
    assert.equal(resolvedUnit(12), 1e-5);
    assert.equal(resolvedUnit(0), 1);
  });

  it('has ticks in order at 0 and powers of ten', () => {
    const ticks = signedLogTicks(signedLog(-1, 1e-6), signedLog(100, 1e-6), 1e-6, 20);
    assert.ok(ticks.every(({ x }, i) => i === 0 || x > ticks[i - 1]!.x));
    assert.ok(ticks.some(({ label }) => label === '0'));
    assert.deepEqual([ticks[0]!.label, ticks.at(-1)!.label], ['−1', '100']);
  });

  it('keeps to the number of ticks there is room for', () => {
    for (const most of [3, 6, 12]) assert.ok(signedLogTicks(-7, 8, 1e-6, most).length <= most + 2);
  });
});

describe('smoothedDensity', () => {
  it('integrates to the weight of its nodes', () => {
    const density = smoothedDensity({ ritzValues: [-1, 0, 1e-4, 3], weights: [0.1, 0.4, 0.3, 0.2] }, 1e-6);
    const step = density[1]!.x - density[0]!.x;
    near(
      density.reduce((sum, { density }) => sum + density * step, 0),
      1,
      1e-3,
    );
  });

  it('is empty for an empty spectrum', () => {
    assert.deepEqual(smoothedDensity({ ritzValues: [], weights: [] }, 1), []);
  });
});

describe('radiusCurve', () => {
  const point = (sparsity: number, R: number) => ({ sparsity, R }) as PathPoint & LimitResult;

  it('meets the known radii, rises between them, and needs four of them', () => {
    const known = [0.2, 0.5, 0.8, 0.9, 0.99, 1].map((s) => point(s, s ** 3));
    const radius = radiusCurve(known, [point(0.95, 0.95 ** 3)])!;
    for (const { sparsity, R } of known) near(radius.at(sparsity), R, 1e-12);
    let before = -1;
    for (let s = 0; s <= 1; s += 0.001) {
      assert.ok(radius.at(s) >= before);
      before = radius.at(s);
      near(radius.at(s), s ** 3, 0.02);
    }
    assert.equal(radiusCurve([point(0.5, 1)], [point(0.9, 2)]), null);
  });

  it('takes the nearest known radius outside', () => {
    const radius = radiusCurve(
      [0.2, 0.5, 0.8].map((s) => point(s, s)),
      [],
    )!;
    assert.deepEqual([radius.last, radius.at(1), radius.at(-1)], [0.8, 0.8, 0]);
  });
});

describe('statisticalDimension', () => {
  it('is c/(λ + c) for one eigenvalue, of either sign', () => {
    const [epsilon, R] = [0.02, 2];
    const c = (2 * epsilon) / R ** 2;
    for (const value of [0.3, -0.3]) {
      near(statisticalDimension({ ritzValues: [value], weights: [1] }, epsilon, R), c / (0.3 + c), 1e-12);
    }
    assert.equal(statisticalDimension({ ritzValues: [1], weights: [1] }, 0.1, 0), 1);
  });
});

describe('axis and names', () => {
  const limit = (low: number) => ({ interval: [low, 1] }) as unknown as LimitResult;
  it('makes room for limits near 1', () => {
    assert.equal(sparsityFrom([], 5), 0);
    assert.equal(sparsityFrom([limit(0.3)], 5), 0);
    near(sparsityFrom([limit(0.98), limit(0.99)], 5), 0.9, 0.0501);
  });

  it('shortens a name in its middle', () => {
    assert.equal(shortened('conv1.weight', 12), 'conv1.weight');
    const short = shortened('encoder.layers.11.attention.weight', 15);
    assert.equal(short.length, 15);
    assert.match(short, /^encode.*….*weight$/);
  });
});
