import { gradient, gradientProgram, LOSS, TARGETS } from '../curvature/programs';
import type { PreparedSamples } from '../dataset/dataset';
import type { CompiledGraph, Engine } from '../engine/engine';
import { AnalysisError } from '../errors';
import type { Model, Parameter } from '../graph/model';
import { elementCount } from '../graph/shapes';
import { Random } from '../random';

/**
 * L1-regularised training by stochastic gradient descent with momentum (LOMP,
 * arXiv 2306.05857): over the mini-batches B,
 *
 *     g = ∇ (1/|B|) Σ_B −log softmax(logits)[label] + μ·sign(w)   (μ on prunable weights only)
 *     v ← m·v + g
 *     w ← w − η·v
 *
 * with sign(0) = 0. Weights are float32, and so is v. Every parameter of the
 * network moves, biases too. Normalisation is in evaluation mode, as everywhere
 * here: its statistics are parameters like any other.
 */
export interface SgdOptions {
  /** m. */
  readonly momentum: number;
  /** μ, the coefficient of ‖w‖₁ over the prunable weights; 0 for none. */
  readonly l1: number;
}

/** η from the part of the training that is done, 0 at the first step and below 1 at the last. */
export type LearningRate = (progress: number) => number;

/** From `rate` down to 0 along half a cosine (Loshchilov & Hutter 2017). */
export function cosineRate(rate: number): LearningRate {
  return (progress) => (rate * (1 + Math.cos(Math.PI * progress))) / 2;
}

/** The state of a training: weights and velocities, and the gradient that moves them. */
export class SgdTrainer {
  /** The weights, which every step overwrites. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  private readonly velocities: ReadonlyMap<string, Float32Array>;
  private readonly feeds = new Map<string, Float32Array>();
  private readonly penalised: ReadonlySet<string>;

  private constructor(
    private readonly model: Model,
    private readonly options: SgdOptions,
    private readonly graph: CompiledGraph,
  ) {
    this.parameters = new Map(
      [...model.parameters].map(([name, parameter]) => [
        name,
        { ...parameter, value: Float32Array.from(parameter.value) },
      ]),
    );
    this.velocities = new Map([...model.parameters].map(([name, { value }]) => [name, new Float32Array(value.length)]));
    this.penalised = new Set(model.layers.map(({ name }) => name));
    for (const [name, { value }] of this.parameters) this.feeds.set(name, value);
  }

  /**
   * A training that begins at the model's weights, which it copies.
   *
   * @throws AnalysisError when the engine refuses the gradient
   */
  static async create(engine: Engine, model: Model, options: SgdOptions): Promise<SgdTrainer> {
    const graph = await engine.compile(gradientProgram(model, [...model.parameters.keys()]));
    return new SgdTrainer(model, options, graph);
  }

  /** The model with the weights as they are now, copied. */
  get trained(): Model {
    const parameters = [...this.parameters].map(
      ([name, parameter]) => [name, { ...parameter, value: Float32Array.from(parameter.value) }] as const,
    );
    return { ...this.model, parameters: new Map(parameters) };
  }

  /**
   * One step at rate η, and the batch's loss before it, without the penalty.
   *
   * @param inputs [batch, …sampleShape]
   * @param targets [batch, classes]: what each row's classes weigh in the mean
   * @throws AnalysisError when the loss is not finite
   */
  async step(inputs: Float32Array, targets: Float32Array, rate: number): Promise<number> {
    this.feeds.set(this.model.input.attributes.name, inputs).set(TARGETS, targets);
    const results = await this.graph.run(this.feeds);
    const loss = results.get(LOSS)![0]!;
    if (!Number.isFinite(loss)) {
      throw new AnalysisError(`training diverged: the loss is ${loss}; lower the learning rate`);
    }
    for (const [name, { value }] of this.parameters) {
      const l1 = this.penalised.has(name) ? this.options.l1 : 0;
      move(value, this.velocities.get(name)!, results.get(gradient(name))!, rate, this.options.momentum, l1);
    }
    return loss;
  }

  dispose(): Promise<void> {
    return this.graph.dispose();
  }
}

/** v ← m·v + g + μ·sign(w), w ← w − η·v, in place. */
function move(
  weights: Float32Array,
  velocity: Float32Array,
  slope: Float32Array,
  rate: number,
  momentum: number,
  l1: number,
): void {
  for (let i = 0; i < weights.length; i++) {
    const v = momentum * velocity[i]! + slope[i]! + l1 * Math.sign(weights[i]!);
    velocity[i] = v;
    weights[i]! -= rate * v;
  }
}

export interface TrainingOptions extends SgdOptions {
  readonly epochs: number;
  readonly rate: LearningRate;
  /** Of the order of the samples. */
  readonly seed: number;
}

/** Called after every epoch with its number, from 1, and the mean loss of its batches as they were trained on. */
export type AfterEpoch = (epoch: number, loss: number) => void | Promise<void>;

/**
 * Trains a network, in mini-batches of the size it was built for, each epoch in
 * an order of its own; a last batch that is smaller counts by its own mean. The
 * same seed, samples and engine (with a fixed number of threads) give the same
 * bytes.
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
  const [size, classes] = model.logits.shape as [number, number];
  const perEpoch = Math.ceil(samples.count / size);
  const trainer = await SgdTrainer.create(engine, model, options);
  try {
    for (let epoch = 0; epoch < options.epochs; epoch++) {
      const order = Random.stream(options.seed, `epoch ${epoch}`).permutation(samples.count);
      let loss = 0;
      for (let batch = 0; batch < perEpoch; batch++) {
        const chosen = order.subarray(batch * size, (batch + 1) * size);
        const { inputs, targets } = gatherBatch(samples, chosen, size, classes);
        const rate = options.rate((epoch + batch / perEpoch) / options.epochs);
        loss += ((await trainer.step(inputs, targets, rate)) * chosen.length) / samples.count;
      }
      await onEpoch(epoch + 1, loss);
    }
    return trainer.trained;
  } finally {
    await trainer.dispose();
  }
}

/** The chosen samples as a batch of `size`; rows past them weigh nothing. */
function gatherBatch(
  samples: PreparedSamples,
  chosen: Uint32Array,
  size: number,
  classes: number,
): { inputs: Float32Array; targets: Float32Array } {
  const width = elementCount(samples.sampleShape);
  const inputs = new Float32Array(size * width);
  const targets = new Float32Array(size * classes);
  chosen.forEach((sample, row) => {
    inputs.set(samples.inputs.subarray(sample * width, (sample + 1) * width), row * width);
    targets[row * classes + samples.labels[sample]!] = 1 / chosen.length;
  });
  return { inputs, targets };
}
