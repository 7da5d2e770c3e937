import { sampleStandardError, type Estimate } from './estimate';
import { squaredNorm, dot } from './vector';

/** Entries [offset, offset + length) of the flat vector: one layer. */
export interface IndexRange {
  readonly offset: number;
  readonly length: number;
}

/** What one product with a probe says about the trace and about those of diagonal blocks. */
export interface TraceSample {
  readonly whole: BlockSample;
  readonly blocks: readonly BlockSample[];
}

export interface BlockSample {
  /** v_lᵀ(Av)_l, an unbiased estimate of the block's trace. */
  readonly quadraticForm: number;
  /** ‖(Av)_l‖², an unbiased estimate of the squared Frobenius norm of the block's rows. */
  readonly squaredNorm: number;
}

export interface TraceEstimate {
  readonly trace: Estimate;
  readonly blocks: readonly Estimate[];
}

/**
 * Hutchinson's estimator (1990) from one product, for the whole operator and
 * for the diagonal block of every range. `vector` is a Rademacher probe or a
 * multiple of one (such as the first vector of a Lanczos run); the sample is
 * scaled as if its entries were ±1.
 */
export function traceSample(
  vector: Float32Array,
  product: Float32Array,
  ranges: readonly IndexRange[] = [],
): TraceSample {
  const factor = vector.length / squaredNorm(vector);
  const block = (v: Float32Array, w: Float32Array) => ({
    quadraticForm: factor * dot(v, w),
    squaredNorm: factor * squaredNorm(w),
  });
  return {
    whole: block(vector, product),
    blocks: ranges.map(({ offset, length }) =>
      block(vector.subarray(offset, offset + length), product.subarray(offset, offset + length)),
    ),
  };
}

/** From this many samples on their scatter is believed. */
const SAMPLES_FOR_SCATTER = 8;

/**
 * Traces with standard errors, from samples over the same ranges.
 *
 * A priori, for independent signs v: v_lᵀ(Av)_l = Σ_{i∈l} a_ii + Σ_{i∈l, j≠i} a_ij v_i v_j.
 * Of a pair inside the block both terms appear, together 2 a_ij v_i v_j with
 * variance 4 a_ij²; of a pair that leaves it one, with variance a_ij². So
 *
 *     Var = 2 Σ_{i≠j∈l} a_ij² + Σ_{i∈l, j∉l} a_ij² ≤ 2 Σ_{i∈l} Σ_j a_ij² = 2 E‖(Av)_l‖²,
 *
 * which for the whole operator is Hutchinson's 2‖A‖_F². The mean of ‖(Av)_l‖²
 * over the samples stands for its expectation. From eight samples on their
 * scatter is used where it is smaller.
 *
 * Throws RangeError without samples.
 */
export function combineTraces(samples: readonly TraceSample[]): TraceEstimate {
  const first = samples[0];
  if (first === undefined) throw new RangeError('trace samples missing: at least one is needed');
  return {
    trace: combine(samples.map((sample) => sample.whole)),
    blocks: first.blocks.map((_, index) => combine(samples.map((sample) => sample.blocks[index]!))),
  };
}

function combine(samples: readonly BlockSample[]): Estimate {
  const n = samples.length;
  const value = samples.reduce((sum, sample) => sum + sample.quadraticForm, 0) / n;
  const square = samples.reduce((sum, sample) => sum + sample.squaredNorm, 0) / n;
  const bound = Math.sqrt((2 * square) / n);
  if (n < SAMPLES_FOR_SCATTER) return { value, standardError: bound };
  const scatter = sampleStandardError(samples.map((sample) => sample.quadraticForm));
  return { value, standardError: Math.min(bound, scatter) };
}
