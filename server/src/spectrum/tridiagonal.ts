import { AnalysisError } from '../errors';

/**
 * Eigenvalues of a symmetric tridiagonal matrix with the first
 * components of its normalised eigenvectors.
 *
 * Gauss quadrature needs those (Golub & Welsch 1969). Whole eigenvectors would
 * cost O(m³); one row of them costs O(m²).
 */
export interface TridiagonalEigen {
  /** Ascending. */
  readonly values: Float64Array;
  /** First component of eigenvector `i`, of either sign. */
  readonly first: Float64Array;
}

/** Iterations per eigenvalue; two or three are usual, EISPACK allows 30. */
const MAX_ITERATIONS = 60;

/**
 * Off-diagonal entries this small beside the largest entry of the matrix are
 * zero: their squares, which the rotations take, would underflow.
 */
const UNDERFLOW = 1e-150;

/**
 * `diagonal` has m entries, `offDiagonal` at least m − 1 (more are ignored);
 * neither is changed. Implicit QL with Wilkinson's shift, as EISPACK's imtql2
 * (Dubrulle, Martin & Wilkinson 1968): errors of the values are a few units of
 * float64 relative to the norm of the matrix.
 *
 * Throws AnalysisError when an entry is not finite or the iteration does not
 * converge.
 */
export function tridiagonalEigen(diagonal: Float64Array, offDiagonal: Float64Array): TridiagonalEigen {
  const m = diagonal.length;
  let norm = 0;
  for (let i = 0; i < m; i++) norm = largest(norm, diagonal[i]!);
  for (let i = 0; i + 1 < m; i++) norm = largest(norm, offDiagonal[i]!);
  if (!Number.isFinite(norm)) throw new AnalysisError(`tridiagonal matrix not finite (order ${m})`);
  const unit = norm === 0 ? 1 : norm;

  const d = Float64Array.from(diagonal, (value) => value / unit);
  const e = new Float64Array(m);
  for (let i = 0; i + 1 < m; i++) e[i] = offDiagonal[i]! / unit;
  const first = new Float64Array(m);
  if (m > 0) first[0] = 1;
  for (let low = 0; low < m; low++) {
    for (let iteration = 0; ; iteration++) {
      const high = blockEnd(d, e, low);
      if (high === low) break;
      if (iteration === MAX_ITERATIONS) {
        throw new AnalysisError(`tridiagonal eigenvalue not converged: ${low + 1} of ${m} after ${iteration} steps`);
      }
      qlStep(d, e, first, low, high);
    }
  }

  const order = Array.from({ length: m }, (_, i) => i).sort((a, b) => d[a]! - d[b]!);
  return {
    values: Float64Array.from(order, (i) => d[i]! * unit),
    first: Float64Array.from(order, (i) => first[i]!),
  };
}

/** Like Math.max, but a NaN does not get lost. */
function largest(norm: number, entry: number): number {
  const size = Math.abs(entry);
  return size <= norm ? norm : size;
}

/** The last index of the unreduced block that starts at `low`. */
function blockEnd(d: Float64Array, e: Float64Array, low: number): number {
  let end = low;
  while (end + 1 < d.length) {
    const coupling = Math.abs(e[end]!);
    if (coupling <= Number.EPSILON * (Math.abs(d[end]!) + Math.abs(d[end + 1]!)) || coupling <= UNDERFLOW) break;
    end++;
  }
  return end;
}

/** One implicit QL sweep over rows `low` … `high`, from the bottom up. */
function qlStep(d: Float64Array, e: Float64Array, first: Float64Array, low: number, high: number): void {
  // 1. Wilkinson's shift: the eigenvalue of the leading 2 × 2 block nearer to d[low].
  const ratio = (d[low + 1]! - d[low]!) / (2 * e[low]!);
  const root = Math.hypot(ratio, 1);
  let g = d[high]! - d[low]! + e[low]! / (ratio + (ratio >= 0 ? root : -root));
  // 2. Chase the bulge upwards with plane rotations (c, s).
  let s = 1;
  let c = 1;
  let p = 0;
  for (let i = high - 1; i >= low; i--) {
    const f = s * e[i]!;
    const b = c * e[i]!;
    const r = Math.sqrt(f * f + g * g);
    e[i + 1] = r;
    if (r === 0) {
      // The bulge vanished: the block has split, and the next sweep sees it.
      d[i + 1]! -= p;
      e[high] = 0;
      return;
    }
    s = f / r;
    c = g / r;
    g = d[i + 1]! - p;
    const t = (d[i]! - g) * s + 2 * c * b;
    p = s * t;
    d[i + 1] = g + p;
    g = c * t - b;
    rotate(first, i, c, s);
  }
  d[low]! -= p;
  e[low] = g;
  e[high] = 0;
}

function rotate(row: Float64Array, i: number, c: number, s: number): void {
  const next = row[i + 1]!;
  row[i + 1] = s * row[i]! + c * next;
  row[i] = c * row[i]! - s * next;
}
