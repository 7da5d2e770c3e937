import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CurvatureKind } from '../../protocol/analysis';
import { goldenFolder } from './oracles';

/** What is kept of a vector of length D that PyTorch computed in float64. */
export interface VectorSummary {
  /** Norm of every layer's part. */
  readonly norms: readonly number[];
  /** Elements at `indices`. */
  readonly entries: readonly number[];
  /** Inner products with `PROJECTIONS` random sign vectors, see `projections`. */
  readonly projections: readonly number[];
}

/** A golden file of `make_goldens.py` for products with one direction. */
export interface ProductGolden {
  readonly network: string;
  readonly fingerprint: string;
  readonly loss: number;
  readonly layers: readonly string[];
  readonly indices: readonly number[];
  readonly gradient: VectorSummary;
  readonly hessian: VectorSummary;
  readonly ggn: VectorSummary;
}

/** A golden file for a whole matrix. Its eigenvalues are beside it, see `oracleEigenvalues`. */
export interface OracleGolden {
  readonly network: string;
  readonly fingerprint: string;
  readonly loss: number;
  readonly gradientNorm: number;
  readonly layers: readonly string[];
  readonly sizes: readonly number[];
  readonly hessian: OracleTraces;
  readonly ggn: OracleTraces;
  readonly path: readonly {
    readonly sparsity: number;
    readonly R: number;
    readonly loss: number;
    readonly linear: number;
    readonly quadratic: number;
  }[];
}

export interface OracleTraces {
  readonly trace: number;
  /** Of the diagonal block of every layer. */
  readonly blocks: readonly number[];
}

export function readGolden<T extends ProductGolden | OracleGolden>(name: string): T {
  return JSON.parse(readFileSync(join(goldenFolder(), `${name}.json`), 'utf8')) as T;
}

/** All eigenvalues of the matrix, ascending, from LAPACK in float64. */
export function oracleEigenvalues(name: string, kind: CurvatureKind): Float64Array {
  const bytes = readFileSync(join(goldenFolder(), `${name}.${kind}.bin`));
  return new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

export const PROJECTIONS = 64;

/**
 * Inner products of `vector` with 64 fixed random sign vectors r_j.
 *
 * They let a small file bound the error of all of a long vector. For any fixed
 * e, E(r_jᵀe)² = ‖e‖², so the mean of the 64 squares estimates ‖e‖², with a
 * relative deviation of at most √(2/64) = 18 %; and the estimate falls short
 * of ‖e‖²/4 with a probability of about 10⁻⁹ (a χ² with 64 degrees of freedom;
 * Johnson & Lindenstrauss 1984, for signs Achlioptas 2003). So with e the
 * difference of two vectors, 2·rms(r_jᵀx − r_jᵀy) bounds ‖x − y‖: an error
 * cannot hide where no entry was sampled.
 *
 * Sign j of entry i is bit j mod 32 of the hash of 2i + ⌊j/32⌋: a counter
 * through a 32-bit finaliser, the same in `make_goldens.py`.
 */
export function projections(vector: ArrayLike<number>): Float64Array {
  const sums = new Float64Array(PROJECTIONS);
  for (let i = 0; i < vector.length; i++) {
    const value = vector[i]!;
    for (let word = 0; word < PROJECTIONS / 32; word++) {
      const bits = signBits(2 * i + word);
      for (let j = 0; j < 32; j++) sums[32 * word + j]! += bits & (1 << j) ? value : -value;
    }
  }
  return sums;
}

function signBits(counter: number): number {
  let z = Math.imul(counter, 0x9e3779b9);
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return z ^ (z >>> 15);
}

/** Relative errors of a vector against what is known of the right one. */
export interface VectorError {
  /** Estimate of ‖x − y‖/‖y‖ from the projections; twice this is a bound. */
  readonly whole: number;
  /** ‖x − y‖/‖y‖ over the sampled entries. */
  readonly sampled: number;
  /** Largest relative error of a layer's norm, layers of no norm left out. */
  readonly norms: number;
}

export function compareWithGolden(
  vector: ArrayLike<number>,
  golden: VectorSummary,
  indices: readonly number[],
  layers: readonly { readonly offset: number; readonly length: number }[],
): VectorError {
  const root = (values: ArrayLike<number>) => Math.sqrt(Array.from(values).reduce((sum, x) => sum + x * x, 0));
  const size = root(golden.norms);
  const off = projections(vector).map((x, j) => x - golden.projections[j]!);
  const norms = layers.map(({ offset, length }, i) => {
    let sum = 0;
    for (let k = offset; k < offset + length; k++) sum += vector[k]! * vector[k]!;
    const wanted = golden.norms[i]!;
    return wanted > 1e-9 * size ? Math.abs(Math.sqrt(sum) - wanted) / wanted : Math.sqrt(sum) / size;
  });
  return {
    whole: root(off) / Math.sqrt(PROJECTIONS) / size,
    sampled: root(indices.map((at, k) => vector[at]! - golden.entries[k]!)) / root(golden.entries),
    norms: Math.max(...norms),
  };
}
