import type { Interval } from '../../../protocol/analysis';
import type { Random } from '../random';

/**
 * The one-shot limit: the largest sparsity at which a network that is pruned at
 * once, and not trained again, is still as good as asked. Measured, sample by
 * sample, at some sparsities.
 */
export type Criterion =
  /** The accuracy has fallen by no more than `tolerance` (a fraction); 0 is the paper's criterion. */
  | { readonly kind: 'accuracy'; readonly tolerance: number }
  /** The mean loss has risen by no more than `tolerance` nats. */
  | { readonly kind: 'loss'; readonly tolerance: number };

/** The network at one sparsity on all samples, in the same order at every sparsity. */
export interface Outcomes {
  readonly sparsity: number;
  /** 1 where the prediction is correct. */
  readonly hits: Uint8Array;
  /** Cross entropy. */
  readonly losses: Float64Array;
}

/** What a criterion looks at. */
interface Sums {
  readonly correct: number;
  readonly loss: number;
}

/** Counts and tolerances are compared as decimals: 0.005 · 1000 means 5. */
const SLACK = 1e-9;

function meets({ kind, tolerance }: Criterion, dense: Sums, pruned: Sums, samples: number): boolean {
  return kind === 'accuracy'
    ? dense.correct - pruned.correct <= tolerance * samples + SLACK
    : (pruned.loss - dense.loss) / samples <= tolerance;
}

function sums({ hits, losses }: Outcomes): Sums {
  return { correct: hits.reduce((sum, hit) => sum + hit, 0), loss: losses.reduce((sum, loss) => sum + loss, 0) };
}

/** Between which measured sparsities the limit lies: it is met at `low`, and at none from `high` on; `high` is null when it is met at the last. */
export interface Bracket {
  readonly low: number;
  readonly high: number | null;
}

/**
 * @param points ascending in sparsity, the dense network first
 * @returns one bracket per criterion
 */
export function brackets(points: readonly Outcomes[], criteria: readonly Criterion[]): Bracket[] {
  const all = points.map(sums);
  const samples = points[0]!.hits.length;
  return criteria.map((criterion) => {
    const last = all.findLastIndex((pruned) => meets(criterion, all[0]!, pruned, samples));
    // A loss that overflows its own measure of the dense network cannot be: it meets every criterion.
    const low = Math.max(0, last);
    return { low: points[low]!.sparsity, high: points[low + 1]?.sparsity ?? null };
  });
}

/** Brackets narrower than this many points of sparsity … */
const FINE = 0.001;
/** … and than this share of the weights kept are left. */
const FINE_KEEP = 0.05;

/**
 * Where to measure next: in the middle, in −log(1 − s), of the widest bracket
 * that is not fine yet. Null when all are. A bracket halves with every
 * measurement, whatever it finds.
 *
 * @param dimension number of weights: sparsities nearer than one of them are the same
 */
export function nextSparsity(open: readonly Bracket[], dimension: number): number | null {
  let best: number | null = null;
  let widest = 0;
  for (const { low, high } of open) {
    if (high === null) continue;
    const width = high - low;
    if (width <= Math.max(1.5 / dimension, Math.min(FINE, FINE_KEEP * (1 - low)))) continue;
    if (width <= widest) continue;
    widest = width;
    best = between(low, high, dimension);
  }
  return best;
}

/** Half-way in −log(1 − s), where the last weight is as deep as it gets. */
function between(low: number, high: number, dimension: number): number {
  const depth = (s: number): number => -Math.log1p(-Math.min(s, 1 - 0.5 / dimension));
  return -Math.expm1(-(depth(low) + depth(high)) / 2);
}

/** A gap of the grid wider than this makes an interval wider than it need be. */
const COARSE = 0.005;

/** Where to measure so that the ends of intervals sharpen: in the middle of the gaps that they fall into, where these are coarse. */
export function sparsitiesAtEnds(
  points: readonly Pick<Outcomes, 'sparsity'>[],
  intervals: readonly Interval[],
  dimension: number,
): number[] {
  const grid = points.map(({ sparsity }) => sparsity);
  const gaps = intervals.flatMap(([low, high]) => [
    grid.findLastIndex((s) => s <= low),
    grid.findIndex((s) => s >= high) - 1,
  ]);
  return [...new Set(gaps)].flatMap((at) => {
    const [from, to] = [grid[at], grid[at + 1]];
    if (from === undefined || to === undefined || to - from <= Math.max(COARSE, 1.5 / dimension)) return [];
    return [between(from, to, dimension)];
  });
}

/** Percentiles between which 95 % of the resamples lie. */
const TAILS = [0.025, 0.975] as const;

/**
 * 95 % intervals of one-shot limits: the paired percentile bootstrap (Efron and
 * Tibshirani 1993, chapter 13). Another set of samples is drawn from those
 * there are, with replacement, the same for the dense and for every pruned
 * network, and the limit is found in it as it was in the first. Every count of
 * correct predictions is then binomial, and what two networks get wrong
 * together cancels, as in McNemar's test.
 *
 * The ends are those of the brackets, so that the resolution of the grid is in
 * the interval.
 *
 * @param points ascending in sparsity, the dense network first
 */
export function bootstrapIntervals(
  points: readonly Outcomes[],
  criteria: readonly Criterion[],
  resamples: number,
  random: Random,
): Interval[] {
  const samples = points[0]!.hits.length;
  const times = new Uint16Array(samples);
  const found = criteria.map(() => ({ low: new Float64Array(resamples), high: new Float64Array(resamples) }));
  for (let round = 0; round < resamples; round++) {
    times.fill(0);
    for (let i = 0; i < samples; i++) times[random.below(samples)]! += 1;
    const dense = weighted(points[0]!, times);
    const open = new Set(criteria.keys());
    // From the sparsest on: what is asked for is the last sparsity that will do.
    for (let at = points.length - 1; at >= 0 && open.size > 0; at--) {
      const pruned = weighted(points[at]!, times);
      for (const index of open) {
        if (at > 0 && !meets(criteria[index]!, dense, pruned, samples)) continue;
        open.delete(index);
        found[index]!.low[round] = points[at]!.sparsity;
        found[index]!.high[round] = points[at + 1]?.sparsity ?? points[at]!.sparsity;
      }
    }
  }
  const at = (values: Float64Array, share: number): number =>
    values.sort()[Math.min(resamples - 1, Math.floor(share * resamples))]!;
  // Percentiles need not enclose what was found in the samples themselves.
  return brackets(points, criteria).map((bracket, i): Interval => {
    const { low, high } = found[i]!;
    return [Math.min(bracket.low, at(low, TAILS[0])), Math.max(bracket.high ?? bracket.low, at(high, TAILS[1]))];
  });
}

function weighted({ hits, losses }: Outcomes, times: Uint16Array): Sums {
  let correct = 0;
  let loss = 0;
  for (let i = 0; i < times.length; i++) {
    correct += times[i]! * hits[i]!;
    loss += times[i]! * losses[i]!;
  }
  return { correct, loss };
}

/** The quantile of the normal distribution that leaves 2.5 % on either side. */
const NORMAL_95 = 1.959964;

/** Wilson's 95 % interval of a binomial share (Wilson 1927). */
export function wilsonInterval(successes: number, trials: number): Interval {
  const share = successes / trials;
  const z = NORMAL_95 ** 2 / trials;
  const middle = (share + z / 2) / (1 + z);
  const half = (Math.sqrt(z) * Math.sqrt(share * (1 - share) + z / 4)) / (1 + z);
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

/** Standard error of the mean rise of the loss, every sample paired with itself. */
export function riseError(dense: Outcomes, pruned: Outcomes): number {
  const count = dense.losses.length;
  const rises = pruned.losses.map((loss, i) => loss - dense.losses[i]!);
  const mean = rises.reduce((sum, x) => sum + x, 0) / count;
  const squares = rises.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return count > 1 ? Math.sqrt(squares / (count - 1) / count) : 0;
}
