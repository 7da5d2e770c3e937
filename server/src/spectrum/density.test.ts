import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromLogModulus, logModulus, spectralDensity } from './density';

test('the log-modulus axis is odd, linear near 0, logarithmic far out, and invertible', () => {
  for (const lambda of [-3e4, -1, -1e-9, 0, 1e-9, 0.5, 7e8]) {
    const x = logModulus(lambda, 1e-3);
    assert.ok(Math.abs(fromLogModulus(x, 1e-3) - lambda) <= 1e-9 * Math.abs(lambda) + 1e-18);
    assert.equal(logModulus(-lambda, 1e-3), -x);
  }
  assert.ok(Math.abs(logModulus(1e6, 1) - 6) < 1e-6);
});

test('the density has mass 1, with each node’s weight around it', () => {
  const { x, lambda, density, unit } = spectralDensity([-1, 0, 1e-4, 10], [0.1, 0.6, 0.1, 0.2], { points: 4000 });
  const step = x[1]! - x[0]!;
  const mass = (from: number, to: number) =>
    density.reduce((sum, value, i) => sum + (lambda[i]! >= from && lambda[i]! <= to ? value * step : 0), 0);
  assert.ok(Math.abs(unit - 1e-5) < 1e-20);
  assert.ok(Math.abs(mass(-Infinity, Infinity) - 1) < 1e-3);
  assert.ok(Math.abs(mass(-Infinity, -0.05) - 0.1) < 1e-3);
  assert.ok(Math.abs(mass(1, Infinity) - 0.2) < 1e-3);
  assert.ok(x.every((value, i) => i === 0 || value > x[i - 1]!));
});

test('all-zero nodes are a peak at 0; nothing to draw is refused', () => {
  const { lambda, density } = spectralDensity([0], [1], { points: 101 });
  assert.ok(Math.abs(lambda[density.indexOf(Math.max(...density))]!) < 1e-12);
  assert.throws(() => spectralDensity([], []), /no nodes/);
  assert.throws(() => spectralDensity([1], [1], { points: 1 }), /density points out of range: 1/);
});
