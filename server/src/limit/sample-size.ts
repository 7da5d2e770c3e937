import type { Interval } from '../../../protocol/analysis';
import { Random } from '../random';
import type { Estimate } from '../spectrum/estimate';
import { NORMAL_95 } from './limit';

/**
 * The limit as a function of the number of samples, and what follows from it for
 * more of them.
 *
 * n samples are cut into 2, 4, 8, … parts of one size, and the kept fractions at the
 * limits of the parts averaged. All parts of a size together are all samples, so
 * that which samples were drawn moves the means of all sizes alike, and hardly their
 * differences. Everything is said of z, the logarithm of the mean kept fraction,
 * against the logarithm of the number of samples.
 *
 * What more samples keep is enclosed and not fitted, by two extremes:
 *
 * 1. It stays. For a positive semidefinite operator less is not possible on average:
 *    λ/(λ + c) is operator concave, so that its trace, averaged over parts, is at
 *    most that of the average of their matrices.
 * 2. It goes on to grow as a power of the number of samples, with the exponent that
 *    the largest size has over any of the others. That the exponent falls as samples
 *    are added, so that all of those are too large, is an observation
 *    (docs/spectrum.md), and is held against the sizes at hand before it is used. Of
 *    sizes far apart the exponent is larger, but what errors make of it smaller.
 */

/** The limit on one part of the samples. */
export interface PartLimit {
  /** What the kept fraction lies between, the sampling error of the probes apart. */
  readonly keep: Interval;
  /** Standard error of it over the random probes. */
  readonly standardError: number;
}

/** The limits of all parts of one size. */
export interface SizeLimits {
  /** Samples of a part. */
  readonly samples: number;
  /** 1 where the samples are not cut, else twice as many as at the next larger size, whose parts are two neighbours each. */
  readonly parts: readonly PartLimit[];
}

/** What smaller sizes say of a larger one that is known too. */
export interface HeldBack {
  /** The largest size that was used, … */
  readonly from: number;
  /** … and the one it was used for. */
  readonly samples: number;
  /** What is kept there, as they say. */
  readonly keep: Interval;
  /** Whether what was computed there may lie between the two extremes, by the errors of both. */
  readonly covered: boolean;
}

/** How often the smallest parts are drawn again. */
const RESAMPLES = 1000;

/** The sizes of one number of samples, with the errors of all that is said of them. */
export class NestedSizes {
  private readonly means: readonly Mean[];
  /** How often each of the smallest parts was drawn, as a share, by resample. */
  private readonly weights: readonly Float64Array[];
  /** By resample, z of every size. */
  private readonly drawn: readonly (readonly number[])[];
  /** Of a standard deviation over resamples, for 95 %: so few parts scatter less than what they are drawn from. */
  private readonly quantile: number;

  /**
   * @param sizes ascending, the last not cut, and one more at least
   * @throws RangeError where their parts do not make up each other
   */
  constructor(
    readonly sizes: readonly SizeLimits[],
    seed: number,
  ) {
    const count = 2 ** (sizes.length - 1);
    if (count < 2 || sizes.some(({ parts }, i) => parts.length !== count >> i)) {
      throw new RangeError(
        `parts do not halve from size to size: ${sizes.map(({ parts }) => parts.length).join(', ')}`,
      );
    }
    this.means = sizes.map(meanOf);
    this.quantile = student(count - 1) * Math.sqrt(count / (count - 1));
    this.weights = resamples(count, seed);
    this.drawn = this.weights.map((weights) => this.resampled(weights));
  }

  /** z of every size with the smallest parts drawn again: a larger one counts as often as those it is made of. */
  private resampled(weights: Float64Array): number[] {
    const means = this.sizes.map(({ parts }) => {
      const within = weights.length / parts.length;
      return weights.reduce((sum, weight, i) => sum + weight * middle(parts[Math.floor(i / within)]!), 0);
    });
    // Not cut, all samples have no parts that could be drawn; they move as the halves do.
    const all = means.length - 1;
    means[all] = this.means[all]!.middle * (means[all - 1]! / this.means[all - 1]!.middle);
    return means.map(Math.log);
  }

  /** What is kept at a size, as one draw of all samples says it of `population` samples that they are drawn from. */
  at(size: number, population: number): { readonly keep: number; readonly interval: Interval } {
    const weights = this.sizes.map((_, i) => Number(i === size));
    const { samples } = this.sizes.at(-1)!;
    const interval = this.combination(weights, Math.sqrt(Math.max(0, 1 - samples / population)));
    return { keep: this.means[size]!.middle, interval: [Math.exp(interval[0]), Math.exp(interval[1])] };
  }

  /** What `population` samples keep, by the two extremes. */
  beyond(population: number): Interval {
    const last = this.sizes.length - 1;
    return this.enclosure(last, Math.log2(population / this.sizes[last]!.samples));
  }

  /** Every size that two smaller ones or more can be held against. */
  heldBack(): HeldBack[] {
    return this.sizes.flatMap(({ samples }, size) =>
      this.sizes.slice(1, size).map((used, i): HeldBack => {
        const from = i + 1;
        const doublings = Math.log2(samples / used.samples);
        // Differences, since what the draw moves is common to both sides.
        const { stays, grown } = this.extremes(from, doublings, (w, j) => Number(j === size) - w);
        const below = stays[1] < 0 && grown.some(([, high]) => high < 0);
        const above = stays[0] > 0 && grown.some(([low]) => low > 0);
        return { from: used.samples, samples, keep: this.enclosure(from, doublings), covered: !(below || above) };
      }),
    );
  }

  /**
   * At most what the traces of the smallest parts, drawn again, say of that of all.
   *
   * @param traces in the order of the smallest parts
   */
  traceAtMost(traces: readonly Estimate[]): number {
    const value = average(traces.map((trace) => trace.value));
    const probes = Math.hypot(...traces.map(({ standardError }) => standardError)) / traces.length;
    const drawn = this.weights.map((weights) => weights.reduce((sum, w, i) => sum + w * traces[i]!.value, 0));
    return value + Math.hypot(NORMAL_95 * probes, this.quantile * deviation(drawn));
  }

  private enclosure(from: number, doublings: number): Interval {
    const { stays, grown } = this.extremes(from, doublings, (weight) => weight);
    const low = Math.min(stays[0], Math.max(...grown.map((end) => end[0])));
    const high = Math.max(stays[1], Math.min(...grown.map((end) => end[1])));
    return [Math.exp(low), Math.min(1, Math.exp(high))];
  }

  /** Something of z after so many doublings: as a size has it, and by the power laws through that size and each below it. */
  private extremes(
    from: number,
    doublings: number,
    of: (weight: number, size: number) => number,
  ): { readonly stays: Interval; readonly grown: readonly Interval[] } {
    const through = (below: number, steps: number) => {
      const slope = steps / Math.log2(this.sizes[from]!.samples / this.sizes[below]!.samples);
      return this.combination(this.sizes.map((_, i) => of(i === from ? 1 + slope : i === below ? -slope : 0, i)));
    };
    const sizes = this.sizes.slice(0, from);
    return { stays: through(0, 0), grown: sizes.map((_, below) => through(below, doublings)) };
  }

  /** 95 % interval of Σ wᵢzᵢ: the brackets at their worst, and the errors of probes and draw beside them. */
  private combination(weights: readonly number[], ofDraw = 1): Interval {
    const sum = (term: (mean: Mean, weight: number) => number) =>
      weights.reduce((total, weight, i) => (weight === 0 ? total : total + term(this.means[i]!, weight)), 0);
    const probes = Math.sqrt(sum(({ relativeError }, weight) => (weight * relativeError) ** 2));
    const draw = deviation(
      this.drawn.map((z) => weights.reduce((total, w, i) => (w === 0 ? total : total + w * z[i]!), 0)),
    );
    const error = Math.hypot(NORMAL_95 * probes, this.quantile * ofDraw * draw);
    const end = (side: 0 | 1) =>
      sum(({ keep }, weight) => weight * Math.log(keep[weight > 0 ? side : 1 - side]!)) + (side === 0 ? -error : error);
    return [end(0), end(1)];
  }
}

interface Mean {
  readonly middle: number;
  readonly keep: Interval;
  /** Over the probes, of the middle. */
  readonly relativeError: number;
}

function meanOf({ parts }: SizeLimits): Mean {
  const value = average(parts.map(middle));
  const keep: Interval = [average(parts.map((part) => part.keep[0])), average(parts.map((part) => part.keep[1]))];
  const error = Math.hypot(...parts.map(({ standardError }) => standardError)) / parts.length;
  return { middle: value, keep, relativeError: error / value };
}

function middle({ keep: [low, high] }: PartLimit): number {
  return (low + high) / 2;
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviation(values: readonly number[]): number {
  const centre = average(values);
  return Math.sqrt(average(values.map((value) => (value - centre) ** 2)));
}

function resamples(count: number, seed: number): Float64Array[] {
  const random = Random.stream(seed, 'sample sizes');
  return Array.from({ length: RESAMPLES }, () => {
    const weights = new Float64Array(count);
    for (let i = 0; i < count; i++) weights[random.below(count)]! += 1 / count;
    return weights;
  });
}

/** Of Student's distribution at 97.5 %, by degrees of freedom. */
function student(freedom: number): number {
  // The expansion that `sampleStandardError` uses is off by a third at 1.
  return (
    [12.71, 4.303, 3.182][freedom - 1] ?? NORMAL_95 * (1 + (1.2103 + (1.4403 + 1.304 / freedom) / freedom) / freedom)
  );
}
