import { copyFile, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  RetrainBracket,
  RetrainEvent,
  RetrainRequest,
  RetrainResult,
  RetrainTrial,
} from '../../../protocol/retrain';
import type { Score, TrainOptions } from '../../../protocol/train';
import { checkTolerance, describeEpsilon, lossTolerance } from '../analysis/epsilon';
import { Evaluator } from '../analysis/evaluator';
import { MemoryGuard } from '../analysis/memory';
import { makeBatches } from '../curvature/batches';
import { flatWeights, parameterLayout } from '../curvature/parameters';
import type { Engine } from '../engine/engine';
import { createOrtEngine } from '../engine/ort';
import { AnalysisError, InputError } from '../errors';
import { Magnitudes } from '../limit/magnitudes';
import { checkPlaces } from './places';
import { narrowed, nextKept, type KeptBracket } from './retrain-bracket';
import { EVALUATION_BATCH, TrainingRun, type RunOutcome } from './run';
import { Scorer } from './scorer';
import { openTrainSubject, type TrainSubject } from './subject';
import { DivergenceError } from './training';

export type RetrainListener = (event: RetrainEvent) => void | Promise<void>;

/** Where the trials are kept until the search ends. */
export function trialsFolder(output: string): string {
  return `${output}.trials`;
}

/**
 * The retrained limit: up to which sparsity a network that was pruned by global
 * magnitude comes back to its loss when it is trained with the mask fixed. That
 * is what the limits of the paper speak of: they ask whether there is any
 * network within ε with those weights zero, not whether it is this one.
 *
 * *Comes back* means that after some epoch, at most `epochs`, the mean loss
 * over all training samples, without augmentation and in evaluation mode, is at
 * most L(w*) + ε. Every trial begins at w* and has the schedule of the whole
 * number of epochs, at whose rate it stands when it comes back. A training that
 * diverges has not come back.
 *
 * Sparsity rises by halving the weights kept until a trial fails, then the
 * bracket is halved in their logarithm. The first seed begins at half of the
 * weights, each other at the answer of the one before. What comes back at a
 * sparsity is taken to come back below it. Where nothing that was tried does,
 * the bracket begins at 0, at which the network is w*.
 *
 * Every trial is a training of its own in a folder beside the output, and goes
 * on where it was after an interrupt. The sparsest network that came back
 * becomes the output, and the folder goes.
 *
 * @param shouldStop whether to end after the epoch in progress
 * @throws InputError, AnalysisError
 */
export async function retrain(
  request: RetrainRequest,
  listener: RetrainListener,
  shouldStop: () => boolean = () => false,
): Promise<RetrainResult> {
  const { checkpoint, output, options } = request;
  const { training } = options;
  const memory = new MemoryGuard(training.memory);
  memory.begin();
  await checkPlaces({
    ...request,
    inputs: [training.data.path, checkpoint],
    state: trialsFolder(output),
    endKnown: false,
  });
  const subject = await openTrainSubject({ kind: 'checkpoint', path: checkpoint }, training, memory);
  const engine = await createOrtEngine(training.threads);
  const search = await RetrainSearch.create(request, subject, engine, memory, listener, shouldStop);
  try {
    const result = await search.run();
    await listener({ kind: 'retrained', result });
    return result;
  } finally {
    await search.dispose();
  }
}

class Stopped extends Error {}

class RetrainSearch {
  private readonly trials: RetrainTrial[] = [];
  private readonly brackets: RetrainBracket[] = [];
  /** Values of the network that came back last, of each seed. */
  private values: ReadonlyMap<string, Float32Array> = new Map();
  private best: { readonly kept: number; readonly path: string } | null = null;

  private constructor(
    private readonly request: RetrainRequest,
    private readonly subject: TrainSubject,
    private readonly engine: Engine,
    private readonly memory: MemoryGuard,
    private readonly listener: RetrainListener,
    private readonly shouldStop: () => boolean,
    private readonly magnitudes: Magnitudes,
    private readonly names: readonly string[],
    private readonly dense: RetrainResult['dense'],
    private readonly epsilon: RetrainResult['epsilon'],
    private readonly scorer: Scorer | null,
  ) {}

  static async create(
    request: RetrainRequest,
    subject: TrainSubject,
    engine: Engine,
    memory: MemoryGuard,
    listener: RetrainListener,
    shouldStop: () => boolean,
  ): Promise<RetrainSearch> {
    const { samples, evaluation } = subject;
    const model = subject.evaluated(Math.min(EVALUATION_BATCH, samples.count));
    const [batch, classes] = model.logits.shape as [number, number];
    const layout = parameterLayout(model);
    const batches = makeBatches(samples, batch, classes);
    const evaluator = await Evaluator.create(engine, { model, layout, batches, samples: samples.count, classes });
    const { loss, losses } = await evaluator.evaluate(flatWeights(model, layout));
    await evaluator.dispose();
    if (!Number.isFinite(loss)) {
      throw new InputError(
        `loss not finite: ${request.checkpoint} overflows on the training samples; check --scale and --normalize`,
      );
    }
    const rule = request.options.epsilon;
    const value = lossTolerance(rule, losses, loss);
    checkTolerance(value, rule, samples.count);
    const magnitudes = Magnitudes.of(model.layers.map(({ name }) => model.parameters.get(name)!.value));
    let scorer: Scorer | null = null;
    let score: Score | null = null;
    if (evaluation !== null) {
      const evaluated = subject.evaluated(Math.min(EVALUATION_BATCH, evaluation.count));
      scorer = await Scorer.create(engine, evaluated, evaluation);
      score = await scorer.score(
        new Map([...evaluated.parameters].map(([name, parameter]) => [name, parameter.value])),
      );
    }
    return new RetrainSearch(
      request,
      subject,
      engine,
      memory,
      listener,
      shouldStop,
      magnitudes,
      model.layers.map(({ name }) => name),
      { loss, score },
      { value, rule: describeEpsilon(rule) },
      scorer,
    );
  }

  async dispose(): Promise<void> {
    await this.scorer?.dispose();
  }

  async run(): Promise<RetrainResult> {
    const { output, options } = this.request;
    const folder = trialsFolder(output);
    await mkdir(folder, { recursive: true });
    try {
      for (let i = 0; i < options.seeds; i++) await this.search(options.training.seed + i);
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      return this.result(false);
    }
    const staged = join(folder, '.chosen.onnx');
    await copyFile(this.best!.path, staged);
    await rename(staged, output);
    await rm(folder, { recursive: true });
    return this.result(true);
  }

  private result(finished: boolean): RetrainResult {
    const { checkpoint, output, options } = this.request;
    const { trials, brackets, dense, epsilon } = this;
    const middles = brackets.map(({ reached, missed }) => (reached + missed) / 2);
    const limit = finished
      ? {
          sparsity: middles.reduce((sum, x) => sum + x, 0) / middles.length,
          interval: [
            Math.min(...brackets.map(({ reached }) => reached)),
            Math.max(...brackets.map(({ missed }) => missed)),
          ] as const,
        }
      : null;
    const weights = this.magnitudes.count;
    const samples = this.subject.samples.count;
    return { checkpoint, output, weights, samples, dense, epsilon, trials, brackets, limit, options };
  }

  private async search(seed: number): Promise<void> {
    const { count } = this.magnitudes;
    const { tolerance } = this.request.options;
    let bracket: KeptBracket = { reached: count, missed: 0 };
    this.values = new Map();
    const attempt = async (kept: number): Promise<boolean> => {
      const trial = await this.attempt(seed, kept);
      bracket = narrowed(bracket, kept, trial.reached);
      return trial.reached;
    };
    const before = this.brackets.at(-1);
    if (before !== undefined) {
      const ends = [before.reached, before.missed].map((sparsity) => Math.round((1 - sparsity) * count));
      const [reached, missed] = ends as [number, number];
      // Mostly seeds agree, and two trials say so.
      if (reached < count && (await attempt(reached)) && missed > 0) await attempt(missed);
    }
    for (;;) {
      const kept = nextKept(bracket, count, tolerance);
      if (kept === null) break;
      await attempt(kept);
    }
    const sparsity = (kept: number): number => 1 - kept / count;
    // Nothing that was tried came back: the limit lies below all of it, and w* itself is the answer's network.
    if (bracket.reached === count && !(await this.attempt(seed, count)).reached) {
      throw new AnalysisError(
        `loss not reached: with none of ${count} weights pruned it does not come back either; the tolerance is below the rounding of the loss, give a larger --epsilon`,
      );
    }
    const score = this.scorer === null ? null : await this.scorer.score(this.values);
    this.brackets.push({ seed, reached: sparsity(bracket.reached), score, missed: sparsity(bracket.missed) });
  }

  private async attempt(seed: number, kept: number): Promise<RetrainTrial> {
    const sparsity = 1 - kept / this.magnitudes.count;
    await this.listener({ kind: 'attempt', seed, sparsity, kept });
    const outcome = await this.trained(seed, kept);
    const loss = outcome?.score?.loss ?? null;
    const reached = loss !== null && loss <= this.target;
    if (outcome !== null && !reached && !outcome.finished) throw new Stopped();
    const epochs = outcome?.records.at(-1)?.epoch ?? 0;
    const trial = { seed, sparsity, kept, epochs, loss, reached };
    this.trials.push(trial);
    if (reached) {
      this.values = outcome!.values;
      if (this.best === null || kept < this.best.kept) this.best = { kept, path: this.place(seed, kept) };
    }
    await this.listener({ kind: 'attempted', trial, target: this.target });
    return trial;
  }

  private get target(): number {
    return this.dense.loss + this.epsilon.value;
  }

  /** Trains the pruned network until it comes back or its epochs are over; null when it diverges. */
  private async trained(seed: number, kept: number): Promise<RunOutcome | null> {
    const { training } = this.request.options;
    const options: TrainOptions = { ...training, seed, evaluation: training.data.split, limitEvery: 0 };
    const masks = this.magnitudes.masks(kept);
    const { subject } = this;
    const masked: TrainSubject = {
      ...subject,
      // What it comes back to is judged on the samples it is trained on.
      evaluation: subject.samples,
      mask: new Map(this.names.map((name, i) => [name, masks[i]!])),
      digests: { ...subject.digests, mask: `the ${kept} largest` },
    };
    const around = {
      engine: this.engine,
      memory: this.memory,
      listener: this.listener,
      shouldStop: this.shouldStop,
      overwrite: false,
      anew: false,
      until: ({ loss }: Score) => loss <= this.target,
    };
    try {
      return await TrainingRun.run(masked, options, this.place(seed, kept), around);
    } catch (error) {
      if (error instanceof DivergenceError) return null;
      throw error;
    }
  }

  private place(seed: number, kept: number): string {
    return join(trialsFolder(this.request.output), `seed-${seed}-kept-${kept}.onnx`);
  }
}
