import type { SymmetricOperator } from './operator';
import type { IndexRange, TraceEstimate } from './traces';
import { tridiagonalEigen } from './tridiagonal';

/**
 * The whole matrix of a small operator: D products, O(D³) arithmetic, and no
 * sampling error. Below a few thousand weights that costs less than the probes
 * that a sampling error of the same size would need, since one falls as the
 * root of their number only.
 */
export interface WholeMatrix {
  readonly dimension: number;
  /** Row by row, symmetric. */
  readonly entries: Float64Array;
  /**
   * ‖(A − Aᵀ)/2‖_F of the matrix as it was computed: what rounding left. An
   * exact product is symmetric, and rounding hardly knows which of a_ij and a_ji
   * it computes, so that the symmetric part is at least as uncertain.
   */
  readonly noise: number;
}

/**
 * Products with all unit vectors, `width` in one pass, averaged with the
 * transpose. `before(first, last)` is called ahead of every pass; the columns
 * are counted from 0, and false ends the work with null.
 */
export async function wholeMatrix(
  operator: SymmetricOperator,
  width: number,
  before: (first: number, last: number) => boolean = () => true,
): Promise<WholeMatrix | null> {
  const n = operator.dimension;
  const entries = new Float64Array(n * n);
  for (let first = 0; first < n; first += width) {
    const last = Math.min(n, first + width) - 1;
    if (!before(first, last)) return null;
    const units = Array.from({ length: last - first + 1 }, (_, i) => {
      const unit = new Float32Array(n);
      unit[first + i] = 1;
      return unit;
    });
    const products = await operator.apply(units);
    products.forEach((product, i) => entries.set(product, (first + i) * n));
  }
  let skew = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      const half = (entries[i * n + j]! - entries[j * n + i]!) / 2;
      skew += 2 * half * half;
      entries[j * n + i]! += half;
      entries[i * n + j] = entries[j * n + i]!;
    }
  }
  return { dimension: n, entries, noise: Math.sqrt(skew) };
}

/**
 * All eigenvalues, ascending: Householder's reduction to tridiagonal form
 * (Golub & Van Loan, Matrix Computations, algorithm 8.3.1), then implicit QL.
 * Backward stable; 4/3·D³ operations.
 */
export function eigenvalues({ dimension: n, entries }: WholeMatrix): Float64Array {
  // The lower triangle alone, reduced from the last row upwards.
  const rows = Array.from({ length: n }, (_, i) => entries.slice(i * n, i * n + i + 1));
  const diagonal = new Float64Array(n);
  const offDiagonal = new Float64Array(n);
  const p = new Float64Array(n);
  for (let k = n - 1; k > 0; k--) {
    diagonal[k] = rows[k]![k]!;
    const v = rows[k]!.subarray(0, k);
    const reflected = reflector(v);
    offDiagonal[k - 1] = reflected.value;
    if (reflected.beta !== 0) reflectBothSides(rows, v, reflected.beta, p);
  }
  if (n > 0) diagonal[0] = rows[0]![0]!;
  return tridiagonalEigen(diagonal, offDiagonal).values;
}

/**
 * Makes of `x` the vector v with (I − β·v·vᵀ)·x = value·e_last (algorithm 5.1.1).
 * β = 0 where nothing is to be done.
 */
function reflector(x: Float64Array): { readonly value: number; readonly beta: number } {
  const last = x.length - 1;
  let largest = 0;
  for (let i = 0; i < last; i++) largest = Math.max(largest, Math.abs(x[i]!));
  if (largest === 0) return { value: x[last]!, beta: 0 };
  const scale = Math.max(largest, Math.abs(x[last]!));
  let square = 0;
  for (let i = 0; i <= last; i++) square += (x[i]! /= scale) ** 2;
  // Of the two signs that which does not cancel.
  const norm = x[last]! > 0 ? -Math.sqrt(square) : Math.sqrt(square);
  const rest = square - x[last]! ** 2;
  x[last]! -= norm;
  return { value: norm * scale, beta: 2 / (rest + x[last]! ** 2) };
}

/** The leading block, of the order of `v`, from A to (I − βvvᵀ)·A·(I − βvvᵀ) = A − v·wᵀ − w·vᵀ. */
function reflectBothSides(rows: readonly Float64Array[], v: Float64Array, beta: number, p: Float64Array): void {
  const k = v.length;
  p.fill(0, 0, k);
  for (let i = 0; i < k; i++) {
    const row = rows[i]!;
    const vi = v[i]!;
    let sum = row[i]! * vi;
    for (let j = 0; j < i; j++) {
      sum += row[j]! * v[j]!;
      p[j]! += row[j]! * vi;
    }
    p[i]! += sum;
  }
  let inner = 0;
  for (let i = 0; i < k; i++) inner += p[i]! * v[i]!;
  const half = (beta * beta * inner) / 2;
  // p becomes w.
  for (let i = 0; i < k; i++) p[i] = beta * p[i]! - half * v[i]!;
  for (let i = 0; i < k; i++) {
    const row = rows[i]!;
    const [vi, wi] = [v[i]!, p[i]!];
    for (let j = 0; j <= i; j++) row[j]! -= vi * p[j]! + wi * v[j]!;
  }
}

/**
 * Traces of the matrix and of its diagonal blocks. The standard errors are those
 * of rounding: an entry of the diagonal is not averaged with another, so that
 * its error is √2 times that of the rest, noise/D.
 */
export function exactTraces(
  { dimension: n, entries, noise }: WholeMatrix,
  ranges: readonly IndexRange[],
): TraceEstimate {
  const block = ({ offset, length }: IndexRange) => {
    let value = 0;
    for (let i = offset; i < offset + length; i++) value += entries[i * (n + 1)]!;
    return { value, standardError: (noise / n) * Math.sqrt(2 * length) };
  };
  return { trace: block({ offset: 0, length: n }), blocks: ranges.map(block) };
}
