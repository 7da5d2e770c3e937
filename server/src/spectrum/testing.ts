import type { SymmetricOperator } from './operator';
import type { JacobiMatrix } from './quadrature';
import { Random } from '../random';

/** A dense operator whose spectrum is prescribed: the oracle of this folder's tests. */
export interface PrescribedOperator extends SymmetricOperator {
  /** Q·diag(f(λ))·Qᵀ as a quadratic form in float64: the dense truth of vᵀf(A)v. */
  quadraticForm(v: Float32Array, f: (lambda: number) => number): number;
  /** Q·diag(λ)·Qᵀ, row by row. */
  readonly matrix: readonly Float64Array[];
  /** Products made so far. */
  products: number;
}

/** Q·diag(eigenvalues)·Qᵀ with a random orthogonal Q; products in float64, rounded to float32. */
export function prescribedOperator(eigenvalues: readonly number[], seed: number): PrescribedOperator {
  const n = eigenvalues.length;
  const columns = randomOrthogonal(n, seed);
  const matrix = Array.from({ length: n }, () => new Float64Array(n));
  columns.forEach((q, k) => {
    for (let i = 0; i < n; i++) {
      const row = matrix[i]!;
      const factor = eigenvalues[k]! * q[i]!;
      for (let j = 0; j < n; j++) row[j]! += factor * q[j]!;
    }
  });
  return {
    dimension: n,
    positiveSemidefinite: eigenvalues.every((lambda) => lambda >= 0),
    matrix,
    products: 0,
    apply(vectors) {
      this.products += vectors.length;
      return Promise.resolve(vectors.map((v) => Float32Array.from(matrix, (row) => inner(row, v))));
    },
    quadraticForm(v, f) {
      return columns.reduce((sum, q, k) => sum + f(eigenvalues[k]!) * inner(q, v) ** 2, 0);
    },
  };
}

/** Orthonormal columns, by Gram–Schmidt twice over Gaussian vectors. */
export function randomOrthogonal(n: number, seed: number): Float64Array[] {
  const random = Random.stream(seed, 'orthogonal');
  const columns: Float64Array[] = [];
  while (columns.length < n) {
    const v = Float64Array.from({ length: n }, () => random.gaussian());
    for (let pass = 0; pass < 2; pass++) {
      for (const q of columns) {
        const h = inner(q, v);
        for (let i = 0; i < n; i++) v[i]! -= h * q[i]!;
      }
    }
    const norm = Math.sqrt(inner(v, v));
    columns.push(v.map((value) => value / norm));
  }
  return columns;
}

export function inner(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}

/**
 * Lanczos in float64 on diag(λ) from the direction z, to `steps` or breakdown.
 * With z = Qᵀv it is that of Q·diag(λ)·Qᵀ from v, without the matrix.
 */
export function naiveJacobi(eigenvalues: readonly number[], z: Float64Array, steps: number): JacobiMatrix {
  const norm = Math.sqrt(inner(z, z));
  const basis = [z.map((value) => value / norm)];
  const [alpha, beta]: [number[], number[]] = [[], []];
  for (let j = 0; j < steps; j++) {
    const w = basis[j]!.map((value, i) => value * eigenvalues[i]!);
    alpha.push(inner(w, basis[j]!));
    for (const q of [...basis, ...basis]) {
      const h = inner(q, w);
      for (let i = 0; i < w.length; i++) w[i]! -= h * q[i]!;
    }
    beta.push(Math.sqrt(inner(w, w)));
    if (beta[j]! < 1e-12) break;
    basis.push(w.map((value) => value / beta[j]!));
  }
  return { alpha: Float64Array.from(alpha), beta: Float64Array.from(beta) };
}

/** Eigenvalues (ascending) and eigenvectors by cyclic Jacobi rotations: slow, and hard to get wrong. */
export function naiveEigen(matrix: readonly ArrayLike<number>[]): { values: number[]; vectors: number[][] } {
  const n = matrix.length;
  const a = matrix.map((row) => Array.from(row));
  const v = a.map((_, i) => a.map((__, j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) off += a[p]![q]! ** 2;
    if (off < 1e-300) break;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (a[p]![q] === 0) continue;
        const angle = 0.5 * Math.atan2(2 * a[p]![q]!, a[q]![q]! - a[p]![p]!);
        const c = Math.cos(angle);
        const s = Math.sin(angle);
        const turn = (x: number[]) => {
          const [xp, xq] = [x[p]!, x[q]!];
          x[p] = c * xp - s * xq;
          x[q] = s * xp + c * xq;
        };
        for (const row of a) turn(row);
        for (let k = 0; k < n; k++) {
          const [rp, rq] = [a[p]![k]!, a[q]![k]!];
          a[p]![k] = c * rp - s * rq;
          a[q]![k] = s * rp + c * rq;
        }
        for (const row of v) turn(row);
      }
    }
  }
  const order = a.map((_, i) => i).sort((i, j) => a[i]![i]! - a[j]![j]!);
  return { values: order.map((i) => a[i]![i]!), vectors: order.map((i) => v.map((row) => row[i]!)) };
}
