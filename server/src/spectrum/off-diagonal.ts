import type { Estimate } from './estimate';

/** Of one probe v of independent signs. */
export interface CouplingSample {
  /** ‖Av‖². */
  readonly whole: number;
  /** ‖Av − (A_11 v_1, A_22 v_2, …)‖²: what the blocks off the diagonal make of it. */
  readonly coupled: number;
}

/**
 * How much of a symmetric A = (A_kl) its diagonal blocks leave out:
 *
 *     Σ_{k≠l} ‖A_kl‖_F² / ‖A‖_F²,
 *
 * 0 for a block-diagonal matrix. E‖Bv‖² = ‖B‖_F² for independent signs v, of A
 * and of A without its diagonal blocks alike; both from the same probe, so that
 * a small share is known well.
 *
 * The standard error is that of the jackknife (Efron & Tibshirani 1993, chapter
 * 11) of the ratio of the two means.
 *
 * @param samples two at least, else RangeError
 */
export function offDiagonalShare(samples: readonly CouplingSample[]): Estimate {
  const n = samples.length;
  if (n < 2) throw new RangeError('off-diagonal share: two probes are needed');
  const whole = samples.reduce((sum, sample) => sum + sample.whole, 0);
  const coupled = samples.reduce((sum, sample) => sum + sample.coupled, 0);
  if (whole === 0) return { value: 0, standardError: 0 };
  const others = samples.map((one) => (coupled - one.coupled) / (whole - one.whole));
  const centre = others.reduce((sum, x) => sum + x, 0) / n;
  const variance = ((n - 1) / n) * others.reduce((sum, x) => sum + (x - centre) ** 2, 0);
  return { value: coupled / whole, standardError: Math.sqrt(variance) };
}
