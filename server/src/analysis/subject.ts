import { stat } from 'node:fs/promises';
import type { AnalysisRequest } from '../../../protocol/analysis';
import { toModel } from '../checkpoint/model';
import { openCheckpoint } from '../checkpoint/open';
import { makeBatches, type Batch } from '../curvature/batches';
import { flatWeights, parameterLayout, type ParameterLayout } from '../curvature/parameters';
import type { Dataset, PreparedSamples } from '../dataset/dataset';
import { openDataset } from '../dataset/open';
import { checkLabels, prepareSamples } from '../dataset/prepare';
import { chooseSamples, samplingOrder } from '../dataset/sampling';
import { InputError } from '../errors';
import { InputWatch } from '../files/inputs';
import type { Model } from '../graph/model';
import { elementCount, formatShape } from '../graph/shapes';
import type { MemoryGuard } from './memory';

/** What an analysis works on: a network and the samples that define its loss. */
export interface Subject {
  readonly model: Model;
  readonly layout: ParameterLayout;
  /** The prunable weights, length D. */
  readonly weights: Float32Array;
  readonly totalParameters: number;
  readonly dataset: Dataset;
  readonly batches: readonly Batch[];
  readonly samples: number;
  readonly classes: number;
  /** Samples per batch. */
  readonly batch: number;
  /** The files that it was read from. */
  readonly inputs: InputWatch;
  /** The same samples cut into batches of another size, and the network bound to it. */
  withBatch(batch: number): Promise<Subject>;
  /**
   * The same network on those of its samples that were chosen as the `first` and
   * later, up to `end`, without it: every class has its share in them, and parts
   * that begin at 0 are what a smaller number of samples would have chosen.
   */
  part(first: number, end: number): Subject;
}

/**
 * Reads checkpoint and data and fits one to the other.
 *
 * @throws InputError for whatever is wrong with either
 */
export async function openSubject(request: AnalysisRequest, memory: MemoryGuard): Promise<Subject> {
  const { checkpoint, options } = request;
  await expectCheckpoint(checkpoint, memory);
  const test = options.measure?.testData;
  const data = test === undefined ? [options.data.path] : [options.data.path, test];
  const inputs = await InputWatch.begin(checkpoint, data, options.graph);
  const file = await openCheckpoint(checkpoint);
  const dataset = await openDataset(options.data.path, options.data.split, options.data);
  const indices = chooseSamples(dataset, options.data.samples, options.seed);
  const batch = Math.max(1, Math.min(options.batch, indices.length));
  const { architecture, graph } = options;
  const open = (size: number) => toModel(file, { batch: size, sample: dataset.sampleShape, architecture, graph });
  const model = await open(batch);
  checkFinite(model);
  const layout = parameterLayout(model);
  const classes = model.logits.shape[1]!;
  checkLabels(dataset, classes);
  const sampleShape = model.input.shape.slice(1);
  memory.expect(
    4 * indices.length * elementCount(sampleShape),
    `${indices.length} samples of ${formatShape(sampleShape)}`,
    'lower --samples',
  );
  const samples = prepareSamples(dataset, indices, options.data, sampleShape);
  await inputs.expectUnchanged();
  const subject = {
    inputs,
    layout,
    weights: flatWeights(model, layout),
    totalParameters: [...model.parameters.values()].reduce((sum, { value }) => sum + value.length, 0),
    dataset,
    classes,
  };
  // Sorting tens of thousands of samples is for those who ask for parts.
  let places: Int32Array | undefined;
  const bound = (network: Model, size: number, chosen: PreparedSamples, start: number): Subject => ({
    ...subject,
    model: network,
    batches: makeBatches(chosen, size, classes),
    samples: chosen.count,
    batch: size,
    async withBatch(other) {
      const network = await open(other);
      // Weights may be read anew for it.
      await inputs.expectUnchanged();
      return bound(network, other, chosen, start);
    },
    part(first, end) {
      places ??= placesInOrder(samplingOrder(dataset, options.seed), indices);
      return bound(network, size, gather(samples, places.subarray(start + first, start + end)), start + first);
    },
  });
  return bound(model, batch, samples, 0);
}

/** Where the first samples of `order`, as many as `indices` has, stand in `indices`. */
function placesInOrder(order: Int32Array, indices: Int32Array): Int32Array {
  const places = new Int32Array(order.length);
  indices.forEach((index, place) => (places[index] = place));
  return order.slice(0, indices.length).map((index) => places[index]!);
}

/** Copies of the samples at `places`, in that order. */
function gather({ sampleShape, inputs, labels }: PreparedSamples, places: Int32Array): PreparedSamples {
  const width = elementCount(sampleShape);
  const chosen = new Float32Array(places.length * width);
  places.forEach((place, i) => chosen.set(inputs.subarray(place * width, (place + 1) * width), i * width));
  return { count: places.length, sampleShape, inputs: chosen, labels: places.map((place) => labels[place]!) };
}

/** A checkpoint is held as it is stored and as the weights it decodes to. */
async function expectCheckpoint(path: string, memory: MemoryGuard): Promise<void> {
  // Where there is none, its reader says so.
  const size = await stat(path).then(
    (status) => status.size,
    () => 0,
  );
  memory.expect(2 * size, `the weights of ${path}`, 'choose a smaller network');
}

function checkFinite(model: Model): void {
  for (const { name, value } of model.parameters.values()) {
    const bad = value.findIndex((x) => !Number.isFinite(x));
    if (bad >= 0) {
      throw new InputError(
        `weights not finite: ${name} holds ${value[bad]} at ${bad} in ${model.source}; analyse a checkpoint from before the training diverged`,
      );
    }
  }
}
