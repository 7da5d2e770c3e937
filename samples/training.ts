import { Evaluator } from '../server/src/analysis/evaluator';
import { makeBatches } from '../server/src/curvature/batches';
import { flatWeights, parameterLayout } from '../server/src/curvature/parameters';
import type { PreparedSamples } from '../server/src/dataset/dataset';
import { openDataset } from '../server/src/dataset/open';
import { prepareSamples } from '../server/src/dataset/prepare';
import type { Engine } from '../server/src/engine/engine';
import type { Model } from '../server/src/graph/model';

/** All samples of one split as the network takes them, bytes scaled to [0, 1]. */
export async function samplesFor(model: Model, path: string, split: 'train' | 'test'): Promise<PreparedSamples> {
  const dataset = await openDataset(path, split);
  const all = Int32Array.from({ length: dataset.count }, (_, i) => i);
  return prepareSamples(dataset, all, { scale: 255 }, model.input.shape.slice(1));
}

/** How good a network is on samples: the mean cross entropy in nats, and the correct predictions. */
export async function evaluate(
  engine: Engine,
  model: Model,
  samples: PreparedSamples,
): Promise<{ readonly loss: number; readonly correct: number; readonly total: number }> {
  const [batch, classes] = model.logits.shape as [number, number];
  const layout = parameterLayout(model);
  const batches = makeBatches(samples, batch, classes);
  const evaluator = await Evaluator.create(engine, { model, layout, batches, samples: samples.count, classes });
  const { loss, correct } = await evaluator.evaluate(flatWeights(model, layout));
  await evaluator.dispose();
  return { loss, correct, total: samples.count };
}
