import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnalysisError } from '../errors';
import { Random } from '../random';
import { naiveEigen } from './testing';
import { tridiagonalEigen } from './tridiagonal';

const close = (actual: number, expected: number, tolerance: number, what: string) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual} instead of ${expected}`);

test('the discrete Laplacian has its closed-form eigenpairs', () => {
  for (const n of [1, 2, 3, 10, 256]) {
    const { values, first } = tridiagonalEigen(new Float64Array(n).fill(2), new Float64Array(n).fill(-1));
    for (let k = 1; k <= n; k++) {
      const angle = (k * Math.PI) / (n + 1);
      close(values[k - 1]!, 2 - 2 * Math.cos(angle), 1e-13, `value ${k} of ${n}`);
      const component = Math.sqrt(2 / (n + 1)) * Math.sin(angle);
      close(Math.abs(first[k - 1]!), component, 1e-12, `first ${k} of ${n}`);
    }
  }
});

test('random, split and graded matrices agree with a naive Jacobi solver', () => {
  for (let trial = 0; trial < 12; trial++) {
    const random = Random.stream(trial, 'tridiagonal');
    const n = 2 + random.below(24);
    const grade = trial % 3 === 0 ? 0.5 : 1;
    const diagonal = Float64Array.from({ length: n }, (_, i) => random.gaussian() * grade ** i);
    const off = Float64Array.from({ length: n - 1 }, (_, i) =>
      trial % 4 === 1 && i % 3 === 0 ? 0 : random.gaussian() * grade ** i,
    );
    const dense = Array.from({ length: n }, (_, i) =>
      Float64Array.from({ length: n }, (__, j) =>
        i === j ? diagonal[i]! : Math.abs(i - j) === 1 ? off[Math.min(i, j)]! : 0,
      ),
    );
    const naive = naiveEigen(dense);
    const { values, first } = tridiagonalEigen(diagonal, off);
    for (let i = 0; i < n; i++) {
      close(values[i]!, naive.values[i]!, 1e-12, `value ${i} of trial ${trial}`);
      const vector = naive.vectors[i]!;
      close(first[i]! ** 2, vector[0]! ** 2, 1e-9, `first ${i} of trial ${trial}`);
    }
  }
});

test('extreme scales, zeros and the empty matrix are no trouble', () => {
  const small = tridiagonalEigen(Float64Array.of(2e-200, 2e-200), Float64Array.of(1e-200));
  close(small.values[0]! / 1e-200, 1, 1e-14, 'small');
  const large = tridiagonalEigen(Float64Array.of(2e200, 2e200), Float64Array.of(1e200));
  close(large.values[1]! / 1e200, 3, 1e-14, 'large');
  const wide = tridiagonalEigen(Float64Array.of(1e8, 0, 1e-8), Float64Array.of(1e-160, 1e-170));
  assert.deepEqual(Array.from(wide.values), [0, 1e-8, 1e8]);
  assert.deepEqual(Array.from(tridiagonalEigen(new Float64Array(3), new Float64Array(2)).values), [0, 0, 0]);
  assert.equal(tridiagonalEigen(new Float64Array(0), new Float64Array(0)).values.length, 0);
});

test('a matrix that is not finite is refused, and the arguments are left alone', () => {
  const diagonal = Float64Array.of(1, 2, 3);
  const off = Float64Array.of(1, NaN);
  assert.throws(() => tridiagonalEigen(diagonal, off), AnalysisError);
  assert.throws(() => tridiagonalEigen(Float64Array.of(1, Infinity), Float64Array.of(1)), /not finite/);
  tridiagonalEigen(diagonal, Float64Array.of(1, 1));
  assert.deepEqual(Array.from(diagonal), [1, 2, 3]);
});
