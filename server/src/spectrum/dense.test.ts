import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../random';
import { eigenvalues, exactTraces, wholeMatrix, type WholeMatrix } from './dense';
import type { SymmetricOperator } from './operator';
import { naiveEigen, prescribedOperator } from './testing';

const spectra = {
  'of a trained network': Array.from({ length: 61 }, (_, i) => (i < 50 ? (i + 1) ** -1.5 : -(10 ** -(i - 45)))),
  'flat, with zeros': Array.from({ length: 40 }, (_, i) => (i < 25 ? 0 : 3)),
  'of wide range': Array.from({ length: 30 }, (_, i) => 10 ** (i - 20)),
};

for (const [name, spectrum] of Object.entries(spectra)) {
  test(`finds the spectrum ${name}`, async () => {
    const operator = prescribedOperator(spectrum, 5);
    const matrix = (await wholeMatrix(operator, 7))!;
    const found = eigenvalues(matrix);
    const norm = Math.max(...spectrum.map(Math.abs));
    // Products are rounded to float32; by Weyl no eigenvalue moves further than the whole error.
    const wanted = [...spectrum].sort((a, b) => a - b);
    wanted.forEach((lambda, i) => {
      assert.ok(Math.abs(found[i]! - lambda) < 2e-7 * norm, `eigenvalue ${i}: ${found[i]} for ${lambda}`);
    });
    assert.equal(operator.products, spectrum.length);
  });
}

test('is as accurate as float64 allows, and does not change the matrix', () => {
  const random = Random.stream(3, 'dense');
  for (const n of [0, 1, 2, 3, 17]) {
    const entries = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) entries[i * n + j] = entries[j * n + i] = random.gaussian();
    }
    const matrix: WholeMatrix = { dimension: n, entries: entries.slice(), noise: 0 };
    const rows = Array.from({ length: n }, (_, i) => entries.slice(i * n, (i + 1) * n));
    const { values } = naiveEigen(rows);
    eigenvalues(matrix).forEach((lambda, i) => {
      assert.ok(Math.abs(lambda - values[i]!) < 1e-13, `order ${n}, eigenvalue ${i}: ${lambda} for ${values[i]}`);
    });
    assert.deepEqual(matrix.entries, entries);
  }
});

test('a matrix that is diagonal already, and tiny entries, do no harm', () => {
  const diagonal = (values: readonly number[]): WholeMatrix => {
    const entries = new Float64Array(values.length ** 2);
    values.forEach((value, i) => (entries[i * (values.length + 1)] = value));
    return { dimension: values.length, entries, noise: 0 };
  };
  assert.deepEqual([...eigenvalues(diagonal([3, -1, 0, 2]))], [-1, 0, 2, 3]);
  assert.deepEqual([...eigenvalues(diagonal([0, 0, 0]))], [0, 0, 0]);
  // Squares of these would underflow.
  const small = {
    dimension: 3,
    entries: Float64Array.of(1, 1e-200, 1e-200, 1e-200, 1, 1e-200, 1e-200, 1e-200, 1),
    noise: 0,
  };
  assert.deepEqual([...eigenvalues(small)], [1, 1, 1]);
});

/** Known products, with an error of its own in every entry. */
function noisy(n: number, size: number): { operator: SymmetricOperator; error: Float64Array } {
  const random = Random.stream(9, 'noise');
  const error = Float64Array.from({ length: n * n }, () => size * random.gaussian());
  const operator: SymmetricOperator = {
    dimension: n,
    positiveSemidefinite: true,
    apply: (vectors) =>
      Promise.resolve(
        vectors.map((v) => {
          const at = v.indexOf(1);
          return Float32Array.from(v, (value, i) => value * (i + 1) + error[at * n + i]!);
        }),
      ),
  };
  return { operator, error };
}

test('the asymmetry tells the size of the error', async () => {
  const n = 60;
  const { operator, error } = noisy(n, 1e-3);
  const { entries, noise } = (await wholeMatrix(operator, 16))!;
  let left = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      assert.equal(entries[i * n + j], entries[j * n + i]);
      left += (entries[i * n + j]! - (i === j ? i + 1 : 0)) ** 2;
    }
  }
  const actual = Math.sqrt(left);
  assert.ok(noise > 0.9 * actual && noise < 1.1 * actual, `${noise} for ${actual}`);
  // Hoffman and Wielandt: the displacement of the eigenvalues is no larger.
  const off = Math.hypot(...eigenvalues({ dimension: n, entries, noise }).map((lambda, i) => lambda - (i + 1)));
  assert.ok(off <= actual);
  assert.ok(error.some((value) => Math.abs(value) > 1e-3));
});

test('traces are those of the blocks', async () => {
  const operator = prescribedOperator(spectra['of a trained network'], 8);
  const ranges = [
    { offset: 0, length: 10 },
    { offset: 10, length: 51 },
  ];
  const { trace, blocks } = exactTraces((await wholeMatrix(operator, 61))!, ranges);
  const sum = (from: number, to: number) =>
    operator.matrix.slice(from, to).reduce((all, row, i) => all + row[from + i]!, 0);
  assert.ok(Math.abs(trace.value - sum(0, 61)) < 1e-6);
  assert.ok(Math.abs(blocks[0]!.value - sum(0, 10)) < 1e-6);
  assert.ok(Math.abs(blocks[1]!.value - sum(10, 61)) < 1e-6);
});

test('the standard error of a trace is that of its rounding', async () => {
  const n = 60;
  const { operator } = noisy(n, 1e-3);
  const { trace, blocks } = exactTraces((await wholeMatrix(operator, 16))!, [{ offset: 20, length: 15 }]);
  for (const [{ value, standardError }, length, truth] of [
    [trace, n, (n * (n + 1)) / 2],
    [blocks[0]!, 15, 15 * 28],
  ] as const) {
    assert.ok(Math.abs(standardError - 1e-3 * Math.sqrt(length)) < 1e-4 * Math.sqrt(length));
    assert.ok(Math.abs(value - truth) < 3 * standardError, `${value} for ${truth}`);
  }
});

test('can be left between two passes', async () => {
  const operator = prescribedOperator(spectra['flat, with zeros'], 1);
  const seen: (readonly [number, number])[] = [];
  const result = await wholeMatrix(operator, 16, (first, last) => {
    seen.push([first, last]);
    return first < 32;
  });
  assert.equal(result, null);
  assert.deepEqual(seen, [
    [0, 15],
    [16, 31],
    [32, 39],
  ]);
  assert.equal(operator.products, 32);
});
