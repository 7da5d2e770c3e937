import type {
  AnalysisOptions,
  Interval,
  MeasuredPoint,
  MeasuredSplit,
  MeasureOptions,
  OneShotLimit,
  Split,
} from '../../../protocol/analysis';
import { makeBatches, type Batch } from '../curvature/batches';
import type { Dataset } from '../dataset/dataset';
import { openDataset } from '../dataset/open';
import { checkLabels, prepareSamples } from '../dataset/prepare';
import { chooseSamples } from '../dataset/sampling';
import { InputError } from '../errors';
import { elementCount, formatShape } from '../graph/shapes';
import type { Magnitudes } from '../limit/magnitudes';
import {
  bootstrapIntervals,
  brackets,
  nextSparsity,
  riseError,
  sparsitiesAtEnds,
  wilsonInterval,
  type Criterion,
  type Outcomes,
} from '../limit/one-shot';
import { Random } from '../random';
import type { Evaluator } from './evaluator';
import type { MemoryGuard } from './memory';
import { prunedWeights } from './path';
import type { Subject } from './subject';

/** Samples of one split, in batches that the compiled network takes. */
export interface SplitSamples {
  readonly split: Split;
  readonly path: string;
  readonly samples: number;
  readonly available: number;
  readonly batches: readonly Batch[];
}

/** Sparsities that are measured before any bracket is narrowed. */
export const CURVE_POINTS = 32;
/** What narrowing takes, about. */
export const NARROWING_POINTS = 30;
const RESAMPLES = 1000;
/** Enough to see where an end lies, so that it can be measured there. */
const FEW_RESAMPLES = 200;
const SHARPENING_ROUNDS = 2;
/** Tolerances of the accuracy, as fractions; 0 is the paper's criterion. */
const ACCURACY_TOLERANCES = [0, 0.001, 0.005, 0.01] as const;

/**
 * The samples that the curve is measured on, the test split first.
 *
 * @throws InputError when a split is missing, does not fit the network, or is the other one again
 */
export async function openSplits(
  subject: Subject,
  options: AnalysisOptions,
  measure: MeasureOptions,
  memory: MemoryGuard,
): Promise<SplitSamples[]> {
  const splits: readonly Split[] = measure.on === 'both' ? ['test', 'train'] : [measure.on];
  const datasets: Dataset[] = [];
  const opened: SplitSamples[] = [];
  for (const split of splits) {
    const path = (split === 'test' ? measure.testData : undefined) ?? options.data.path;
    const dataset = await openDataset(path, split);
    if (datasets[0] !== undefined && sameSamples(datasets[0], dataset)) {
      throw new InputError(
        `one set of samples for both splits: ${path}; name the test samples with --test-data, or measure on one split with --measure-on`,
      );
    }
    datasets.push(dataset);
    opened.push(fit(subject, dataset, { options, measure, memory, split, path }));
  }
  return opened;
}

function fit(
  { model, classes }: Subject,
  dataset: Dataset,
  given: {
    readonly options: AnalysisOptions;
    readonly measure: MeasureOptions;
    readonly memory: MemoryGuard;
    readonly split: Split;
    readonly path: string;
  },
): SplitSamples {
  const { options, measure, memory, split, path } = given;
  checkLabels(dataset, classes);
  const indices = chooseSamples(dataset, measure.samples, options.seed);
  const sampleShape = model.input.shape.slice(1);
  const what = `${indices.length} ${split} samples of ${formatShape(sampleShape)}`;
  memory.expect(4 * indices.length * elementCount(sampleShape), what, 'lower --measure-samples');
  const samples = prepareSamples(dataset, indices, options.data, sampleShape);
  const batches = makeBatches(samples, model.input.shape[0]!, classes);
  return { split, path, samples: samples.count, available: dataset.count, batches };
}

/** A file that was named outright is read whatever the split. */
function sameSamples(a: Dataset, b: Dataset): boolean {
  return (
    a.count === b.count &&
    a.labels.every((label, i) => label === b.labels[i]) &&
    a.values.length === b.values.length &&
    a.values.every((value, i) => value === b.values[i])
  );
}

/** Accuracy is judged on test samples, as the paper does; the loss on both. */
export function criteriaFor(split: Split, epsilon: number): Criterion[] {
  const loss: Criterion = { kind: 'loss', tolerance: epsilon };
  return split === 'train'
    ? [loss]
    : [...ACCURACY_TOLERANCES.map((tolerance): Criterion => ({ kind: 'accuracy', tolerance })), loss];
}

/**
 * The measured curve on one split: first at `sparsities` and with all weights
 * gone, then by bisection around every one-shot limit, then where the ends of
 * their intervals lie.
 *
 * @param evaluator of the network on the samples
 * @param onPoint awaited after every point, with all so far
 */
export async function measureSplit(
  { split, path, samples, available }: SplitSamples,
  subject: Pick<Subject, 'layout'>,
  magnitudes: Magnitudes,
  evaluator: Evaluator,
  given: { readonly sparsities: readonly number[]; readonly epsilon: number; readonly seed: number },
  onPoint: (measured: MeasuredSplit) => void | Promise<void>,
): Promise<MeasuredSplit> {
  const criteria = criteriaFor(split, given.epsilon);
  const points: Outcomes[] = [];
  const described = new Map<Outcomes, MeasuredPoint>();
  const snapshot = (oneShot: readonly OneShotLimit[]): MeasuredSplit => ({
    split,
    path,
    samples,
    available,
    points: points.map((point) => described.get(point)!),
    oneShot,
  });
  const measure = async (sparsity: number): Promise<void> => {
    const { hits, losses, loss, correct } = await evaluator.evaluate(prunedWeights(subject, magnitudes, sparsity));
    // What overflows float32 was not measured.
    if (!losses.every(Number.isFinite)) {
      if (sparsity > 0) return;
      throw new InputError(`loss not finite: the network overflows on the ${split} samples (${path}); check them`);
    }
    const outcomes = { sparsity, hits, losses };
    points.push(outcomes);
    points.sort((a, b) => a.sparsity - b.sparsity);
    described.set(outcomes, {
      sparsity,
      loss,
      riseStandardError: riseError(points[0]!, outcomes),
      correct,
      accuracyInterval: wilsonInterval(correct, samples),
    });
    await onPoint(snapshot([]));
  };

  for (const sparsity of [...new Set([0, ...given.sparsities, 1])]) await measure(sparsity);
  const tried = new Set<number>();
  for (;;) {
    const next = nextSparsity(brackets(points, criteria), magnitudes.count);
    // Tried before: it could not be measured.
    if (next === null || tried.has(next)) break;
    tried.add(next);
    await measure(next);
  }
  const resampled = (count: number): Interval[] =>
    bootstrapIntervals(points, criteria, count, Random.stream(given.seed, `one-shot ${split}`));
  for (let round = 0; round < SHARPENING_ROUNDS; round++) {
    const ends = resampled(FEW_RESAMPLES);
    for (const sparsity of sparsitiesAtEnds(points, ends, magnitudes.count)) await measure(sparsity);
  }
  const intervals = resampled(RESAMPLES);
  return snapshot(
    brackets(points, criteria).map(({ low, high }, i) => ({
      criterion: criteria[i]!.kind,
      tolerance: criteria[i]!.tolerance,
      sparsity: low,
      interval: intervals[i]!,
      resolution: high === null ? 0 : high - low,
    })),
  );
}
