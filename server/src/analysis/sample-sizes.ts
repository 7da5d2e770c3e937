import type { HeldBackLimit, Interval, LimitResult, SampleSizes } from '../../../protocol/analysis';
import { grouped } from '../../../protocol/numbers';
import type { ParameterLayout } from '../curvature/parameters';
import { InputError } from '../errors';
import { traceBound } from '../limit/limit';
import type { Magnitudes } from '../limit/magnitudes';
import { NestedSizes, type PartLimit, type SizeLimits } from '../limit/sample-size';
import { Random } from '../random';
import type { Estimate } from '../spectrum/estimate';
import { LimitStudy, type StudiedOperator, type StudyOptions } from './limit-study';

/** How often the number of samples is halved. */
const HALVINGS = 3;
/** So many sizes take as long as one product with all samples each. */
export const SIZES = HALVINGS + 1;
/** The smallest parts of fewer than so many samples say nothing of more. */
const SMALLEST_PART = 4;
/** Samples that can be cut, at least. */
export const FEWEST_SAMPLES = SMALLEST_PART * 2 ** HALVINGS;
/** Width of an interval, as a share of what is kept: the slope between two sizes asks for more than the limit itself. */
const PRECISION = 0.1;

/** Samples of the smallest parts, of which the others are made up. */
export function smallestPart(samples: number): number {
  return Math.floor(samples / 2 ** HALVINGS);
}

/** @throws InputError where there are too few samples to be cut, or nothing is studied */
export function checkSampleSizes(samples: number, steps: number): void {
  if (steps === 0) {
    throw new InputError(
      'nothing to study for --sample-sizes: with 0 steps no limit is computed; leave --steps out or --sample-sizes',
    );
  }
  if (smallestPart(samples) >= SMALLEST_PART) return;
  throw new InputError(
    `samples too few for --sample-sizes: ${grouped(samples)}, which are cut into ${2 ** HALVINGS} parts; choose ${FEWEST_SAMPLES} or more with --samples`,
  );
}

export interface SizeStudyInput {
  /** The limit on all chosen samples. */
  readonly limit: Pick<LimitResult, 'operator' | 'keep'>;
  readonly layout: ParameterLayout;
  readonly magnitudes: Magnitudes;
  readonly epsilon: number;
  readonly seed: number;
  /** Samples that were chosen, and that there are. */
  readonly samples: number;
  readonly available: number;
  readonly tolerance: number;
  /** The operator on all chosen samples; asked for when no part is needed any more. */
  readonly whole: () => Promise<StudiedOperator>;
  /** That on those chosen as the `first` up to `end`; used until the next is asked for. */
  readonly part: (first: number, end: number) => Promise<StudiedOperator>;
  /** For a study that is this share of the work that is left. */
  readonly study: (share: number) => Omit<StudyOptions, 'seed' | 'tolerance' | 'probes'>;
  /** What is being computed from now on. */
  readonly announce: (message: string) => void;
}

/**
 * The limit at n/8, n/4 and n/2 of the n chosen samples, each the mean over the
 * parts that they can be cut into, and once more at n, as sharp as the others; and
 * what the whole data set would say. ε is held.
 *
 * @throws AnalysisError when a product is not finite
 */
export async function studySampleSizes(input: SizeStudyInput): Promise<SampleSizes> {
  const { samples, layout } = input;
  const unit = smallestPart(samples);
  let left = HALVINGS * 2 ** HALVINGS * unit + samples;
  const sizes: SizeLimits[] = [];
  const traces: Estimate[] = [];
  for (let halvings = HALVINGS; halvings >= 0; halvings--) {
    const count = 2 ** halvings;
    const size = count === 1 ? samples : unit * 2 ** (HALVINGS - halvings);
    const parts: PartLimit[] = [];
    for (let i = 0; i < count; i++) {
      const place = count === 1 ? `all ${grouped(size)} samples` : `${grouped(size)} samples, ${i + 1} of ${count}`;
      input.announce(place);
      const operator = await (count === 1 ? input.whole() : input.part(i * size, (i + 1) * size));
      const { bracket, standardError, curvature } = await studied(input, operator, place, size / left, count);
      left -= size;
      // Less than half a weight is none, but has a logarithm.
      const keep: Interval = [1 - bracket[1], Math.max(1 - bracket[0], 0.5 / layout.dimension)];
      parts.push({ keep, standardError });
      if (halvings === HALVINGS) traces.push({ value: curvature.trace, standardError: curvature.traceStandardError });
    }
    sizes.push({ samples: size, parts });
  }
  return said(sizes, traces, layout.dimension, input);
}

async function studied(
  { limit, layout, magnitudes, epsilon, seed, tolerance, study, announce }: SizeStudyInput,
  operator: StudiedOperator,
  place: string,
  share: number,
  parts: number,
): Promise<LimitResult> {
  let latest: LimitResult | undefined;
  const options = {
    ...study(share),
    tolerance: Math.max(1e-6, Math.min(tolerance, PRECISION * limit.keep)),
    // Other probes for every part, so that their errors average out, and one will do.
    ...(parts > 1 && { probes: 1 }),
    seed: Random.stream(seed, place).uint32(),
  };
  await new LimitStudy(operator, layout, magnitudes, epsilon, options, {
    announce: (message) => announce(`${place}: ${message}`),
    plan: () => undefined,
    update: (update) => {
      latest = update.limit;
    },
  }).run();
  return latest!;
}

/** What follows from the limits of all parts. */
export function said(
  sizes: readonly SizeLimits[],
  traces: readonly Estimate[],
  dimension: number,
  given: Pick<SizeStudyInput, 'limit' | 'magnitudes' | 'epsilon' | 'available'>,
): SampleSizes {
  const { available, limit, magnitudes, epsilon } = given;
  const nested = new NestedSizes(sizes);
  const heldBack = nested
    .heldBack()
    .map(({ keep, ...held }): HeldBackLimit => ({ ...held, interval: sparsities(keep) }));
  const covered = heldBack.every((held) => held.covered !== false);
  const known = sizes.map(({ samples, parts }, i) => {
    const { keep, interval } = nested.at(i, available);
    return { samples, parts: parts.length, sparsity: 1 - keep, interval: sparsities(interval) };
  });
  const result = { operator: limit.operator, sizes: known, heldBack, whole: null };
  if (known.at(-1)!.samples >= available) return result;

  const grown = covered ? nested.beyond(available) : null;
  if (limit.operator === 'hessian') {
    return grown === null
      ? result
      : { ...result, whole: { samples: available, interval: sparsities(grown), by: 'growth' } };
  }
  // Gauss–Newton usually keeps no less with more samples, and no more than what the trace says.
  const [, most] = known.at(-1)!.interval;
  const least = traceBound(nested.traceAtMost(traces) / dimension, epsilon, (s) => magnitudes.squaredRadius(s));
  const low = grown === null ? 0 : 1 - grown[1];
  const interval: Interval = [Math.min(most, Math.max(low, least)), most];
  return { ...result, whole: { samples: available, interval, by: low > least ? 'growth' : 'trace' } };
}

function sparsities([low, high]: Interval): Interval {
  return [Math.max(0, 1 - high), Math.min(1, 1 - low)];
}
