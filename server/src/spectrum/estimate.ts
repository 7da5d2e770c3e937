import { gaussRule, integrate, radauRule, type JacobiMatrix, type QuadratureRule } from './quadrature';

/** What is known of a spectrum: quadratures of several random probes, or all of it. */
export interface SpectralMeasure {
  /** D, the order of the operator. */
  readonly dimension: number;
  /** So many of the D directions are known to be flat, and the probes are of the others. */
  readonly flat?: number;
  readonly probes: readonly ProbeQuadrature[];
  /** The only "probe" is the spectrum itself: there is no sampling error. */
  readonly isExact?: boolean;
}

/** Both rules of one probe; for a positive semidefinite operator they bracket vᵀf(A)v. */
export interface ProbeQuadrature {
  readonly gauss: QuadratureRule;
  /** One node at 0. */
  readonly radau: QuadratureRule;
}

export type RuleName = keyof ProbeQuadrature;

export interface Estimate {
  readonly value: number;
  readonly standardError: number;
}

/** The measure from the tridiagonal matrices of several probes; `flat` directions that they leave out are 0. */
export function spectralMeasure(dimension: number, jacobis: readonly JacobiMatrix[], flat = 0): SpectralMeasure {
  return { dimension, flat, probes: jacobis.map((jacobi) => ({ gauss: gaussRule(jacobi), radau: radauRule(jacobi) })) };
}

/** Of all directions, those known to be flat. */
function flatShare({ flat = 0, dimension }: SpectralMeasure): number {
  return flat / dimension;
}

/** What (1/D) Tr f(|A|), f(x) = c/(x + c), lies between at a c > 0; c = ∞ is the limit, 1. */
export interface SpectralBounds {
  low(c: number): number;
  high(c: number): number;
}

/** f(|λ|) = c/(|λ| + c). */
export function spectralWeight(modulus: number, c: number): number {
  if (c === Infinity || modulus === 0) return 1;
  return c / (modulus + c);
}

/** By the two rules: bounds for a positive semidefinite operator, and for a spectrum that is known. */
export function ruleBounds(measure: SpectralMeasure): SpectralBounds {
  const at = (c: number) =>
    (['gauss', 'radau'] as const).map((rule) => average(measure, rule, (modulus) => spectralWeight(modulus, c)));
  return { low: (c) => Math.min(...at(c)), high: (c) => Math.max(...at(c)) };
}

/** The measure of a spectrum that is known: both rules are the eigenvalues, equally weighted. */
export function exactMeasure(eigenvalues: ArrayLike<number>, flat = 0): SpectralMeasure {
  const nodes = Float64Array.from(eigenvalues).sort();
  const rule = { nodes, weights: new Float64Array(nodes.length).fill(1 / nodes.length) };
  return { dimension: nodes.length + flat, flat, probes: [{ gauss: rule, radau: rule }], isExact: true };
}

/**
 * `bounds` where every modulus |λ| may be off by `blur`. With
 * c/(|λ| + blur + c) = c/(c + blur) · (c + blur)/(|λ| + c + blur) they are those
 * at another c.
 */
export function blurredBounds(bounds: SpectralBounds, blur: number): SpectralBounds {
  return {
    low: (c) => (c === Infinity ? bounds.low(c) : (c / (c + blur)) * bounds.low(c + blur)),
    high: (c) => {
      if (c === Infinity) return bounds.high(c);
      return c <= blur ? 1 : Math.min(1, (c / (c - blur)) * bounds.high(c - blur));
    },
  };
}

/** (1/D) Tr f(|A|): the mean over probes of Σ w f(|θ|). */
export function average(measure: SpectralMeasure, rule: RuleName, f: (modulus: number) => number): number {
  const share = flatShare(measure);
  const rest = (1 - share) * probeAverage(measure, rule, f);
  return share === 0 ? rest : share * f(0) + rest;
}

/** Of what the probes are of. */
function probeAverage({ probes }: SpectralMeasure, rule: RuleName, f: (modulus: number) => number): number {
  let sum = 0;
  for (const probe of probes) sum += integrate(probe[rule], f);
  return sum / probes.length;
}

/** From this many probes on their scatter is believed; below it says too little. */
const PROBES_FOR_SCATTER = 8;

/**
 * Standard error over the random probes of `average(measure, ·, f)`, for
 * Rademacher probes.
 *
 * A priori: Var(vᵀBv) = 2(‖B‖_F² − Σ b_ii²) ≤ 2‖B‖_F² (Hutchinson 1990). With
 * B = f(A) that is 2 Tr f². A multiple of the identity adds no variance, since
 * vᵀv = D exactly, so the bound holds of f − κ too for every κ: of f − 1, and
 * best of κ = the mean of f,
 *
 *     Var(vᵀf(A)v / D) ≤ 2 · min_κ Tr (f − κ)² / D² = 2 · Var_w(f) / D ≤ 2 · min(Tr f², Tr (1 − f)²) / D²,
 *
 * where Var_w is the variance of f under the quadrature's own weights, the
 * larger one of the two rules. n probes divide it by n. Those weights come from
 * the same probe as the value: one that happens to miss the few large
 * eigenvalues is both wrong and sure of itself. So the 97.5 % upper end of
 * Var_w is taken, whose own standard error follows from the same bound with
 * (f − κ)² for f. The correction falls as D^-½.
 *
 * From eight probes on the scatter of the probes is used where it is smaller:
 * the bound ignores that a diagonal B has no variance at all.
 *
 * Directions that are known to be flat are in no probe: D is that of the others,
 * and the error is their share of it.
 */
export function standardError(measure: SpectralMeasure, f: (modulus: number) => number): number {
  if (measure.isExact) return 0;
  const n = measure.probes.length;
  const live = 1 - flatShare(measure);
  const factor = 2 / (measure.dimension * live * n);
  const upperVariance = (rule: RuleName) => {
    const mean = probeAverage(measure, rule, f);
    const square = (modulus: number) => (f(modulus) - mean) ** 2;
    const variance = probeAverage(measure, rule, square);
    const variation = probeAverage(measure, rule, (modulus) => (square(modulus) - variance) ** 2);
    return variance + 1.96 * Math.sqrt(factor * variation);
  };
  const bound = live * Math.sqrt(factor * Math.max(upperVariance('gauss'), upperVariance('radau')));
  if (n < PROBES_FOR_SCATTER) return bound;
  const scatter = (rule: RuleName) => sampleStandardError(measure.probes.map((probe) => integrate(probe[rule], f)));
  return Math.min(bound, live * Math.max(scatter('gauss'), scatter('radau')));
}

/**
 * Standard error of the mean of `values`, widened by t/1.96 of Student's
 * distribution, so that ±1.96 of it cover 95 % for few values too (at 8 values
 * by 21 %). Infinite for fewer than two.
 */
export function sampleStandardError(values: readonly number[]): number {
  const n = values.length;
  if (n < 2) return Infinity;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const freedom = n - 1;
  // Cornish–Fisher expansion of t at 97.5 %, divided by 1.96.
  const student = 1 + (1.2103 + (1.4403 + 1.304 / freedom) / freedom) / freedom;
  return student * Math.sqrt(squares / freedom / n);
}

/** All probes as one rule, nodes ascending: for plots and reports. */
export function pooledRule(measure: SpectralMeasure, rule: RuleName): QuadratureRule {
  const share = flatShare(measure);
  const factor = (1 - share) / measure.probes.length;
  const pairs = measure.probes.flatMap((probe) =>
    Array.from(probe[rule].nodes, (node, i) => [node, factor * probe[rule].weights[i]!] as const),
  );
  if (share > 0) pairs.push([0, share]);
  pairs.sort((a, b) => a[0] - b[0]);
  return { nodes: Float64Array.from(pairs, (pair) => pair[0]), weights: Float64Array.from(pairs, (pair) => pair[1]) };
}
