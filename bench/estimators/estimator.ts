import {
  spectralWeight,
  standardError,
  type Estimate,
  type SpectralBounds,
  type SpectralMeasure,
} from '../../server/src/spectrum/estimate';
import type { SymmetricOperator } from '../../server/src/spectrum/operator';

/** What some products told of (1/D) Tr f(|A|), f(x) = c/(x + c). */
export interface Estimated {
  readonly products: number;
  /** What the quadrature leaves open, of the probes that there were. */
  readonly bounds: SpectralBounds;
  /** Over the choice of those. */
  standardError(c: number): number;
}

/** One way to spend products on a limit. */
export interface Estimator {
  readonly name: string;
  /** With `products` of them at most. */
  estimate(operator: SymmetricOperator, products: number, seed: number): Promise<Estimated>;
}

/** One way to spend products on Tr A. */
export interface TraceEstimator {
  readonly name: string;
  estimate(operator: SymmetricOperator, products: number, seed: number): Promise<Estimate>;
}

/** The product's own standard error, of a measure from random probes. */
export function samplingError(measure: SpectralMeasure): (c: number) => number {
  return (c) => standardError(measure, (modulus) => spectralWeight(modulus, c));
}
