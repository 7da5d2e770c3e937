import { gradient, LOSS, moment, TARGETS, trainingProgram } from '../curvature/programs';
import type { CompiledGraph, Engine } from '../engine/engine';
import type { Model, Normalization, TrainingModel } from '../graph/model';
import { trainableParameters } from './trainable';
import { ParameterState } from './update';

/**
 * L1-regularised training by stochastic gradient descent with momentum (LOMP,
 * arXiv 2306.05857): over the mini-batches B,
 *
 *     g = ∇ (1/|B|) Σ_B −log softmax(logits)[label] + α·w
 *     subgradient:  v ← m·v + g + μ·sign(w)      w ← w − η·v
 *     proximal:     v ← m·v + g                  w ← S(w − η·v, η·μ/(1 − m))
 *
 * with sign(0) = 0, S(x, t) = sign(x)·max(|x| − t, 0), and μ on prunable
 * weights only. Both rest where g = −μ·sign(w): momentum makes 1/(1 − m) of a
 * steady gradient, and of the shrinkage nothing. α is on every parameter, as in PyTorch. Everything is
 * float32, as in PyTorch.
 *
 * Biases move too; of the parameters only the constants of a preprocessing do not. A network imported for
 * training normalises by the statistics of the batch, and the running ones
 * follow as in PyTorch, the variance without bias.
 */
export interface SgdOptions {
  /** m. */
  readonly momentum: number;
  /** μ, the coefficient of ‖w‖₁ over the prunable weights; 0 for none. */
  readonly l1: number;
  /** Subgradient when absent. */
  readonly l1Mode?: 'subgradient' | 'proximal';
  /** α; 0 when absent. */
  readonly weightDecay?: number;
  /** Of prunable weights, by name: 0 where a weight is zero and stays it. */
  readonly mask?: ReadonlyMap<string, Uint8Array>;
}

interface Compiled {
  readonly model: TrainingModel;
  readonly graph: CompiledGraph;
}

/** The state of a training: weights, velocities and running statistics, and the gradient that moves them. */
export class SgdTrainer {
  /** Weights and running statistics by name, which every step overwrites. */
  readonly values: ReadonlyMap<string, Float32Array>;
  /** v of every parameter that moves. */
  readonly velocities: ReadonlyMap<string, Float32Array>;
  private readonly gradients: ReadonlyMap<string, Float32Array>;
  private readonly states: ReadonlyMap<string, ParameterState>;
  private readonly penalised: ReadonlySet<string>;
  private readonly masked: ReadonlyMap<string, Int32Array>;
  private readonly feeds: Map<string, Float32Array>;

  private constructor(
    private readonly model: TrainingModel,
    private readonly options: SgdOptions,
    private readonly bySize: ReadonlyMap<number, Compiled>,
  ) {
    const moved = trainableParameters(model);
    const states = ParameterState.allocate(moved.map((name) => model.parameters.get(name)!.value.length));
    this.states = new Map(moved.map((name, i) => [name, states[i]!]));
    const statistics = model.normalizations.flatMap(({ mean, variance }) => [mean, variance]);
    this.values = new Map(
      [...model.parameters.values(), ...statistics].map(({ name, value }) => {
        const own = this.states.get(name)?.weights ?? new Float32Array(value.length);
        own.set(value);
        return [name, own];
      }),
    );
    this.velocities = new Map([...this.states].map(([name, { velocity }]) => [name, velocity]));
    this.gradients = new Map([...this.states].map(([name, { slope }]) => [gradient(name), slope]));
    this.penalised = new Set(model.layers.map(({ name }) => name));
    this.masked = new Map([...(options.mask ?? [])].map(([name, mask]) => [name, zerosOf(mask)]));
    this.feeds = new Map([...model.parameters.keys()].map((name) => [name, this.values.get(name)!]));
    this.applyMask();
  }

  /**
   * A training that begins at the first model's weights, which it copies.
   *
   * @param models the network at every batch size that steps are made with
   * @throws AnalysisError when the engine refuses the gradient
   */
  static async create(
    engine: Engine,
    models: readonly (Model | TrainingModel)[],
    options: SgdOptions,
  ): Promise<SgdTrainer> {
    const bySize = new Map<number, Compiled>();
    for (const given of models) {
      const model = 'normalizations' in given ? given : { ...given, normalizations: [] };
      const graph = await engine.compile(trainingProgram(model, trainableParameters(model)));
      bySize.set(model.input.shape[0]!, { model, graph });
    }
    const [first] = bySize.values();
    return new SgdTrainer(first!.model, options, bySize);
  }

  /** Takes up a training where it was. The names are those of `values` and `velocities`. */
  restore(values: ReadonlyMap<string, Float32Array>, velocities: ReadonlyMap<string, Float32Array>): void {
    for (const [name, value] of this.values) value.set(values.get(name)!);
    for (const [name, velocity] of this.velocities) velocity.set(velocities.get(name)!);
  }

  /** The model with the weights as they are now, copied. */
  get trained(): Model {
    const parameters = [...this.model.parameters].map(
      ([name, parameter]) => [name, { ...parameter, value: Float32Array.from(this.values.get(name)!) }] as const,
    );
    return { ...this.model, parameters: new Map(parameters) };
  }

  /**
   * One step at rate η, and the batch's loss before it, without penalty and
   * decay. Where that is not finite nothing moves.
   *
   * @param inputs [batch, …sampleShape], batch the size of one of the models
   * @param targets [batch, classes]: what each row's classes weigh in the mean
   */
  async step(inputs: Float32Array, targets: Float32Array, rate: number): Promise<number> {
    const classes = this.model.logits.shape[1]!;
    const { model, graph } = this.bySize.get(targets.length / classes)!;
    this.feeds.set(model.input.attributes.name, inputs).set(TARGETS, targets);
    const results = await graph.run(this.feeds, this.gradients);
    const loss = results.get(LOSS)![0]!;
    if (!Number.isFinite(loss)) return loss;
    for (const [name, state] of this.states) {
      const l1 = this.penalised.has(name) ? this.options.l1 : 0;
      this.move(state, rate, l1);
    }
    this.applyMask();
    for (const normalization of model.normalizations) this.follow(normalization, results);
    return loss;
  }

  async dispose(): Promise<void> {
    for (const { graph } of this.bySize.values()) await graph.dispose();
  }

  private move(state: ParameterState, rate: number, l1: number): void {
    const { momentum, weightDecay = 0, l1Mode = 'subgradient' } = this.options;
    state.descend(rate, momentum, weightDecay, l1Mode === 'subgradient' ? l1 : 0);
    if (l1Mode === 'proximal' && l1 > 0) state.shrink((rate * l1) / (1 - momentum));
  }

  private applyMask(): void {
    for (const [name, zeros] of this.masked) {
      const weights = this.values.get(name)!;
      const velocity = this.velocities.get(name)!;
      for (const i of zeros) weights[i] = velocity[i] = 0;
    }
  }

  /** running ← momentum·running + (1 − momentum)·batch. */
  private follow({ mean, variance, momentum, count }: Normalization, results: ReadonlyMap<string, Float32Array>): void {
    for (const [{ name }, factor] of [
      [mean, 1],
      [variance, count / (count - 1)],
    ] as const) {
      const running = this.values.get(name)!;
      const batch = results.get(moment(name))!;
      for (let i = 0; i < running.length; i++) {
        running[i] = momentum * running[i]! + (1 - momentum) * factor * batch[i]!;
      }
    }
  }
}

function zerosOf(mask: Uint8Array): Int32Array {
  return Int32Array.from([...mask.keys()].filter((i) => mask[i] === 0));
}
