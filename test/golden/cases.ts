import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { openModel } from '../../server/src/checkpoint/model';
import { parameterLayout, type ParameterLayout } from '../../server/src/curvature/parameters';
import type { PreparedSamples } from '../../server/src/dataset/dataset';
import { openDataset } from '../../server/src/dataset/open';
import { prepareSamples, type Preprocessing } from '../../server/src/dataset/prepare';
import type { Model } from '../../server/src/graph/model';
import { elementCount } from '../../server/src/graph/shapes';
import { Random } from '../../server/src/random';
import { resnet18 } from '../models/resnet18';
import { sharedData, withoutSharedData } from '../outside';

/** A network and samples for which the products with one direction are known from PyTorch. */
export interface GoldenCase {
  /** Of the golden file, and of the network in `networks.py`. */
  readonly name: string;
  /** Why it cannot be run here, or false. */
  readonly skip: string | false;
  /** How many samples were looked at. */
  readonly candidates: number;
  /**
   * Which of them are used: not those with a ReLU whose kink is within ten
   * rounding errors (`kinks.py`). There the derivative is not defined to
   * float32: a sign that comes out differently moves the gradient of ResNet-18
   * by 4·10⁻⁴, in PyTorch's own float32 just as much, and says nothing of a
   * formula.
   */
  readonly chosen: readonly number[];
  /** Samples per engine run; it need not divide their number. */
  readonly batch: number;
  /** @param batch that the network is bound to */
  model(batch: number): Promise<Model>;
  prepared(model: Model, indices: Int32Array): Promise<PreparedSamples>;
}

/** The first samples of a data set under ../shared/data, and a checkpoint there. */
function stored(
  paths: { readonly checkpoint: string; readonly data: string },
  preprocessing: Preprocessing,
  choice: Pick<GoldenCase, 'name' | 'candidates' | 'chosen' | 'batch'>,
): GoldenCase {
  const place = (path: string) => join(sharedData()!, path);
  return {
    ...choice,
    skip: withoutSharedData(),
    model: async (batch) => openModel(place(paths.checkpoint), { batch }),
    prepared: async (model, indices) => {
      const dataset = await openDataset(place(paths.data), 'test');
      return prepareSamples(dataset, indices, preprocessing, model.input.shape.slice(1));
    },
  };
}

function allBut(count: number, sample: number): number[] {
  return Array.from({ length: count }, (_, i) => i).filter((i) => i !== sample);
}

const CIFAR = { mean: [0.4914, 0.4822, 0.4465], deviation: [0.2471, 0.2435, 0.2616] };

export const goldenCases: readonly GoldenCase[] = [
  stored(
    { checkpoint: 'checkpoints/onnx/vnncomp/resnet_2b.onnx', data: 'datasets/cifar10/test.bin' },
    { scale: 255, normalize: CIFAR },
    { name: 'resnet_2b', candidates: 100, chosen: allBut(100, 37), batch: 32 },
  ),
  stored(
    { checkpoint: 'checkpoints/onnx/mnist_zoo/model.onnx', data: 'datasets/mnist' },
    { scale: 255 },
    { name: 'mnist_zoo', candidates: 200, chosen: allBut(200, 4), batch: 64 },
  ),
  // Made up from seeds, weights and samples alike, so that it can be run everywhere.
  {
    name: 'resnet18',
    skip: false,
    candidates: 96,
    chosen: [8, 11, 23, 31, 42, 57, 58, 68],
    batch: 8,
    model: (batch) => Promise.resolve(resnet18(batch)),
    prepared: (model, indices) => {
      const sampleShape = model.input.shape.slice(1);
      const width = elementCount(sampleShape);
      const inputs = new Float32Array(indices.length * width);
      const labels = new Int32Array(indices.length);
      indices.forEach((index, row) => {
        const random = Random.stream(index, 'golden sample');
        labels[row] = random.below(10);
        for (let i = row * width; i < (row + 1) * width; i++) inputs[i] = 2 * random.uniform() - 1;
      });
      return Promise.resolve({ count: indices.length, sampleShape, inputs, labels });
    },
  },
];

/** Everything that a golden value depends on. */
export interface GoldenInputs {
  readonly model: Model;
  readonly layout: ParameterLayout;
  readonly samples: PreparedSamples;
  /** Signs, length D. */
  readonly direction: Float32Array;
  readonly fingerprint: string;
}

/** @param all with the samples at kinks too, to find them */
export async function goldenInputs(golden: GoldenCase, all = false): Promise<GoldenInputs> {
  const model = await golden.model(golden.batch);
  const layout = parameterLayout(model);
  const indices = all ? Array.from({ length: golden.candidates }, (_, i) => i) : golden.chosen;
  const samples = await golden.prepared(model, Int32Array.from(indices));
  const direction = Random.stream(1, 'golden direction').rademacher(layout.dimension);
  const digest = fingerprint(model, [samples.inputs, samples.labels, direction]);
  return { model, layout, samples, direction, fingerprint: digest };
}

/** SHA-256 over the parameters and what else is given: goldens of other inputs are not to be compared. */
export function fingerprint(model: Model, others: readonly ArrayBufferView[]): string {
  const hash = createHash('sha256');
  for (const { value } of model.parameters.values()) hash.update(bytesOf(value));
  for (const array of others) hash.update(bytesOf(array));
  return hash.digest('hex');
}

/** The bytes of an array as the machine has them: little-endian wherever this runs. */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
