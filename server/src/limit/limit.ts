import type { CurvatureKind, Interval, LimitResult } from '../../../protocol/analysis';
import {
  average,
  pooledRule,
  ruleBounds,
  spectralWeight,
  standardError,
  type Estimate,
  type RuleName,
  type SpectralBounds,
  type SpectralMeasure,
} from '../spectrum/estimate';
import type { Magnitudes } from './magnitudes';

/**
 * The pruning limit: at which sparsity the sublevel set S(ε) of the loss, seen
 * from the pruned network, becomes too narrow to be hit (Zhang, Zhang, Sun &
 * Liu, NeurIPS 2024, arXiv 2306.05857).
 *
 * Everything follows from c = 2ε/R² and the spectrum of the curvature. Sparsity
 * is the fraction of zero weights; R may be a function of it (R(s) of magnitude
 * pruning) or a constant.
 *
 * Limits of the formulas, so that nothing here is NaN:
 * - R = 0 (only zero weights are pruned): c = ∞, every direction is wide, δ = D.
 * - ε = 0 with R > 0: c → 0, only exactly flat directions (λ = 0) are wide.
 * - λ = 0 throughout: δ = D whatever c, so that all weights may go and s* = 1.
 */

/** R² at a sparsity; not decreasing. */
export type SquaredRadius = (sparsity: number) => number;

/** c = 2ε/R². */
export function curvatureScale(epsilon: number, squaredRadius: number): number {
  return squaredRadius === 0 ? Infinity : (2 * epsilon) / squaredRadius;
}

/** δ/D: normalised statistical dimension of S(ε) from distance R, by one of the rules. */
export function statisticalDimension(measure: SpectralMeasure, rule: RuleName, c: number): number {
  return average(measure, rule, (modulus) => spectralWeight(modulus, c));
}

/** a_η/√D: half the width of the phase transition as a fraction (Amelunxen, Lotz, McCoy & Tropp 2014). */
export function transitionHalfWidth(eta: number, dimension: number): number {
  return Math.sqrt((8 * Math.log(4 / eta)) / dimension);
}

/**
 * The sparsity at which s = δ(R(s))/D + shift, for δ/D as a function of c. The
 * left side rises and the right falls, so it is unique; 0 or 1 where it lies
 * outside.
 */
export function spectralLimit(
  dimension: (c: number) => number,
  epsilon: number,
  squaredRadius: SquaredRadius,
  shift = 0,
): number {
  return crossing((s) => s - dimension(curvatureScale(epsilon, squaredRadius(s))) - shift);
}

/**
 * s* from t = Tr|H|/D alone: δ/D ≥ c/(t + c), because f is convex (Jensen). At
 * most the spectral limit of the same rule.
 */
export function traceBound(meanCurvature: number, epsilon: number, squaredRadius: SquaredRadius): number {
  return crossing((s) => s - spectralWeight(meanCurvature, curvatureScale(epsilon, squaredRadius(s))));
}

/**
 * The kept fraction α of the sharp limit: weights re-optimised in a random
 * subspace of dimension αD through the pruned network reach the loss when
 *
 *     α > (1/D) Σ λ/(λ + c/α),   c = 2ε/R(1 − α)²
 *
 * (deterministic equivalent of the residual of a random projection; |λ| for
 * indefinite spectra, for which it is not derived). α = 0 always solves the
 * equation; after division by α the other solution is that of
 * 1 = (1/D) Σ λ/(αλ + c), whose right side falls in α. Without one, as when
 * Tr|H|/D · R(1)² ≤ 2ε, no weight is needed: 0.
 */
export function sharpKeep(
  measure: SpectralMeasure,
  rule: RuleName,
  epsilon: number,
  squaredRadius: SquaredRadius,
): number {
  return crossing((alpha) => {
    const c = curvatureScale(epsilon, squaredRadius(1 - alpha));
    const residual = (modulus: number) => (modulus === 0 ? 0 : modulus / (alpha * modulus + c));
    return 1 - average(measure, rule, residual);
  });
}

/** The quantile of the normal distribution that leaves 2.5 % on either side. */
export const NORMAL_95 = 1.96;

export interface LimitInput {
  readonly operator: CurvatureKind;
  /** Of the deepest tridiagonal matrices. */
  readonly measure: SpectralMeasure;
  /** What δ/D lies between, sampling error apart; by default what the rules of `measure` say. */
  readonly bounds?: SpectralBounds;
  /** What rounding may move |λ| by; counted in `bounds` already. */
  readonly blur?: number;
  readonly magnitudes: Pick<Magnitudes, 'count' | 'squaredRadius'>;
  /** Loss tolerance, in nats. */
  readonly epsilon: number;
  /** Probability that the bounds of the phase transition fail. */
  readonly eta: number;
  /** Width of the interval that counts as resolved. */
  readonly tolerance: number;
  /** Tr of the operator, signed. */
  readonly trace: Estimate;
}

/**
 * Everything that is said of one operator's limit, with its error bars. The
 * bounds are solved with δ moved by the phase transition's half width and the
 * sampling error together, each from the far end of what is known.
 *
 * Throws RangeError when ε, η or the dimensions make no sense.
 */
export function pruningLimit(input: LimitInput): Omit<LimitResult, 'method'> {
  const { measure, magnitudes, epsilon, eta, trace } = input;
  check(input);
  const squaredRadius = (s: number) => magnitudes.squaredRadius(s);
  const bounds = input.bounds ?? ruleBounds(measure);
  const rules: readonly RuleName[] = ['gauss', 'radau'];

  // 1. The crossing by both bounds is the bracket.
  const solve = (bound: (c: number) => number, shift: number) => spectralLimit(bound, epsilon, squaredRadius, shift);
  const bracket: Interval = [solve(bounds.low, 0), solve(bounds.high, 0)];
  const sparsity = (bracket[0] + bracket[1]) / 2;

  // 2. Sampling error of δ/D at the ends of the bracket, carried through the crossing.
  const errors = bracket.map((s) => samplingError(measure, epsilon, squaredRadius, s));
  const errorOfDelta = Math.max(...errors.map((error) => error.ofDelta));
  const errorOfLimit = Math.max(...errors.map((error) => error.ofLimit));
  const interval: Interval = [
    clampFraction(bracket[0] - NORMAL_95 * errorOfLimit),
    clampFraction(bracket[1] + NORMAL_95 * errorOfLimit),
  ];

  // 3. The phase transition, from the far ends.
  const shift = NORMAL_95 * errorOfDelta + transitionHalfWidth(eta, measure.dimension);
  const sparsest = Math.max(interval[1], solve(bounds.high, shift));
  const densest = Math.min(interval[0], solve(bounds.low, -shift));

  const { nodes, weights } = pooledRule(measure, 'gauss');
  const meanModulus = Math.max(...rules.map((rule) => average(measure, rule, (modulus) => modulus)));
  const sharp = rules.map((rule) => sharpKeep(measure, rule, epsilon, squaredRadius));
  return {
    operator: input.operator,
    sparsity,
    keep: 1 - sparsity,
    lower: 1 - sparsest,
    upper: 1 - densest,
    bracket,
    standardError: errorOfLimit,
    interval,
    resolved: interval[1] - interval[0] <= input.tolerance,
    eta,
    traceBound: traceBound(meanModulus, epsilon, squaredRadius),
    sharp: 1 - (sharp[0]! + sharp[1]!) / 2,
    R: Math.sqrt(squaredRadius(sparsity)),
    curvature: {
      trace: trace.value,
      traceStandardError: trace.standardError,
      lambdaMax: nodes[nodes.length - 1]!,
      lambdaMin: nodes[0]!,
      steps: Math.max(...measure.probes.map((probe) => probe.gauss.nodes.length)),
      probes: measure.probes.length,
      exact: measure.isExact ?? false,
      blur: input.blur ?? 0,
      // No number in JSON stands for the limit of R = 0.
      scale: Math.min(Number.MAX_VALUE, curvatureScale(epsilon, squaredRadius(sparsity))),
      ritzValues: Array.from(nodes),
      weights: Array.from(weights),
    },
  };
}

function check({ measure, magnitudes, epsilon, eta }: LimitInput): void {
  if (!(epsilon >= 0 && Number.isFinite(epsilon))) throw new RangeError(`epsilon out of range: ${epsilon}`);
  if (!(eta > 0 && eta < 1)) throw new RangeError(`eta out of range: ${eta} (0 to 1)`);
  if (measure.dimension !== magnitudes.count) {
    throw new RangeError(`spectrum of ${measure.dimension} weights, magnitudes of ${magnitudes.count}`);
  }
  if (measure.probes.length === 0 || measure.probes.some((probe) => probe.gauss.nodes.length === 0)) {
    throw new RangeError('spectrum unknown: every probe needs at least one Lanczos step');
  }
}

/**
 * Standard error of δ/D at s, and of the solution of s = δ(R(s))/D: there ds =
 * d(δ/D)/(1 − slope), with the slope of δ/D in s, which is not positive. It is a
 * secant over the error itself, because R² has a kink at every weight.
 */
function samplingError(
  measure: SpectralMeasure,
  epsilon: number,
  squaredRadius: SquaredRadius,
  s: number,
): { readonly ofDelta: number; readonly ofLimit: number } {
  const scaleAt = (at: number) => curvatureScale(epsilon, squaredRadius(at));
  const c = scaleAt(s);
  const ofDelta = standardError(measure, (modulus) => spectralWeight(modulus, c));
  const step = Math.max(ofDelta, 1 / measure.dimension);
  const low = Math.max(0, s - step);
  const high = Math.min(1, s + step);
  const dimensionAt = (at: number) => statisticalDimension(measure, 'gauss', scaleAt(at));
  const slope = Math.min(0, (dimensionAt(high) - dimensionAt(low)) / (high - low));
  return { ofDelta, ofLimit: ofDelta / (1 - slope) };
}

/** Where a function that rises from −·to + on [0, 1] changes sign; 0 or 1 when it does not. By bisection to the last bit. */
function crossing(rising: (x: number) => number): number {
  let low = 0;
  let high = 1;
  if (rising(1) <= 0) return 1;
  for (;;) {
    const middle = (low + high) / 2;
    // The halves shrink towards 0 for ever in floating point: 2^-60 of a fraction is none.
    if (middle === low || middle === high || high < 2 ** -60) break;
    if (rising(middle) > 0) high = middle;
    else low = middle;
  }
  return low;
}

function clampFraction(x: number): number {
  return Math.min(1, Math.max(0, x));
}
