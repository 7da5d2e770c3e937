import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PathPoint } from '../../../protocol/analysis';
import { comparePath, edgeOfValidity, pathSparsities, stationarity } from './path';

test('a path contains its limits, ascends from 0 to short of 1 and has its number of points', () => {
  for (const limits of [[], [0.5], [0.951, 0.984], [0.3, 0.9, 0.9, 0.9959], [1], [0.999999], [0]]) {
    for (const zeros of [0, 0.4]) {
      const path = pathSparsities(limits, 24, zeros);
      assert.equal(path.length, 24, `${limits} ${zeros}`);
      assert.equal(path[0], 0);
      assert.ok(path.at(-1)! < 1);
      assert.ok(path.every((s, i) => i === 0 || s > path[i - 1]!));
      for (const limit of limits) if (limit < 0.9999) assert.ok(path.includes(limit), `${limit}`);
      assert.ok(path.at(-1)! > Math.min(Math.max(...limits, 0), 0.9999));
    }
  }
});

test('points crowd around the limits and keep off what is zero already', () => {
  const path = pathSparsities([0.9]);
  const near = path.filter((s) => 1 - s > 0.07 && 1 - s < 0.13).length;
  const plain = path.filter((s) => 1 - s > 0.37 && 1 - s < 0.69).length;
  assert.ok(near >= 4 && plain <= near, `${near} and ${plain} points`);
  assert.equal(pathSparsities([0.9], 24, 0.8).filter((s) => s > 0 && s < 0.8).length, 0);
  // Nearly everything is zero already: fewer points, and still a path.
  const late = pathSparsities([0.5], 24, 0.99);
  assert.ok(late.every(Number.isFinite) && late.includes(0.5));
  assert.throws(() => pathSparsities([], 1), /path points out of range: 1/);
});

/** The measured path of a network trained with L1: sparsity, gᵀd, ½dᵀHd, rise of the loss. */
const measured = [
  [0, 0, 0, 0],
  [0.8, 0.0011, 0.0003, 0.0015],
  [0.85, 0.0033, 0.0017, 0.0057],
  [0.9, 0.0075, 0.0063, 0.0184],
  [0.94, 0.013, 0.0187, 0.0661],
  [0.95, 0.0155, 0.024, 0.0998],
  [0.97, 0.0218, 0.0474, 0.343],
] as const;
const path: PathPoint[] = measured.map(([sparsity, linear, quadratic, rise]) => ({
  sparsity,
  linear,
  quadratic,
  loss: 0.0144 + rise,
  accuracy: 1,
  R: 1,
}));

test('the edge of validity of a measured path', () => {
  // .0661 / .0317 is the first ratio above 2.
  assert.deepEqual(edgeOfValidity(comparePath(path, 0.0144), 1e-4), { sparsity: 0.9, reason: 'more' });
  assert.equal(edgeOfValidity(comparePath([...path].reverse(), 0.0144), 1e-4)!.sparsity, 0.9);
  assert.equal(edgeOfValidity([], 1), null);
});

test('the edge: noise agrees, opposite signs and infinities do not, and it does not come back', () => {
  const edge = (pairs: [number, number][], noise = 1e-3) =>
    edgeOfValidity(
      pairs.map(([a, b], i) => ({ sparsity: i / 10, measured: a, predicted: b })),
      noise,
    );
  const quiet: [number, number] = [-1e-4, 9e-4];
  assert.equal(edge([quiet, quiet, [0.01, 0.021]])!.sparsity, 0.1);
  assert.equal(edge([quiet, [0.01, 0.019], [0.019, 0.01], [1, 3], [1, 1]])!.sparsity, 0.2);
  assert.equal(edge([quiet, [0.01, -0.01]])!.sparsity, 0);
  assert.equal(edge([quiet, [-0.01, -0.011], [0.1, 0]])!.sparsity, 0.1);
  assert.equal(edge([quiet, [NaN, 0.1]])!.sparsity, 0);
  assert.equal(edge([quiet, [Infinity, 0.1]])!.sparsity, 0);
  assert.equal(edge([[1, 5]])!.sparsity, 0);
  assert.equal(edge([quiet, [0.01, 0.021]])!.reason, 'less');
  assert.equal(edge([quiet, [0.021, 0.01]])!.reason, 'more');
  assert.equal(edge([quiet, [NaN, 0.1]])!.reason, 'more');
  assert.deepEqual(edge([quiet, quiet]), { sparsity: 0.1, reason: 'end' });
});

test('a penalty that the prediction counts is added to the measurement', () => {
  const [point] = comparePath([{ ...path[3]!, penalty: -0.009 }], 0.0144);
  assert.ok(Math.abs(point!.measured - (0.0184 - 0.009)) < 1e-12);
  assert.ok(Math.abs(point!.predicted - 0.0138) < 1e-12);
});

test('stationarity is judged by the linear term beside the quadratic one, interpolated', () => {
  const at = stationarity(path, 0.92, 1e-4)!;
  assert.ok(Math.abs(at.linear - 0.01025) < 1e-12 && Math.abs(at.quadratic - 0.0125) < 1e-12);
  assert.equal(at.stationary, false);
  assert.equal(stationarity(path, 0.97, 1e-4)!.stationary, true);
  assert.equal(stationarity(path, 0.99, 1e-4)!.linear, 0.0218);
  assert.equal(stationarity(path, 0.8, 0.01)!.stationary, true, 'below the noise');
  assert.equal(stationarity([], 0.5, 0), null);
});
