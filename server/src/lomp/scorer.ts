import type { Score } from '../../../protocol/train';
import { argMax, crossEntropy } from '../analysis/evaluator';
import { makeBatches, type Batch } from '../curvature/batches';
import { forwardProgram, LOGITS } from '../curvature/programs';
import type { PreparedSamples } from '../dataset/dataset';
import type { CompiledGraph, Engine } from '../engine/engine';
import type { Model } from '../graph/model';

/** Loss and accuracy of a network in evaluation mode, with whatever values its parameters have. */
export class Scorer {
  private constructor(
    private readonly model: Model,
    private readonly graph: CompiledGraph,
    private readonly batches: readonly Batch[],
    private readonly total: number,
  ) {}

  /** @param model in evaluation mode, bound to the batch size to be used */
  static async create(engine: Engine, model: Model, samples: PreparedSamples): Promise<Scorer> {
    const [batch, classes] = model.logits.shape as [number, number];
    const graph = await engine.compile(forwardProgram(model));
    return new Scorer(model, graph, makeBatches(samples, batch, classes), samples.count);
  }

  /** @param values of the parameters, running statistics included */
  async score(values: ReadonlyMap<string, Float32Array>): Promise<Score> {
    const classes = this.model.logits.shape[1]!;
    const feeds = new Map<string, Float32Array>();
    for (const name of this.model.parameters.keys()) feeds.set(name, values.get(name)!);
    let loss = 0;
    let correct = 0;
    for (const { inputs, labels } of this.batches) {
      feeds.set(this.model.input.attributes.name, inputs);
      const logits = (await this.graph.run(feeds)).get(LOGITS)!;
      labels.forEach((label, row) => {
        const scores = logits.subarray(row * classes, (row + 1) * classes);
        loss += crossEntropy(scores, label);
        if (argMax(scores) === label) correct++;
      });
    }
    return { loss: loss / this.total, correct, total: this.total };
  }

  dispose(): Promise<void> {
    return this.graph.dispose();
  }
}
