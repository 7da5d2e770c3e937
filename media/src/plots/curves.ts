import type { CurvatureResult, LimitResult, PathPoint } from '../../../protocol/analysis';

/** The arithmetic behind the drawings. Pictures only: no number that is shown is computed here. */

/**
 * x = sign(λ)·log₁₀(1 + |λ|/unit): linear inside ±unit, decades outside, so
 * that a spectrum of both signs and many magnitudes fits one axis.
 */
export function signedLog(value: number, unit: number): number {
  return Math.sign(value) * Math.log10(1 + Math.abs(value) / unit);
}

/** The power of ten below which a float32 product resolves nothing: 10⁻⁶ of the largest eigenvalue. */
export function resolvedUnit(largest: number): number {
  return largest > 0 ? Number(`1e${Math.round(Math.log10(largest)) - 6}`) : 1;
}

export interface DensityPoint {
  readonly x: number;
  readonly density: number;
}

/** Density of a spectrum over x = signedLog(λ), every node smoothed by a normal distribution of this deviation. */
export function smoothedDensity(
  { ritzValues, weights }: Pick<CurvatureResult, 'ritzValues' | 'weights'>,
  unit: number,
  deviation = 0.12,
): DensityPoint[] {
  const nodes = ritzValues.map((value, i) => ({ x: signedLog(value, unit), weight: weights[i] ?? 0 }));
  if (nodes.length === 0) return [];
  const from = Math.min(...nodes.map(({ x }) => x)) - 6 * deviation;
  const to = Math.max(...nodes.map(({ x }) => x)) + 6 * deviation;
  const count = Math.min(800, Math.max(100, Math.ceil((to - from) / (deviation / 4))));
  const scale = 1 / (deviation * Math.sqrt(2 * Math.PI));
  return Array.from({ length: count + 1 }, (_, i) => {
    const x = from + ((to - from) * i) / count;
    let density = 0;
    for (const node of nodes) {
      const z = (x - node.x) / deviation;
      if (Math.abs(z) < 8) density += node.weight * scale * Math.exp(-0.5 * z * z);
    }
    return { x, density };
  });
}

/** Ticks of a signed logarithmic axis at 0 and powers of ten, at most about `most`. */
export function signedLogTicks(from: number, to: number, unit: number, most: number): { x: number; label: string }[] {
  const decades = Math.ceil(Math.max(Math.abs(from), Math.abs(to)));
  const negative = from < -1 ? Math.floor(-from) : 0;
  const positive = to > 1 ? Math.floor(to) : 0;
  const stride = Math.max(1, Math.ceil((negative + positive) / most));
  const start = Math.round(Math.log10(unit));
  const ticks = [{ x: 0, label: '0' }];
  for (let decade = stride; decade <= decades; decade += stride) {
    const value = 10 ** (start + decade);
    const label =
      start + decade >= -2 && start + decade <= 3 ? String(Number(value.toPrecision(1))) : `1e${start + decade}`;
    const x = signedLog(value, unit);
    if (x <= to) ticks.push({ x, label });
    if (-x >= from) ticks.unshift({ x: -x, label: `−${label}` });
  }
  return ticks;
}

/**
 * R(s) between the sparsities at which it is known: monotone piecewise cubic
 * (Fritsch and Carlson 1980), exact at the known ones, of which the largest
 * is `last`.
 *
 * @returns null when fewer than three are known
 */
export function radiusCurve(
  path: readonly PathPoint[],
  limits: readonly LimitResult[],
): { readonly at: (sparsity: number) => number; readonly last: number } | null {
  const known = new Map<number, number>([[0, 0]]);
  for (const { sparsity, R } of [...path, ...limits]) if (Number.isFinite(R)) known.set(sparsity, R);
  const points = [...known].sort((a, b) => a[0] - b[0]).filter(([, R], i, all) => i === 0 || R >= all[i - 1]![1]);
  if (points.length < 4) return null;
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const slopes = xs.slice(1).map((x, i) => (ys[i + 1]! - ys[i]!) / (x - xs[i]!));
  const tangents = xs.map((_, i) => {
    const [before, after] = [slopes[i - 1], slopes[i]];
    if (before === undefined) return after!;
    if (after === undefined) return before;
    return before * after <= 0 ? 0 : (2 * before * after) / (before + after);
  });
  const at = (sparsity: number) => {
    const x = Math.min(xs.at(-1)!, Math.max(xs[0]!, sparsity));
    let i = 0;
    while (i < xs.length - 2 && x > xs[i + 1]!) i++;
    const width = xs[i + 1]! - xs[i]!;
    const t = (x - xs[i]!) / width;
    const [t2, t3] = [t * t, t * t * t];
    return (
      (2 * t3 - 3 * t2 + 1) * ys[i]! +
      (t3 - 2 * t2 + t) * width * tangents[i]! +
      (3 * t2 - 2 * t3) * ys[i + 1]! +
      (t3 - t2) * width * tangents[i + 1]!
    );
  };
  return { at, last: xs.at(-1)! };
}

/** δ(R)/D = Σ weight·c/(|λ| + c) with c = 2ε/R²: the share of directions in which the sublevel set is wide enough. */
export function statisticalDimension(
  { ritzValues, weights }: Pick<CurvatureResult, 'ritzValues' | 'weights'>,
  epsilon: number,
  R: number,
): number {
  if (!(R > 0)) return 1;
  const c = (2 * epsilon) / (R * R);
  return ritzValues.reduce((sum, value, i) => sum + ((weights[i] ?? 0) * c) / (Math.abs(value) + c), 0);
}

/** Where an axis of sparsities begins so that limits near 1 are not squeezed into a corner. */
export function sparsityFrom(limits: readonly LimitResult[], room: number): number {
  const low = Math.min(1, ...limits.map(({ interval }) => interval[0]));
  const from = 1 - room * (1 - low);
  const grid = from > 0.9 ? 0.01 : from > 0.5 ? 0.05 : 0.1;
  return limits.length === 0 ? 0 : Math.max(0, Math.floor(from / grid) * grid);
}

/** Keeps both ends of a name that is too long: `encoder.la…n.weight`. */
export function shortened(name: string, length: number): string {
  if (name.length <= length) return name;
  const head = Math.ceil((length - 1) / 2);
  return `${name.slice(0, head)}…${name.slice(name.length - (length - 1 - head))}`;
}
