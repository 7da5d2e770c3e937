import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../random';
import { offDiagonalShare, type CouplingSample } from './off-diagonal';
import { inner, prescribedOperator } from './testing';

const N = 60;
const ENDS = [20, 50, 60];
const blockOf = (i: number): number => ENDS.findIndex((end) => i < end);

/** A random symmetric matrix whose blocks off the diagonal are scaled by `coupling`. */
function coupledMatrix(coupling: number, seed: number): readonly Float64Array[] {
  const eigenvalues = Array.from({ length: N }, (_, i) => 1 / (i + 1));
  const { matrix } = prescribedOperator(eigenvalues, seed);
  return matrix.map((row, i) => row.map((x, j) => (blockOf(i) === blockOf(j) ? x : coupling * x)));
}

const offDiagonal = (matrix: readonly Float64Array[]): Float64Array[] =>
  matrix.map((row, i) => row.map((x, j) => (blockOf(i) === blockOf(j) ? 0 : x)));

const squaredNorm = (matrix: readonly Float64Array[]): number => matrix.reduce((sum, row) => sum + inner(row, row), 0);

function sample(matrix: readonly Float64Array[], seed: number, probe: number): CouplingSample {
  const v = Random.stream(seed, `probe ${probe}`).rademacher(N);
  const size = (rows: readonly Float64Array[]) => rows.reduce((sum, row) => sum + inner(row, v) ** 2, 0);
  return { whole: size(matrix), coupled: size(offDiagonal(matrix)) };
}

test('the share is within its error bar of the one by every entry, about as often as the bar says', () => {
  let inside = 0;
  for (let seed = 0; seed < 100; seed++) {
    const matrix = coupledMatrix((1 + seed) / 100, seed);
    const truth = squaredNorm(offDiagonal(matrix)) / squaredNorm(matrix);
    const samples = Array.from({ length: 16 }, (_, probe) => sample(matrix, seed, probe));
    const { value, standardError } = offDiagonalShare(samples);
    if (Math.abs(value - truth) <= 2 * standardError) inside++;
    assert.ok(standardError < 0.5 * Math.max(truth, 0.1), `${standardError} of ${truth}`);
  }
  assert.ok(inside >= 88, `${inside} of 100 within two standard errors`);
});

test('of a block-diagonal matrix the share is 0, and of one probe nothing is said', () => {
  const matrix = coupledMatrix(0, 1);
  const samples = [sample(matrix, 1, 0), sample(matrix, 1, 1)];
  assert.deepEqual(offDiagonalShare(samples), { value: 0, standardError: 0 });
  assert.deepEqual(
    offDiagonalShare([
      { whole: 0, coupled: 0 },
      { whole: 0, coupled: 0 },
    ]),
    { value: 0, standardError: 0 },
  );
  assert.throws(() => offDiagonalShare(samples.slice(1)), RangeError);
});
