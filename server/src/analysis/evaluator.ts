import { LOGITS, forwardProgram, gradient, gradientProgram, LOSS, TARGETS } from '../curvature/programs';
import type { CompiledGraph, Engine } from '../engine/engine';
import { InputError } from '../errors';
import type { Parameter } from '../graph/model';
import type { Subject } from './subject';

/** What is evaluated: a network and samples, of which an analysis knows more. */
export type Evaluated = Pick<Subject, 'model' | 'layout' | 'batches' | 'samples' | 'classes'>;

export interface Evaluation {
  /** Mean cross entropy over the samples, in nats. */
  readonly loss: number;
  /** Correct predictions. */
  readonly correct: number;
  /** Cross entropy per sample. */
  readonly losses: Float64Array;
  /** Per sample 1 where the prediction is correct. */
  readonly hits: Uint8Array;
}

/** Called after every batch. */
export type AfterBatch = () => void | Promise<void>;

/** Loss and accuracy of the network with any values of its prunable weights. */
export class Evaluator {
  private constructor(
    private readonly subject: Evaluated,
    private readonly graph: CompiledGraph,
    private readonly afterBatch: AfterBatch,
  ) {}

  static async create(
    engine: Engine,
    subject: Evaluated,
    afterBatch: AfterBatch = () => undefined,
  ): Promise<Evaluator> {
    const graph = await engine.compile(forwardProgram(subject.model), { parameters: fixedParameters(subject) });
    return new Evaluator(subject, graph, afterBatch);
  }

  /** The loss is computed from float32 logits in float64. */
  async evaluate(weights: Float32Array): Promise<Evaluation> {
    const { model, layout, batches, samples, classes } = this.subject;
    const feeds = new Map<string, Float32Array>();
    for (const { name, offset, length } of layout.layers) feeds.set(name, weights.subarray(offset, offset + length));
    const losses = new Float64Array(samples);
    const hits = new Uint8Array(samples);
    let correct = 0;
    let at = 0;
    for (const batch of batches) {
      feeds.set(model.input.attributes.name, batch.inputs);
      const logits = (await this.graph.run(feeds)).get(LOGITS)!;
      batch.labels.forEach((label, row) => {
        const scores = logits.subarray(row * classes, (row + 1) * classes);
        losses[at] = crossEntropy(scores, label);
        hits[at] = argMax(scores) === label ? 1 : 0;
        correct += hits[at++]!;
      });
      await this.afterBatch();
    }
    return { loss: losses.reduce((sum, loss) => sum + loss, 0) / samples, correct, losses, hits };
  }

  /** The same compiled network on other samples; disposed of with this one. */
  on(samples: Pick<Evaluated, 'batches' | 'samples'>, afterBatch: AfterBatch): Evaluator {
    return new Evaluator({ ...this.subject, ...samples }, this.graph, afterBatch);
  }

  dispose(): Promise<void> {
    return this.graph.dispose();
  }
}

/** Gradient of the mean loss in the prunable weights, length D. */
export async function lossGradient(engine: Engine, subject: Subject, afterBatch: AfterBatch): Promise<Float64Array> {
  const { model, layout, batches } = subject;
  const graph = await engine.compile(gradientProgram(model), { parameters: model.parameters });
  const sum = new Float64Array(layout.dimension);
  let loss = 0;
  for (const batch of batches) {
    const feeds = new Map([
      [model.input.attributes.name, batch.inputs],
      [TARGETS, batch.targets],
    ]);
    const results = await graph.run(feeds);
    loss += results.get(LOSS)![0]!;
    for (const { name, offset, length } of layout.layers) {
      const part = results.get(gradient(name))!;
      for (let i = 0; i < length; i++) sum[offset + i]! += part[i]!;
    }
    await afterBatch();
  }
  await graph.dispose();
  if (!Number.isFinite(loss) || sum.some((x) => !Number.isFinite(x))) {
    throw new InputError(
      `gradient not finite: ${model.source} overflows on these samples; check the preprocessing (--scale, --normalize)`,
    );
  }
  return sum;
}

/** Everything but the prunable weights, which are fed. */
function fixedParameters({ model, layout }: Evaluated): Map<string, Parameter> {
  const fixed = new Map(model.parameters);
  for (const { name } of layout.layers) fixed.delete(name);
  return fixed;
}

/** −log softmax(scores)[label]. */
export function crossEntropy(scores: Float32Array, label: number): number {
  let largest = -Infinity;
  for (const score of scores) largest = Math.max(largest, score);
  let total = 0;
  for (const score of scores) total += Math.exp(score - largest);
  return Math.log(total) + largest - scores[label]!;
}

/** Index of the largest, the first of equals. */
export function argMax(scores: Float32Array): number {
  let best = 0;
  for (let i = 1; i < scores.length; i++) if (scores[i]! > scores[best]!) best = i;
  return best;
}
