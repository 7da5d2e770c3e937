/** A smoothed spectral density, for pictures: numbers come from the quadrature itself. */
export interface SpectralDensity {
  /** Log-modulus of the eigenvalue, evenly spaced: sign(λ)·log10(1 + |λ|/unit). */
  readonly x: Float64Array;
  /** The eigenvalue at `x`. */
  readonly lambda: Float64Array;
  /** Per unit of `x`; its integral over all of `x` is 1. */
  readonly density: Float64Array;
  /** Around 0 the axis is linear up to about this modulus, logarithmic beyond. */
  readonly unit: number;
}

export interface DensityOptions {
  /** Points of the grid. */
  readonly points: number;
  /** Standard deviation of the Gaussians, in decades of λ. */
  readonly width: number;
  /** Where the axis turns from linear to logarithmic. */
  readonly unit: number;
}

/** The log-modulus transformation (John & Draper 1980) in decades: defined at 0 and of either sign. */
export function logModulus(lambda: number, unit: number): number {
  return Math.sign(lambda) * Math.log10(1 + Math.abs(lambda) / unit);
}

/** The eigenvalue whose log-modulus is `x`. */
export function fromLogModulus(x: number, unit: number): number {
  return Math.sign(x) * unit * (10 ** Math.abs(x) - 1);
}

/**
 * Each node becomes a Gaussian of its weight on the log-modulus axis. The grid
 * covers all nodes and four widths beyond. By default the axis turns linear at
 * 10⁻⁶ of the largest modulus, below which float32 products resolve nothing.
 */
export function spectralDensity(
  nodes: ArrayLike<number>,
  weights: ArrayLike<number>,
  options: Partial<DensityOptions> = {},
): SpectralDensity {
  const { points = 512, width = 0.12 } = options;
  if (nodes.length === 0) throw new RangeError('spectral density of no nodes');
  if (!(Number.isInteger(points) && points >= 2)) throw new RangeError(`density points out of range: ${points}`);
  const largest = Array.from(nodes).reduce((most, node) => Math.max(most, Math.abs(node)), 0);
  const unit = options.unit ?? (largest > 0 ? largest * 1e-6 : 1);
  const centres = Float64Array.from(nodes, (node) => logModulus(node, unit));
  const low = centres.reduce((least, centre) => Math.min(least, centre), Infinity) - 4 * width;
  const high = centres.reduce((most, centre) => Math.max(most, centre), -Infinity) + 4 * width;

  const x = Float64Array.from({ length: points }, (_, i) => low + ((high - low) * i) / (points - 1));
  const density = new Float64Array(points);
  const peak = 1 / (width * Math.sqrt(2 * Math.PI));
  for (let j = 0; j < centres.length; j++) {
    for (let i = 0; i < points; i++) {
      const distance = (x[i]! - centres[j]!) / width;
      density[i]! += weights[j]! * peak * Math.exp(-0.5 * distance * distance);
    }
  }
  return { x, lambda: x.map((value) => fromLogModulus(value, unit)), density, unit };
}
