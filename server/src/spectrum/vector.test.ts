import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../random';
import { axpy, basisProducts, dot, scale, squaredNorm, subtractCombination } from './vector';

const vector = (length: number, name: string) => Random.stream(11, name).gaussianVector(length);

test('products accumulate in float64', () => {
  // In float32 the sum stalls at 2^24.
  const n = 2 ** 24 + 1000;
  const ones = new Float32Array(n).fill(1);
  assert.equal(squaredNorm(ones), n);
});

test('dot, axpy and scale agree with their definitions at every remainder of four', () => {
  for (const n of [0, 1, 2, 3, 4, 5, 7, 8, 1023]) {
    const x = vector(n, `x${n}`);
    const y = vector(n, `y${n}`);
    let expected = 0;
    for (let i = 0; i < n; i++) expected += x[i]! * y[i]!;
    assert.ok(Math.abs(dot(x, y) - expected) < 1e-12 * (n + 1));
    const sum = Float32Array.from(y, (value, i) => value + 0.5 * x[i]!);
    axpy(0.5, x, y);
    assert.deepEqual(y, sum);
    scale(-2, y);
    assert.deepEqual(
      y,
      sum.map((value) => -2 * value),
    );
  }
});

test('basis products and subtractions agree with one vector at a time, across chunks and remainders', () => {
  for (const [n, count, first] of [
    [1, 1, 0],
    [5, 3, 0],
    [1024, 4, 0],
    [1025, 6, 1],
    [5000, 13, 2],
    [3000, 0, 0],
  ] as const) {
    const basis = Array.from({ length: count }, (_, j) => vector(n, `basis${j}`));
    const w = vector(n, 'w');
    const coefficients = new Float64Array(count + 1).fill(9);
    basisProducts(basis, w, coefficients, first);
    const used = basis.slice(first);
    used.forEach((q, j) => assert.ok(Math.abs(coefficients[j]! - dot(q, w)) < 1e-10, `${n} ${count} ${j}`));
    const expected = Float64Array.from(w);
    used.forEach((q, j) => expected.forEach((_, i) => (expected[i]! -= coefficients[j]! * q[i]!)));
    const square = subtractCombination(basis, coefficients, w, first);
    let norm = 0;
    for (let i = 0; i < n; i++) {
      assert.ok(Math.abs(w[i]! - expected[i]!) <= 2 ** -24 * Math.abs(expected[i]!) + 1e-12);
      norm += expected[i]! * expected[i]!;
    }
    assert.ok(Math.abs(square - norm) <= 1e-12 * norm);
  }
});
