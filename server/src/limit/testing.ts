import { eigenvalues } from '../spectrum/dense';
import { exactMeasure, ruleBounds } from '../spectrum/estimate';
import { spectralLimit, traceBound } from './limit';
import type { Magnitudes } from './magnitudes';

/** xᵢ of one sample, and the sign of what it adds to the matrix. */
export interface QuadraticSample {
  readonly x: Float64Array;
  readonly sign?: 1 | -1;
}

/** A quadratic loss that is a mean over samples, Σ ±(xᵢᵀw)²/2n: the limit of every subset is known from its eigenvalues. */
export class QuadraticLoss {
  private readonly order: number;

  constructor(
    private readonly samples: readonly QuadraticSample[],
    readonly magnitudes: Magnitudes,
  ) {
    this.order = magnitudes.count;
  }

  /** Of the samples from `first` up to `end`, without it; by rows. */
  matrix(first: number, end: number): Float64Array {
    const { order } = this;
    const entries = new Float64Array(order * order);
    for (const { x, sign = 1 } of this.samples.slice(first, end)) {
      for (let i = 0; i < order; i++) {
        const factor = (sign * x[i]!) / (end - first);
        if (factor !== 0) for (let j = 0; j < order; j++) entries[i * order + j]! += factor * x[j]!;
      }
    }
    return entries;
  }

  /** @param semidefinite whether what is negative is rounding */
  limit(entries: Float64Array, epsilon: number, semidefinite: boolean): number {
    const found = eigenvalues({ dimension: this.order, entries, noise: 0 });
    const moduli = found.map((x) => (semidefinite ? Math.max(0, x) : Math.abs(x)));
    return spectralLimit(ruleBounds(exactMeasure(moduli)).low, epsilon, (s) => this.magnitudes.squaredRadius(s));
  }

  trace(entries: Float64Array): number {
    return entries.reduce((sum, x, i) => (i % (this.order + 1) === 0 ? sum + x : sum), 0);
  }

  /** What a trace alone says of the limit. */
  traceBound(trace: number, epsilon: number): number {
    return traceBound(trace / this.order, epsilon, (s) => this.magnitudes.squaredRadius(s));
  }
}
