import type { PreparedSamples } from '../dataset/dataset';
import type { Engine } from '../engine/engine';
import { AnalysisError } from '../errors';
import type { Model, PrunableLayer, TrainingModel } from '../graph/model';
import { elementCount } from '../graph/shapes';
import { Random } from '../random';
import { augment, type Augmentation, type ImageLayout } from './augment';
import type { LearningRate } from './schedule';
import { SgdTrainer, type SgdOptions } from './sgd';

export interface TrainingOptions extends SgdOptions {
  readonly epochs: number;
  readonly rate: LearningRate;
  /** Of the order of the samples and of their variations. */
  readonly seed: number;
  readonly augmentation?: Augmentation & { readonly image: ImageLayout };
}

/** Called after every epoch with its number, from 1, and the mean loss of its batches as they were trained on. */
export type AfterEpoch = (epoch: number, loss: number) => void | Promise<void>;

/** Called after every step with its number in the epoch, from 1, and the batch's loss. */
export type AfterStep = (step: number, loss: number) => void | Promise<void>;

/** A loss or a weight is not finite any more. */
export class DivergenceError extends AnalysisError {
  /** @param problem what is not finite, and where */
  constructor(
    readonly problem: string,
    kept = '',
  ) {
    super(`training diverged: ${problem}; ${kept}lower the learning rate`);
  }
}

/**
 * The epochs of a training, each in an order of its own that depends on the
 * seed and its number alone: with weights and velocities as they were, any
 * epoch can be made again, to the same bytes (same samples and engine, with a
 * fixed number of threads).
 */
export class Training {
  readonly steps: number;
  private readonly inputs = new Map<number, Float32Array>();
  private readonly targets = new Map<number, Float32Array>();

  private constructor(
    readonly trainer: SgdTrainer,
    private readonly sizes: readonly number[],
    private readonly classes: number,
    private readonly samples: PreparedSamples,
    readonly layers: readonly PrunableLayer[],
    private readonly options: TrainingOptions,
  ) {
    this.steps = sizes.length;
  }

  /**
   * @param network the network at a batch size
   * @param batch samples per step. The last step of an epoch has what is left,
   * padded with rows that weigh nothing, unless normalisation would see them;
   * a single sample, which has no variance, is then left out
   * @throws AnalysisError when the engine refuses the gradient
   */
  static async create(
    engine: Engine,
    network: (batch: number) => Model | TrainingModel,
    batch: number,
    samples: PreparedSamples,
    options: TrainingOptions,
  ): Promise<Training> {
    const model = network(batch);
    const padded = !('normalizations' in model) || model.normalizations.length === 0;
    const whole = Math.floor(samples.count / batch);
    const rest = samples.count % batch;
    const last = padded ? batch : rest;
    const sizes = [...new Array<number>(whole).fill(batch), ...(rest > (padded ? 0 : 1) ? [last] : [])];
    if (sizes.length === 0) {
      throw new AnalysisError('one sample cannot be normalised by itself; give more samples');
    }
    const models = [...new Set(sizes)].map((size) => (size === batch ? model : network(size)));
    const trainer = await SgdTrainer.create(engine, models, options);
    return new Training(trainer, sizes, model.logits.shape[1]!, samples, model.layers, options);
  }

  /**
   * One epoch, numbered from 0.
   *
   * @returns the mean loss over the samples as they were trained on
   * @throws AnalysisError naming the step when the training diverges
   */
  async epoch(epoch: number, afterStep: AfterStep = () => undefined): Promise<number> {
    const { samples, options, steps } = this;
    const order = Random.stream(options.seed, `epoch ${epoch}`).permutation(samples.count);
    let sum = 0;
    let seen = 0;
    for (let step = 0; step < steps; step++) {
      const size = this.sizes[step]!;
      const chosen = order.subarray(seen, Math.min(samples.count, seen + size));
      const { inputs, targets } = this.gather(chosen, size, () =>
        Random.stream(options.seed, `augmentation ${epoch} ${step}`),
      );
      const rate = options.rate((epoch + step / steps) / options.epochs);
      const loss = await this.trainer.step(inputs, targets, rate);
      if (!Number.isFinite(loss)) {
        throw new DivergenceError(`the loss is ${loss} at step ${step + 1} of epoch ${epoch + 1}`);
      }
      sum += loss * chosen.length;
      seen += chosen.length;
      await afterStep(step + 1, loss);
    }
    this.checkFinite(epoch);
    return sum / seen;
  }

  dispose(): Promise<void> {
    return this.trainer.dispose();
  }

  /** The last step of an epoch can overflow without a loss that says so. */
  private checkFinite(epoch: number): void {
    for (const [name, value] of this.trainer.values) {
      if (value.every(Number.isFinite)) continue;
      throw new DivergenceError(`${name} is not finite after step ${this.steps} of epoch ${epoch + 1}`);
    }
  }

  /** The chosen samples as a batch of `size`, in arrays that are used again; rows past them weigh nothing. */
  private gather(
    chosen: Uint32Array,
    size: number,
    stream: () => Random,
  ): { inputs: Float32Array; targets: Float32Array } {
    const { samples, classes } = this;
    const { augmentation } = this.options;
    const width = elementCount(samples.sampleShape);
    const inputs = reused(this.inputs, size, width);
    const targets = reused(this.targets, size, classes).fill(0);
    const random = augmentation === undefined ? undefined : stream();
    chosen.forEach((sample, row) => {
      const source = samples.inputs.subarray(sample * width, (sample + 1) * width);
      const target = inputs.subarray(row * width, (row + 1) * width);
      if (augmentation === undefined || random === undefined) target.set(source);
      else augment(source, target, augmentation.image, augmentation, random);
      targets[row * classes + samples.labels[sample]!] = 1 / chosen.length;
    });
    inputs.fill(0, chosen.length * width);
    return { inputs, targets };
  }
}

function reused(arrays: Map<number, Float32Array>, size: number, width: number): Float32Array {
  let array = arrays.get(size);
  if (array === undefined) arrays.set(size, (array = new Float32Array(size * width)));
  return array;
}

/**
 * Trains a network, in mini-batches of the size it was built for.
 *
 * @returns the model with new weights; the one given stays as it is
 * @throws AnalysisError when the training diverges
 */
export async function train(
  engine: Engine,
  model: Model,
  samples: PreparedSamples,
  options: TrainingOptions,
  onEpoch: AfterEpoch = () => undefined,
): Promise<Model> {
  const training = await Training.create(engine, () => model, model.input.shape[0]!, samples, options);
  try {
    for (let epoch = 0; epoch < options.epochs; epoch++) await onEpoch(epoch + 1, await training.epoch(epoch));
    return training.trainer.trained;
  } finally {
    await training.dispose();
  }
}
