import type { SpectralBounds } from './estimate';
import { rowSumNorm, type JacobiMatrix } from './quadrature';

/** Scales per factor of e: the integrand is smooth, so that the sum converges geometrically but for its ends. */
const PER_E = 10;
/** What the ends of the sum may be wrong by for c down to 10⁻¹⁰ of the norm, with which the bounds are widened. */
const SUM_ERROR = 1e-7;
/** The scales looked at, relative to the norm: smaller ones would be rounding, larger ones are flat throughout. */
const SMALLEST = 1e-13;
const LARGEST = 1e4;
const SCALES = Math.ceil(PER_E * Math.log(LARGEST / SMALLEST)) + 1;
/** Beyond, a squared polynomial would overflow, and its inverse is nothing. */
const HUGE = 1e150;

/**
 * Bounds of vᵀf(|A|)v, f(x) = c/(x + c), for an indefinite operator A and a
 * probe v of norm 1, from its Lanczos run. Gauss and Gauss–Radau rules bound
 * nothing there; these hold for every symmetric A.
 *
 * 1. With φ(s) = vᵀ s²(A² + s²)⁻¹ v, which is 1 for the directions flat at
 *    scale s and 0 for the curved ones, f is an average over scales:
 *
 *        c/(|λ| + c) = ∫₀^∞ (2/π) c/(s² + c²) · s²/(λ² + s²) ds.
 *
 * 2. φ(s) = s·Im G(is), with the resolvent G(z) = vᵀ(A − z)⁻¹v. After k steps
 *    G_k(z) = e₁ᵀ(T_k − z)⁻¹e₁ approximates it. What the process would do next is
 *    a tail of the continued fraction: with the orthonormal polynomials p_j of
 *    the process and u = β_k p_k(z),
 *
 *        G(z) = G_k(z) + u⁻² β_k² / (1/M(z) + β_k² p_{k−1}(z)/u),
 *
 *    where M(z) = ∫ dν(x)/(x − z) for some probability measure ν, of which
 *    nothing is known.
 * 3. For z = is, 1/M has an imaginary part of at most −s, so that 1 over the
 *    bracket lies within the circle of radius 1/(2h) about i/(2h), with
 *    h = s − Im β_k² p_{k−1}/u. Hence
 *
 *        φ(s) = φ_k(s) + s/(2h)·Re p_k(is)⁻² ± s/(2h)·|p_k(is)|⁻².
 *
 *    This is Weyl's disk of the moment problem (Akhiezer 1965, chapter 1; h·|p_k|² =
 *    s·Σ_{j≤k}|p_j|²): every value inside belongs to some spectrum that k steps
 *    cannot tell from this one. The disks of deeper steps lie within.
 * 4. φ rises with s and φ/s² falls, which carries a bound from one s to others.
 *
 * So the bounds of φ are the best that k steps allow at every single s.
 *
 * Exact arithmetic is assumed: float32 products blur what happens at scales
 * below about 10⁻⁶ of the norm.
 *
 * Of several probes the mean is bounded. Throws RangeError without a run of at
 * least one step.
 */
export function modulusBounds(jacobis: readonly JacobiMatrix[]): SpectralBounds {
  if (jacobis.length === 0 || jacobis.some(({ alpha }) => alpha.length === 0)) {
    throw new RangeError('spectrum unknown: every probe needs at least one Lanczos step');
  }
  const norm = Math.max(...jacobis.map(rowSumNorm));
  // Nothing curves: everything is flat at every scale.
  if (norm === 0) return { low: () => 1, high: () => 1 };
  return averagedOverScales(
    norm,
    jacobis.map(({ alpha, beta }) => {
      const relative = { alpha: alpha.map((a) => a / norm), beta: beta.map((b) => b / norm) };
      return (s) => flatShare(relative, s);
    }),
  );
}

/** Bounds of φ at one scale. */
export type FlatShareBounds = (s: number) => [low: number, high: number];

/**
 * Bounds of f from those of φ, 1 and 4 above; of several, the mean.
 *
 * @param norm of the operator, or more; the scales that `shares` are asked for are relative to it
 */
export function averagedOverScales(norm: number, shares: readonly FlatShareBounds[]): SpectralBounds {
  const scales = Float64Array.from({ length: SCALES }, (_, i) => SMALLEST * Math.exp(i / PER_E));
  const low = new Float64Array(SCALES);
  const high = new Float64Array(SCALES);
  for (const share of shares) {
    const [below, above] = flatShares(share, scales);
    for (let i = 0; i < SCALES; i++) {
      low[i]! += below[i]! / shares.length;
      high[i]! += above[i]! / shares.length;
    }
  }
  return {
    low: (c) => Math.max(0, scaleAverage(scales, low, 0, low[SCALES - 1]!, c / norm) - SUM_ERROR),
    high: (c) => Math.min(1, scaleAverage(scales, high, high[0]!, 1, c / norm) + SUM_ERROR),
  };
}

/** Bounds of φ at every scale. */
function flatShares(share: FlatShareBounds, scales: Float64Array): [low: Float64Array, high: Float64Array] {
  const low = new Float64Array(scales.length);
  const high = new Float64Array(scales.length);
  scales.forEach((s, i) => ([low[i], high[i]] = share(s)));
  for (let i = 1; i < scales.length; i++) {
    const growth = (scales[i]! / scales[i - 1]!) ** 2;
    low[i] = Math.max(low[i]!, low[i - 1]!);
    high[i] = Math.min(high[i]!, high[i - 1]! * growth);
  }
  for (let i = scales.length - 2; i >= 0; i--) {
    const growth = (scales[i + 1]! / scales[i]!) ** 2;
    low[i] = Math.max(low[i]!, low[i + 1]! / growth);
    high[i] = Math.min(high[i]!, high[i + 1]!);
  }
  for (let i = 0; i < scales.length; i++) {
    // Rounding may let bounds that have met cross.
    if (low[i]! > high[i]!) low[i] = high[i] = (low[i]! + high[i]!) / 2;
  }
  return [low, high];
}

/** Bounds of φ(s) without 4, s > 0: p and q are p_{k−1}(is) and p_{k−2}(is); of G_k(is) the imaginary part is kept. */
export function flatShare({ alpha, beta }: JacobiMatrix, s: number): [low: number, high: number] {
  let [pr, pi, qr, qi] = [1, 0, 0, 0];
  let imaginary = 0;
  let low = 0;
  let high = 1;
  for (let k = 0; k < alpha.length; k++) {
    const a = alpha[k]!;
    const coupling = k > 0 ? beta[k - 1]! : 0;
    // u = β_k p_k = (is − α_k) p_{k−1} − β_{k−1} p_{k−2}
    const ur = -a * pr - s * pi - coupling * qr;
    const ui = s * pr - a * pi - coupling * qi;
    // G_k = G_{k−1} − 1/(u · p_{k−1})
    const dr = ur * pr - ui * pi;
    const di = ur * pi + ui * pr;
    imaginary += di / (dr * dr + di * di);
    const square = ur * ur + ui * ui;
    const b = beta[k]!;
    // h = s − Im b²·p_{k−1}/u, with the conjugate of u over its square.
    const h = s - (b * b * (pi * ur - pr * ui)) / square;
    const radius = (s * b * b) / (2 * h * square);
    const centre = s * imaginary + (radius * (ur * ur - ui * ui)) / square;
    low = Math.max(low, centre - radius);
    high = Math.min(high, centre + radius);
    if (b === 0 || !(square / (b * b) < HUGE)) break;
    [qr, qi, pr, pi] = [pr, pi, ur / b, ui / b];
  }
  return low <= high ? [low, high] : [(low + high) / 2, (low + high) / 2];
}

/**
 * ∫ (2/π) c/(s² + c²) φ(s) ds by the trapezoidal rule in log s, with φ constant
 * before the first and after the last scale. What is summed is 1 − φ, because
 * it vanishes where the kernel is cut off at large scales.
 */
function scaleAverage(scales: Float64Array, phi: Float64Array, before: number, after: number, c: number): number {
  if (c === Infinity) return 1;
  const last = scales.length - 1;
  let sum = 0;
  for (let i = 0; i <= last; i++) {
    const s = scales[i]!;
    const weight = i === 0 || i === last ? 0.5 : 1;
    sum += (weight * (1 - phi[i]!) * s * c) / (s * s + c * c);
  }
  // The sum is cut off where the kernel still rises: Euler and Maclaurin's first correction.
  const s = scales[0]!;
  const slope = (s * c * (c * c - s * s)) / (s * s + c * c) ** 2;
  sum += ((1 - phi[0]!) * slope) / (12 * PER_E);
  const tails = (1 - before) * Math.atan2(scales[0]!, c) + (1 - after) * Math.atan2(c, scales[last]!);
  return 1 - (2 / Math.PI) * (sum / PER_E + tails);
}
