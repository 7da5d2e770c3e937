import type { Interval } from '../../../protocol/analysis';
import type { Estimate } from '../spectrum/estimate';
import { NORMAL_95 } from './limit';

/**
 * The limit as a function of the number of samples, and what follows from it for
 * more of them.
 *
 * n samples are cut into 2, 4, 8, … parts of one size, and the kept fractions at the
 * limits of the parts averaged. Everything is said of z, the logarithm of the mean
 * kept fraction, against the logarithm of the number of samples.
 *
 * What more samples keep is enclosed and not fitted, by two extremes:
 *
 * 1. It stays. For a positive semidefinite operator less is not possible on average
 *    at a fixed c: λ/(λ + c) is operator concave, so that its trace, averaged over
 *    parts, is at most that of the average of their matrices. At the limit, whose c
 *    differs from part to part, it is so usually.
 * 2. It goes on to grow as a power of the number of samples, with the exponent that
 *    the largest size has over any of the others. That the exponent falls as samples
 *    are added, so that all of those are too large, was seen of one network and is
 *    uncertain for another (docs/spectrum.md). Of sizes far apart the exponent is
 *    larger, but what errors make of it smaller.
 *
 * Which samples were drawn has two parts. All parts of a size together are all samples,
 * so that the draw moves the means of all sizes alike: by as much as the mean of the
 * smallest parts has for error, as their scatter says. Beside that, every halving adds an
 * error of its own to the difference of two sizes. What a part keeps more than the two
 * halves that it is made of scatters from part to part; there is but one such difference
 * for all samples, so that its error is taken to be that of the means at the smaller
 * sizes, where it tends to be larger.
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
  /**
   * Whether what was computed there may lie between the two extremes, by the errors of
   * both; null where even that it is what the largest size keeps may be, so that nothing is told.
   */
  readonly covered: boolean | null;
}

/** Of logarithms: what is as large as it was said to be is not larger. */
const ROUNDING = 1e-12;

/** The sizes of one number of samples, with the errors of all that is said of them. */
export class NestedSizes {
  private readonly means: readonly Mean[];
  /** 95 % error of z(n) by which samples were drawn. */
  private readonly drawError: number;
  /** That of the difference of a size and the next larger one. */
  private readonly stepError: number;

  /**
   * @param sizes ascending, the last not cut, and two more at least
   * @throws RangeError where their parts do not make up each other
   */
  constructor(readonly sizes: readonly SizeLimits[]) {
    const count = 2 ** (sizes.length - 1);
    if (count < 4 || sizes.some(({ parts }, i) => parts.length !== count >> i)) {
      throw new RangeError(
        `parts do not halve from size to size: ${sizes.map(({ parts }) => parts.length).join(', ')}`,
      );
    }
    this.means = sizes.map(meanOf);
    const kept = sizes.map(({ parts }) => parts.map(middle));
    this.drawError = errorOfMean([kept[0]!]) / this.means[0]!.middle;
    this.stepError = errorOfMean(
      kept
        .slice(1, -1)
        .map((parts, i) => parts.map((k, j) => Math.log((2 * k) / (kept[i]![2 * j]! + kept[i]![2 * j + 1]!)))),
    );
  }

  /** What is kept at a size on average, as one draw of all samples says it of `population` samples that they are drawn from. */
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
        const below = stays[1] < 0 && grown.some(([, high]) => high < -ROUNDING);
        const above = stays[0] > 0 && grown.some(([low]) => low > ROUNDING);
        const told = stays[0] >= 0 || stays[1] <= 0;
        const covered = below || above ? false : told || null;
        return { from: used.samples, samples, keep: this.enclosure(from, doublings), covered };
      }),
    );
  }

  /** At most what the traces of the smallest parts say of that of all. */
  traceAtMost(traces: readonly Estimate[]): number {
    const values = traces.map((trace) => trace.value);
    const probes = Math.hypot(...traces.map(({ standardError }) => standardError)) / traces.length;
    return average(values) + Math.hypot(NORMAL_95 * probes, errorOfMean([values]));
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

  /**
   * 95 % interval of Σ wᵢzᵢ: the brackets at their worst, and the errors of probes and draw beside them.
   *
   * @param ofDraw share of the error of drawing all samples that there is
   */
  private combination(weights: readonly number[], ofDraw = 1): Interval {
    const sum = (term: (mean: Mean, weight: number) => number) =>
      weights.reduce((total, weight, i) => (weight === 0 ? total : total + term(this.means[i]!, weight)), 0);
    const probes = Math.sqrt(sum(({ relativeError }, weight) => (weight * relativeError) ** 2));
    // z of a size is that of all samples, less the steps up to there.
    let [steps, upTo] = [0, 0];
    for (const weight of weights.slice(0, -1)) {
      upTo += weight;
      steps += upTo ** 2;
    }
    const draw = ofDraw * (upTo + weights.at(-1)!) * this.drawError;
    const error = Math.hypot(NORMAL_95 * probes, draw, Math.sqrt(steps) * this.stepError);
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

/** 95 % error of the mean of one sample, or of the means of several that are as sure as each other, by the scatter of all. */
function errorOfMean(samples: readonly (readonly number[])[]): number {
  let [squares, freedom] = [0, 0];
  for (const values of samples) {
    const centre = average(values);
    squares += values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / values.length;
    freedom += values.length - 1;
  }
  return student(freedom) * Math.sqrt(squares / freedom);
}

/** Of Student's distribution at 97.5 %, by degrees of freedom. */
function student(freedom: number): number {
  // The expansion that `sampleStandardError` uses is off by a third at 1.
  return (
    [12.71, 4.303, 3.182][freedom - 1] ?? NORMAL_95 * (1 + (1.2103 + (1.4403 + 1.304 / freedom) / freedom) / freedom)
  );
}
