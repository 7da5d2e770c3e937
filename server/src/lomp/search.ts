import { copyFile, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EpochRecord, Score, SearchOptions, SearchTrial, TrainOptions } from '../../../protocol/train';
import { AnalysisError, InputError } from '../errors';
import { Magnitudes } from '../limit/magnitudes';
import { EVALUATION_BATCH, TrainingRun, type RunOutcome, type Surroundings, type TrainListener } from './run';
import { Scorer } from './scorer';
import type { TrainSubject } from './subject';

/** Neighbouring μ of the first, coarse pass differ by this factor. */
const COARSE = 4;
/** How close to the smallest μ the answer is: within this factor. */
const FINE = 1.25;

export interface SearchOutcome {
  readonly l1: number;
  readonly records: readonly EpochRecord[];
  readonly finished: boolean;
  readonly trials: readonly SearchTrial[];
}

interface SearchSurroundings extends Surroundings {
  readonly listener: TrainListener;
}

/** Where the trials of a search are kept until it ends. */
export function searchFolder(output: string): string {
  return `${output}.search`;
}

/**
 * The smallest μ with which the network, trained and then pruned once by
 * global magnitude to the wished sparsity, is within the accuracy budget of
 * the same network trained without penalty and not pruned; 0 where no penalty
 * is needed.
 *
 * μ rises by factors of 4 from `from` until one will do, then the last step is
 * halved on a logarithmic scale until it is within a factor of 1.25. That is
 * the smallest where what will do is an interval, as it was wherever we
 * looked: too large a μ costs accuracy by itself.
 *
 * Every trial is a training of its own in a folder beside the output; one that
 * has ended is not made again after an interrupt. The network of the answer
 * becomes the output, and the folder goes.
 *
 * @throws InputError without evaluation data, AnalysisError when no μ will do
 */
export async function searchL1(
  subject: TrainSubject,
  options: TrainOptions,
  search: SearchOptions,
  output: string,
  around: SearchSurroundings,
): Promise<SearchOutcome> {
  const { evaluation } = subject;
  if (evaluation === null) throw new InputError('no accuracy to search by: give --evaluate test or train');
  const folder = searchFolder(output);
  await mkdir(folder, { recursive: true });
  const model = subject.evaluated(Math.min(EVALUATION_BATCH, evaluation.count));
  const scorer = await Scorer.create(around.engine, model, evaluation);
  try {
    return await new Search(subject, options, search, output, around, scorer).run();
  } finally {
    await scorer.dispose();
  }
}

class Stopped extends Error {
  constructor(readonly outcome: Pick<RunOutcome, 'records'>) {
    super();
  }
}

class Search {
  private readonly trials: SearchTrial[] = [];
  private readonly records = new Map<number, readonly EpochRecord[]>();

  constructor(
    private readonly subject: TrainSubject,
    private readonly options: TrainOptions,
    private readonly search: SearchOptions,
    private readonly output: string,
    private readonly around: SearchSurroundings,
    private readonly scorer: Scorer,
  ) {}

  async run(): Promise<SearchOutcome> {
    try {
      const l1 = (await this.attempt(0)) ? 0 : await this.smallest();
      const staged = join(searchFolder(this.output), '.chosen.onnx');
      await copyFile(this.place(l1), staged);
      await rename(staged, this.output);
      await rm(searchFolder(this.output), { recursive: true });
      return { l1, records: this.records.get(l1)!, finished: true, trials: this.trials };
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      return { l1: this.options.l1, records: error.outcome.records, finished: false, trials: this.trials };
    }
  }

  private async smallest(): Promise<number> {
    const { from, to } = this.search;
    let low: number | undefined;
    let high = from;
    while (!(await this.attempt(high))) {
      if (high >= to) throw this.nothingWillDo();
      low = high;
      high = Math.min(to, Number((COARSE * high).toPrecision(3)));
    }
    while (low !== undefined && high / low > FINE) {
      const middle: number = Number(Math.sqrt(low * high).toPrecision(3));
      if (await this.attempt(middle)) high = middle;
      else low = middle;
    }
    return high;
  }

  /** Trains with this μ, prunes, and says whether that will do. */
  private async attempt(l1: number): Promise<boolean> {
    const options = { ...this.options, l1, limitEvery: 0 };
    const outcome = await TrainingRun.run(this.subject, options, this.place(l1), this.around);
    if (!outcome.finished) throw new Stopped(outcome);
    this.records.set(l1, outcome.records);
    const dense = outcome.records.at(-1)!.score!;
    const pruned = await this.scorer.score(this.pruned(outcome.values));
    const reference = this.trials[0]?.dense ?? dense;
    const ok = accuracy(reference) - accuracy(pruned) <= this.search.budget + 1e-12;
    const trial = { l1, dense, pruned, ok };
    this.trials.push(trial);
    await this.around.listener({ kind: 'trial', trial });
    return ok;
  }

  private pruned(values: ReadonlyMap<string, Float32Array>): ReadonlyMap<string, Float32Array> {
    const { layers } = this.subject.network(2);
    const magnitudes = Magnitudes.of(layers.map(({ name }) => values.get(name)!));
    const weights = magnitudes.prunedWeights(magnitudes.keptCount(this.search.sparsity));
    return new Map([...values, ...layers.map(({ name }, i) => [name, weights[i]!] as const)]);
  }

  private place(l1: number): string {
    return join(searchFolder(this.output), `l1-${l1}.onnx`);
  }

  private nothingWillDo(): AnalysisError {
    const { sparsity, budget, from, to } = this.search;
    const best = this.trials.slice(1).reduce((a, b) => (b.pruned.correct > a.pruned.correct ? b : a));
    const percent = (x: number): string => `${(100 * x).toFixed(2)} %`;
    return new AnalysisError(
      `no μ from ${from} to ${to} keeps ${percent(sparsity)} sparsity within ${percent(budget)} of ${percent(accuracy(this.trials[0]!.dense))}: ` +
        `the best is ${percent(accuracy(best.pruned))} at ${best.l1}; wish for less, allow more, or widen --l1-range`,
    );
  }
}

function accuracy({ correct, total }: Score): number {
  return correct / total;
}
