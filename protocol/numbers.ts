import { t } from '@vscode/l10n';
import type { Interval, LimitResult, OneShotLimit, SampleSizes } from './analysis';

/**
 * How quantities are written, the same in the editor, the panel and the
 * report. A fraction is shown as a percentage with no more digits than its
 * interval supports.
 */

/** Digits after the point that an interval of this width (a fraction) supports. */
function digitsFor(width: number): number {
  if (!(width > 0)) return 2;
  const points = width * 100;
  return Math.min(2, Math.max(0, Math.ceil(-Math.log10(points))));
}

function trimmed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return digits > 0 ? text.replace(/\.?0+$/, '') : text;
}

/** `0.951` → `95.1 %`; `–` for what is not known. */
export function percent(fraction: number | null, digits = 1): string {
  return fraction !== null && Number.isFinite(fraction) ? `${(fraction * 100).toFixed(digits)} %` : '–';
}

/** What binary fractions are off by, in units of the last digit: 0.9495 is a little less than 94.95 %. */
const SLACK = 1e-7;

/** `[0.9495, 0.952]` → `94.95–95.2 %`. Rounded outwards, so that it never looks narrower than it is. */
export function percentRange([low, high]: Interval): string {
  const digits = digitsFor(high - low) + 1;
  const unit = 10 ** digits;
  const from = trimmed(Math.floor(low * 100 * unit + SLACK) / unit, digits);
  const to = trimmed(Math.ceil(high * 100 * unit - SLACK) / unit, digits);
  return from === to ? `${from} %` : `${from}–${to} %`;
}

/** `[0.669, 0.973]` → `between 66.9 and 97.3 %`. */
export function betweenText(interval: Interval): string {
  const [low, high] = percentRange(interval).split('–');
  return high === undefined ? low! : t('between {0} and {1}', low!, high);
}

/** The headline of a limit: `95.1 % (94.95–95.2 %)`, or that it is open and between what. */
export function limitText(limit: Pick<LimitResult, 'sparsity' | 'interval' | 'resolved'>): string {
  return limit.resolved
    ? `${percent(limit.sparsity, digitsFor(limit.interval[1] - limit.interval[0]))} (${percentRange(limit.interval)})`
    : betweenText(limit.interval);
}

/** The sentence that answers the user's question. */
export function headline(limit: LimitResult): string {
  return `${limit.resolved ? t('Can be pruned to') : t('Unresolved:')} ${limitText(limit)}`;
}

/** Three significant digits, with an exponent where it is shorter: `0.0087`, `1.2e-5`, `4160`; `–` for what is not known. */
export function significant(value: number | null, digits = 3): string {
  if (value === null || !Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  if (value < 0) return `−${significant(-value, digits)}`;
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) {
    const [mantissa, exponent] = value.toExponential(digits - 1).split('e');
    return `${mantissa!.replace(/\.?0+$/, '')}e${Number(exponent)}`;
  }
  return trimmed(value, Math.max(0, digits - 1 - Math.floor(Math.log10(size))));
}

/** A measured value with as many digits as its standard error supports: `44 ± 11`, `0.0213 ± 0.0004`, `(1.25 ± 0.03)e7`. */
export function withError(value: number | null, error: number | null): string {
  if (value === null || error === null || !Number.isFinite(value) || !Number.isFinite(error)) return '–';
  if (error <= 0) return significant(value);
  const size = Math.max(Math.abs(value), error);
  const exponent = size >= 1e6 || size < 1e-4 ? Math.floor(Math.log10(size)) : 0;
  const unit = 10 ** exponent;
  const [leading, power] = (error / unit).toExponential(1).split('e') as [string, string];
  // Two digits of an error that begins with 1 or 2: one would be off by up to a half.
  const digits = (Number(leading) < 3 ? 1 : 0) - Number(power);
  const rounded = (x: number): string =>
    digits >= 0
      ? (x / unit).toFixed(Math.min(digits, 20))
      : String(Math.round((x / unit) * 10 ** digits) / 10 ** digits);
  const sign = value < 0 ? '−' : '';
  const text = `${sign}${rounded(Math.abs(value))} ± ${rounded(error)}`;
  return exponent === 0 ? text : `(${text})e${exponent}`;
}

/** `85560` → `85,560`; `–` for what is not known. */
export function grouped(count: number | null): string {
  return count !== null && Number.isFinite(count)
    ? Math.round(count)
        .toString()
        .replace(/\B(?=(\d{3})+$)/g, ',')
    : '–';
}

/** `16×1×5×5`; `scalar` for the empty shape. */
export function shapeText(shape: readonly (number | string)[]): string {
  return shape.length === 0 ? 'scalar' : shape.join('×');
}

/** `8 s`, `3 min`, `1 h 20 min`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '–';
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** What a one-shot limit keeps: `accuracy within 0.5 points`. */
export function criterionText({ criterion, tolerance }: Pick<OneShotLimit, 'criterion' | 'tolerance'>): string {
  if (criterion === 'loss') return t('loss within {0} nats', significant(tolerance));
  if (tolerance === 0) return t('accuracy not below the dense');
  const points = trimmed(100 * tolerance, 2);
  return points === '1' ? t('accuracy within 1 point') : t('accuracy within {0} points', points);
}

/** `93.2 % (91.4–94.1 %)`. */
export function oneShotText({ sparsity, interval }: Pick<OneShotLimit, 'sparsity' | 'interval'>): string {
  return `${percent(sparsity, digitsFor(interval[1] - interval[0]) + 1)} (${percentRange(interval)})`;
}

/** What the limit on fewer samples says of more of them. */
export function sampleSizesText({ heldBack, whole }: SampleSizes): string {
  const missed = heldBack.find(({ covered }) => covered === false);
  const tested =
    missed === undefined
      ? heldBack.some(({ covered }) => covered)
        ? t('Held against each other, the numbers of samples that were computed do not contradict each other.')
        : t(
            'How the limit changes from one number of samples to another is too wide to tell, so that nothing was tested.',
          )
      : t(
          'With {0} samples the limit does not lie where {1} and fewer say, {2}, so that their growth is not relied on.',
          grouped(missed.samples),
          grouped(missed.from),
          betweenText(missed.interval),
        );
  if (whole === null) return tested;
  const range = betweenText(whole.interval);
  const said =
    whole.by === 'growth'
      ? t(
          'On all {0} samples it is, with 95 % confidence, {1}: from what is kept growing on as it did, to its growing no more.',
          grouped(whole.samples),
          range,
        )
      : t(
          'On all {0} samples it is, with 95 % confidence, {1}: from the bound that the trace sets, to what is kept growing no more.',
          grouped(whole.samples),
          range,
        );
  return `${said} ${tested}`;
}

/** Names of the two operators as the user reads them. */
export const operatorName = { hessian: 'Hessian', ggn: 'Gauss–Newton' } as const;
