import type { PathPoint } from '../../../protocol/analysis';

/**
 * Sparsities at which the path from the dense to the pruned network is
 * measured: about `count`, ascending, without repetition, from 0 to short of 1.
 *
 * Every entry of `limits` is among them (of 1 only what is just below: a network
 * of zeros says nothing). The rest stand about evenly in −log(1 − s), so that the
 * kept fraction falls by a constant factor and the knee, which every network has
 * near full sparsity, gets more than its share; a third of them crowd around
 * the limits. Nothing happens below `zeros`, the fraction of weights that are 0
 * already, so no point is spent there but 0 itself.
 */
export function pathSparsities(limits: readonly number[], count = 24, zeros = 0): number[] {
  if (!(Number.isInteger(count) && count >= 2)) throw new RangeError(`path points out of range: ${count}`);
  const toDepth = (s: number) => -Math.log1p(-s);
  const fromDepth = (x: number) => -Math.expm1(-x);
  const wanted = [...new Set(limits.filter((s) => s > 0).map((s) => Math.min(s, LAST)))].sort((a, b) => a - b);
  const deepest = wanted.at(-1) ?? DEFAULT_END;
  // Past the last limit until a third of its weights are left, to see the loss leave the model.
  const end = Math.min(LAST, 1 - (1 - deepest) / 3);
  const start = Math.min(Math.max(0, zeros), end);

  const points = new Set<number>([0, ...wanted]);
  const around = wanted.flatMap((s) => NEIGHBOURS.map((factor) => fromDepth(toDepth(s) + Math.log(factor))));
  const crowd = Math.min(around.length, Math.round(count / 3));
  for (let i = 0; i < crowd; i++) addApart(points, around[Math.floor((i * around.length) / crowd)]!, start, end);
  // The grid fills up what is left, each point in the widest gap.
  addApart(points, end, start, LAST);
  while (points.size < count) {
    const inside = [start, ...[...points].filter((s) => s > start)].sort((a, b) => a - b).map(toDepth);
    const gaps = inside.slice(1).map((depth, i) => depth - inside[i]!);
    const widest = gaps.indexOf(Math.max(...gaps));
    if (widest < 0 || gaps[widest]! < CLOSEST) break;
    points.add(fromDepth((inside[widest]! + inside[widest + 1]!) / 2));
  }
  return [...points].sort((a, b) => a - b);
}

/** Sparsest point of any path: one weight in a hundred thousand. */
const LAST = 1 - 1e-5;
/** Where a path without limits ends. */
const DEFAULT_END = 0.98;
/** Around a limit the kept fraction is divided by these. */
const NEIGHBOURS = [0.8, 1.25, 0.9, 1.1] as const;

/** Points nearer than this in −log(1 − s) would say the same. */
const CLOSEST = 0.01;

/** Adds s unless it lies outside or next to a point that is there already. */
function addApart(points: Set<number>, s: number, start: number, end: number): void {
  if (!(s > start && s <= end)) return;
  for (const other of points) if (Math.abs(Math.log1p(-s) - Math.log1p(-other)) < CLOSEST) return;
  points.add(s);
}

/** Rise of the loss at one sparsity, as measured and as the quadratic model has it. */
export interface PathComparison {
  readonly sparsity: number;
  readonly measured: number;
  readonly predicted: number;
}

/**
 * Measured and predicted rise of the same loss, with the L1 penalty when the network
 * was trained with one.
 */
export function comparePath(points: readonly PathPoint[], denseLoss: number): PathComparison[] {
  return points.map((point) => ({
    sparsity: point.sparsity,
    measured: point.loss - denseLoss + (point.penalty ?? 0),
    predicted: point.linear + point.quadratic,
  }));
}

/** Measured and predicted agree while neither is more than this times the other. */
const AGREEMENT = 2;

/**
 * The edge of validity: the largest sparsity of the path up to which the
 * quadratic model agrees with the measurement within a factor of 2. Points at
 * which both are within ±`noise` agree whatever their ratio. 0 when the first
 * point that says anything disagrees; null without points.
 */
export function edgeOfValidity(points: readonly PathComparison[], noise: number): ValidityEdge | null {
  if (points.length === 0) return null;
  let sparsity = 0;
  for (const point of [...points].sort((a, b) => a.sparsity - b.sparsity)) {
    // What is not finite is more than anything predicted.
    if (!agrees(point, noise)) return { sparsity, reason: point.measured <= point.predicted ? 'less' : 'more' };
    sparsity = point.sparsity;
  }
  return { sparsity, reason: 'end' };
}

export interface ValidityEdge {
  /** The last sparsity at which measured and predicted agree; 0 where none does. */
  readonly sparsity: number;
  /** How they part there: more or less is measured than predicted; or the path ends before they do. */
  readonly reason: 'more' | 'less' | 'end';
}

function agrees({ measured, predicted }: PathComparison, noise: number): boolean {
  if (Math.abs(measured) <= noise && Math.abs(predicted) <= noise) return true;
  // A loss that is not finite agrees with nothing: the comparison is then false.
  const ratio = measured / predicted;
  return ratio >= 1 / AGREEMENT && ratio <= AGREEMENT;
}

/** Does the first-order term take part at a sparsity? */
export interface Stationarity {
  /** gᵀd, interpolated between points of the path. */
  readonly linear: number;
  /** ½ dᵀHd, likewise. */
  readonly quadratic: number;
  /**
   * False when |gᵀd| exceeds half of |½ dᵀHd| and `noise`: the network is no
   * minimum of the loss that was differentiated, and the limit, which knows
   * only the second order, leaves that part out.
   */
  readonly stationary: boolean;
}

/** Of the quadratic term that the linear one may reach. */
const STATIONARY_SHARE = 0.5;

/** Compares the two terms at `sparsity`, by linear interpolation of the path; null without points. */
export function stationarity(points: readonly PathPoint[], sparsity: number, noise: number): Stationarity | null {
  const sorted = [...points].sort((a, b) => a.sparsity - b.sparsity);
  const above = sorted.find((point) => point.sparsity >= sparsity) ?? sorted.at(-1);
  if (above === undefined) return null;
  const below = sorted.findLast((point) => point.sparsity <= sparsity) ?? above;
  const width = above.sparsity - below.sparsity;
  const share = width > 0 ? (sparsity - below.sparsity) / width : 0;
  const linear = below.linear + share * (above.linear - below.linear);
  const quadratic = below.quadratic + share * (above.quadratic - below.quadratic);
  const limit = Math.max(noise, STATIONARY_SHARE * Math.abs(quadratic));
  return { linear, quadratic, stationary: Math.abs(linear) <= limit };
}
