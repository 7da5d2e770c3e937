/**
 * Kernels on Float32Array with float64 arithmetic inside.
 *
 * Re-orthogonalisation is the only work of the analysis that is not a product
 * of the operator: 4·D·m multiplications and additions per Lanczos step, with
 * D weights and m basis vectors. The kernels are written for what V8 makes of
 * them (scalar SSE, one conversion per float32 loaded):
 *
 * 1. Four basis vectors per sweep, in straight-line loops over local names: `w`
 *    is loaded, and in a subtraction stored, once for four vectors. Eight spill
 *    registers and are slower.
 * 2. `w` goes through in chunks that stay in the first-level cache while all
 *    basis vectors pass by, so that memory is read once per pass: the basis.
 * 3. The chunk is held in float64. Its conversion is paid once for all basis
 *    vectors, and a subtraction of m vectors rounds to float32 once, not m / 4
 *    times.
 *
 * Measured on one core of a shared server CPU, D = 266,200, m = 64: products
 * 1.7 to 1.9 GFLOP/s, no more than `dot` vector by vector while the basis fits
 * the cache, which is what scalar code can do; subtractions 1.6 to 1.7, twice
 * `axpy` vector by vector and a third more than float32 arithmetic through
 * Math.fround.
 */

/** Entries of `w` per chunk: 8 KiB of float64, and 4 KiB of each of four basis vectors. */
const CHUNK = 1024;

/** xᵀy, accumulated in float64; equal lengths. */
export function dot(x: Float32Array, y: Float32Array): number {
  const n = x.length;
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (; i + 3 < n; i += 4) {
    s0 += x[i]! * y[i]!;
    s1 += x[i + 1]! * y[i + 1]!;
    s2 += x[i + 2]! * y[i + 2]!;
    s3 += x[i + 3]! * y[i + 3]!;
  }
  for (; i < n; i++) s0 += x[i]! * y[i]!;
  return s0 + s1 + (s2 + s3);
}

/** ‖x‖². */
export function squaredNorm(x: Float32Array): number {
  return dot(x, x);
}

/** y ← y + a·x. */
export function axpy(a: number, x: Float32Array, y: Float32Array): void {
  for (let i = 0; i < x.length; i++) y[i] = y[i]! + a * x[i]!;
}

/** x ← a·x. */
export function scale(a: number, x: Float32Array): void {
  for (let i = 0; i < x.length; i++) x[i] = a * x[i]!;
}

/**
 * The coefficients Qᵀw, one per vector of `basis` from `first` on, into
 * `coefficients` from index 0 on.
 */
export function basisProducts(
  basis: readonly Float32Array[],
  w: Float32Array,
  coefficients: Float64Array,
  first = 0,
): void {
  const count = basis.length - first;
  coefficients.fill(0, 0, count);
  const chunk = new Float64Array(Math.min(CHUNK, w.length));
  for (let start = 0; start < w.length; start += CHUNK) {
    const length = Math.min(CHUNK, w.length - start);
    for (let i = 0; i < length; i++) chunk[i] = w[start + i]!;
    let j = 0;
    for (; j + 3 < count; j += 4) {
      const at = first + j;
      fourProducts(chunk, basis[at]!, basis[at + 1]!, basis[at + 2]!, basis[at + 3]!, start, length, coefficients, j);
    }
    for (; j < count; j++) coefficients[j]! += oneProduct(chunk, basis[first + j]!, start, length);
  }
}

/**
 * w ← w − Q·coefficients, over the vectors of `basis` from `first` on.
 * Returns ‖w‖² of the result before it is rounded to float32.
 */
export function subtractCombination(
  basis: readonly Float32Array[],
  coefficients: Float64Array,
  w: Float32Array,
  first = 0,
): number {
  const count = basis.length - first;
  const chunk = new Float64Array(Math.min(CHUNK, w.length));
  let square = 0;
  for (let start = 0; start < w.length; start += CHUNK) {
    const length = Math.min(CHUNK, w.length - start);
    for (let i = 0; i < length; i++) chunk[i] = w[start + i]!;
    let j = 0;
    for (; j + 3 < count; j += 4) {
      const at = first + j;
      subtractFour(chunk, basis[at]!, basis[at + 1]!, basis[at + 2]!, basis[at + 3]!, start, length, coefficients, j);
    }
    for (; j < count; j++) subtractOne(chunk, basis[first + j]!, start, length, coefficients[j]!);
    for (let i = 0; i < length; i++) {
      const value = chunk[i]!;
      square += value * value;
      w[start + i] = value;
    }
  }
  return square;
}

function fourProducts(
  w: Float64Array,
  a: Float32Array,
  b: Float32Array,
  c: Float32Array,
  d: Float32Array,
  start: number,
  length: number,
  sums: Float64Array,
  at: number,
): void {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  for (let i = 0, k = start; i < length; i++, k++) {
    const x = w[i]!;
    s0 += x * a[k]!;
    s1 += x * b[k]!;
    s2 += x * c[k]!;
    s3 += x * d[k]!;
  }
  sums[at]! += s0;
  sums[at + 1]! += s1;
  sums[at + 2]! += s2;
  sums[at + 3]! += s3;
}

function oneProduct(w: Float64Array, a: Float32Array, start: number, length: number): number {
  let sum = 0;
  for (let i = 0, k = start; i < length; i++, k++) sum += w[i]! * a[k]!;
  return sum;
}

function subtractFour(
  w: Float64Array,
  a: Float32Array,
  b: Float32Array,
  c: Float32Array,
  d: Float32Array,
  start: number,
  length: number,
  coefficients: Float64Array,
  at: number,
): void {
  const h0 = coefficients[at]!;
  const h1 = coefficients[at + 1]!;
  const h2 = coefficients[at + 2]!;
  const h3 = coefficients[at + 3]!;
  for (let i = 0, k = start; i < length; i++, k++) {
    w[i] = w[i]! - (h0 * a[k]! + h1 * b[k]! + (h2 * c[k]! + h3 * d[k]!));
  }
}

function subtractOne(w: Float64Array, a: Float32Array, start: number, length: number, h: number): void {
  for (let i = 0, k = start; i < length; i++, k++) w[i] = w[i]! - h * a[k]!;
}
