import { readFile, rm, stat } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import type { EpochRecord, Score, TrainEvent, TrainOptions } from '../../../protocol/train';
import { NEAR_ZERO } from '../../../protocol/train';
import { analyze } from '../analysis/analyze';
import type { MemoryGuard } from '../analysis/memory';
import { importForTraining } from '../checkpoint/onnx/classifier';
import { decodeModel } from '../checkpoint/onnx/reader';
import type { Engine } from '../engine/engine';
import { InputError, toFailure } from '../errors';
import { writeAtomically } from '../files/write';
import { DEFAULT_OPTIONS } from '../options';
import { provenanceOf, trainedCheckpoint } from './checkpoint-file';
import { learningRate } from './schedule';
import { Scorer } from './scorer';
import { checkIdentity, readState, statePath, writeState, type Identity } from './state';
import type { TrainSubject } from './subject';
import { DivergenceError, Training } from './training';

/** What a training tells; awaited, so that a slow listener slows it instead of losing events. */
export type TrainListener = (event: TrainEvent) => void | Promise<void>;
/** What of it a single training tells. */
export type RunListener = (event: Exclude<TrainEvent, { kind: 'trained' | 'trial' }>) => void | Promise<void>;

/** What the trainings of one command share. */
export interface Surroundings {
  readonly engine: Engine;
  readonly memory: MemoryGuard;
  readonly listener: RunListener;
  /** Whether somebody asked to end after the epoch in progress. */
  readonly shouldStop: () => boolean;
  /** Whether what belongs to another training may be replaced. */
  readonly overwrite: boolean;
  /** Whether even a training that has made it to its end is made again. */
  readonly anew: boolean;
  /** A training ends as soon as it is evaluated like that, be it before its first epoch. */
  readonly until?: (score: Score) => boolean;
}

export interface RunOutcome {
  readonly records: readonly EpochRecord[];
  readonly finished: boolean;
  /** Weights and running statistics as they are now. */
  readonly values: ReadonlyMap<string, Float32Array>;
  /** What they are worth; null where nothing is evaluated. */
  readonly score: Score | null;
}

/** Samples on which the limit is predicted, and what it may cost. */
const LIMIT = { samples: 2000, steps: 96, minutes: 2 };
/** Samples per run of the engine in evaluation. */
export const EVALUATION_BATCH = 500;

/**
 * One training: epoch by epoch, each followed by its state and its checkpoint,
 * both written whole or not at all, the state first. Begins at the state that
 * is there. A training that has ended leaves no state.
 */
export class TrainingRun {
  private readonly started = performance.now();
  /** Epochs that were done before this process. */
  private before = 0;
  private records: EpochRecord[] = [];

  private constructor(
    private readonly subject: TrainSubject,
    private readonly options: TrainOptions,
    private readonly output: string,
    private readonly around: Surroundings,
    private readonly identity: Identity,
    private readonly training: Training,
    private readonly scorer: Scorer | null,
  ) {}

  /**
   * @throws InputError when the state that is there belongs to another training
   */
  static async run(
    subject: TrainSubject,
    options: TrainOptions,
    output: string,
    around: Surroundings,
  ): Promise<RunOutcome> {
    const { samples, evaluation, image, mask } = subject;
    const { momentum, weightDecay, l1, l1Mode, epochs, seed } = options;
    const batch = Math.min(options.batch, samples.count);
    const steps = Math.ceil(samples.count / batch);
    const augmentation =
      image !== null && (options.crop > 0 || options.flip)
        ? { crop: options.crop, flip: options.flip, image }
        : undefined;
    const training = await Training.create(around.engine, (size) => subject.network(size), batch, samples, {
      momentum,
      weightDecay,
      l1,
      l1Mode,
      epochs,
      seed,
      rate: learningRate(options, steps),
      ...(mask !== undefined && { mask }),
      ...(augmentation !== undefined && { augmentation }),
    });
    let scorer: Scorer | null = null;
    try {
      if (evaluation !== null) {
        const model = subject.evaluated(Math.min(EVALUATION_BATCH, evaluation.count));
        scorer = await Scorer.create(around.engine, model, evaluation);
      }
      const identity = identityOf(subject, options, around.engine);
      return await new TrainingRun(subject, options, output, around, identity, training, scorer).epochs();
    } finally {
      await scorer?.dispose();
      await training.dispose();
    }
  }

  private async epochs(): Promise<RunOutcome> {
    const earlier = await this.finishedBefore();
    if (earlier !== undefined) {
      await this.note(`${this.output} is the end of this training already`);
      return earlier;
    }
    await this.begin();
    const { epochs } = this.options;
    const { shouldStop, until } = this.around;
    const { values } = this.training.trainer;
    let score = this.records.at(-1)?.score ?? null;
    if (until !== undefined && this.records.length === 0) score = await this.scorer!.score(values);
    const arrived = (): boolean => score !== null && until?.(score) === true;
    const ended = (): boolean => shouldStop() || arrived();
    let stopped = ended();
    if (arrived() && this.records.length === 0) await this.writeCheckpoint();
    while (this.records.length < epochs && !stopped) {
      await this.epoch(this.records.length);
      score = this.records.at(-1)!.score;
      stopped = ended();
    }
    const finished = this.records.length === epochs;
    if (finished) {
      await this.writeCheckpoint();
      await rm(statePath(this.output), { force: true });
    }
    return { records: this.records, finished, values, score };
  }

  /** What the output holds when this very training has made it to its end: it is not to be made again. */
  private async finishedBefore(): Promise<RunOutcome | undefined> {
    if (this.around.anew) return undefined;
    if ((await stat(statePath(this.output)).catch(() => undefined)) !== undefined) return undefined;
    const bytes = await readFile(this.output).catch(() => undefined);
    if (bytes === undefined) return undefined;
    const provenance = provenanceOf(bytes);
    const same = provenance !== undefined && isDeepStrictEqual(provenance.identity, this.identity);
    if (!same || provenance.records.length < provenance.epochs) {
      if (this.around.overwrite) return undefined;
      throw new InputError(
        `nothing to go on with: ${this.output} is there, and not the end of this training; choose another name, or give --force`,
      );
    }
    const { parameters, normalizations } = importForTraining(decodeModel(bytes, this.output), { batch: 2 });
    const stored = [...parameters.values(), ...normalizations.flatMap(({ mean, variance }) => [mean, variance])];
    return {
      records: provenance.records,
      finished: true,
      values: new Map(stored.map(({ name, value }) => [name, value])),
      score: provenance.records.at(-1)!.score,
    };
  }

  /** Takes up the state, or writes the first one: a place that cannot hold it is told of before the work. */
  private async begin(): Promise<void> {
    const path = statePath(this.output);
    const state = await readState(path);
    const isOther = state !== null && !isDeepStrictEqual(state.identity, this.identity);
    if (state === null || (isOther && this.around.overwrite)) return this.writeState();
    checkIdentity(state.identity, this.identity, path);
    this.training.trainer.restore(state.values, state.velocities);
    this.records = [...state.records];
    this.before = this.records.length;
    if (this.before > 0) await this.note(`goes on after epoch ${this.before} of ${this.options.epochs}`);
  }

  private async epoch(epoch: number): Promise<void> {
    const { epochs } = this.options;
    const { steps } = this.training;
    let loss: number;
    try {
      loss = await this.training.epoch(epoch, async (step, batchLoss) => {
        this.around.memory.check();
        const done = (epoch + step / steps) / epochs;
        await this.around.listener({
          kind: 'step',
          epoch: epoch + 1,
          step,
          steps,
          epochs,
          loss: batchLoss,
          elapsed: (performance.now() - this.started) / 1000,
          done,
          here: done - this.before / epochs,
        });
      });
    } catch (error) {
      if (!(error instanceof DivergenceError) || epoch === 0) throw error;
      throw new DivergenceError(error.problem, `the checkpoint of epoch ${epoch} is kept in ${this.output}, `);
    }
    const { values } = this.training.trainer;
    const score = this.scorer === null ? null : await this.scorer.score(values);
    this.records.push({ epoch: epoch + 1, loss, score, nearZero: this.nearZero(), limit: null });
    await this.writeState();
    await this.writeCheckpoint();
    const { limitEvery } = this.options;
    if (limitEvery > 0 && ((epoch + 1) % limitEvery === 0 || epoch + 1 === epochs)) await this.predict();
    await this.around.listener({ kind: 'epoch', record: this.records.at(-1)!, epochs });
  }

  /** Fraction of the prunable weights that are near zero. */
  private nearZero(): number {
    let near = 0;
    let all = 0;
    for (const { name } of this.training.layers) {
      const weights = this.training.trainer.values.get(name)!;
      for (let i = 0; i < weights.length; i++) if (Math.abs(weights[i]!) < NEAR_ZERO) near++;
      all += weights.length;
    }
    return near / all;
  }

  /** The limit of the checkpoint just written. That it cannot be had is no reason to end. */
  private async predict(): Promise<void> {
    const { data, threads, memory, l1, seed, epochs } = this.options;
    const options = {
      ...DEFAULT_OPTIONS,
      ...{ threads, memory, l1, seed, steps: LIMIT.steps, minutes: LIMIT.minutes, curvature: 'hessian' as const },
      data: { ...data, samples: Math.min(LIMIT.samples, this.subject.samples.count) },
    };
    try {
      const { limits } = await analyze({ checkpoint: this.output, options }, () => undefined);
      const { sparsity, interval } = limits[0]!;
      this.records[this.records.length - 1] = { ...this.records.at(-1)!, limit: { sparsity, interval } };
    } catch (error) {
      await this.note(
        `limit after epoch ${this.records.length} of ${epochs} not predicted: ${toFailure(error).message}`,
      );
      return;
    }
    await this.writeState();
  }

  private async writeState(): Promise<void> {
    const { values, velocities } = this.training.trainer;
    const { identity, records, output } = this;
    await writeState(statePath(output), { identity, records, values, velocities });
  }

  private async writeCheckpoint(): Promise<void> {
    const { bytes, path } = this.subject;
    // Predictions depend on the time they take: without them the same training has the same bytes.
    const records = this.records.map((record) => ({ ...record, limit: null }));
    const provenance = { identity: this.identity, records, epochs: this.options.epochs };
    await writeAtomically(this.output, trainedCheckpoint(bytes, path, this.training.trainer.values, provenance));
  }

  private async note(message: string): Promise<void> {
    await this.around.listener({ kind: 'note', message });
  }
}

/** All that the bytes of the result depend on, under the names of the options where there are such. */
export function identityOf(subject: TrainSubject, options: TrainOptions, engine: Engine): Identity {
  const { digests } = subject;
  const { data, schedule } = options;
  const { name, version, threads } = engine.description;
  return {
    network: digests.network,
    data: digests.data,
    '--mask': digests.mask,
    '--split': data.split,
    '--scale': data.scale,
    '--normalize': JSON.stringify(data.normalize ?? null),
    '--layout': data.layout ?? 'as the network says',
    '--samples': data.samples,
    '--evaluate': options.evaluation ?? 'none',
    '--epochs': options.epochs,
    '--batch': options.batch,
    '--rate': options.rate,
    '--schedule': JSON.stringify(schedule),
    '--warmup': options.warmup,
    '--momentum': options.momentum,
    '--weight-decay': options.weightDecay,
    '--l1': options.l1,
    '--l1-mode': options.l1Mode,
    '--crop': options.crop,
    '--flip': String(options.flip),
    '--seed': options.seed,
    '--threads': threads,
    engine: `${name} ${version}`,
  };
}
