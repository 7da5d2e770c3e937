import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Split } from '../../../protocol/analysis';
import type { TrainOptions, TrainSource } from '../../../protocol/train';
import type { MemoryGuard } from '../analysis/memory';
import type { Checkpoint } from '../checkpoint/checkpoint';
import { networkOf } from '../checkpoint/model';
import { importClassifier, importForTraining } from '../checkpoint/onnx/classifier';
import { decodeModel, type OnnxFile } from '../checkpoint/onnx/reader';
import { exportNetwork } from '../checkpoint/onnx/export';
import { checkWritable } from '../checkpoint/onnx/writable';
import { openCheckpoint } from '../checkpoint/open';
import type { Dataset, PreparedSamples } from '../dataset/dataset';
import { openDataset } from '../dataset/open';
import { checkLabels, prepareSamples } from '../dataset/prepare';
import { chooseSamples } from '../dataset/sampling';
import { InputError } from '../errors';
import type { Model, TrainingModel } from '../graph/model';
import type { Shape } from '../graph/ir';
import { elementCount, formatShape, sameShape } from '../graph/shapes';
import { freshNetwork } from './architectures/architectures';
import { imageLayout, type ImageLayout } from './augment';
import { checkOneFile } from './checkpoint-file';
import { maskOfZeros, readMask, type WeightMask } from './mask';

/** What is trained, and on what. */
export interface TrainSubject {
  /** Of the network's file, from which all checkpoints are made. */
  readonly bytes: Uint8Array;
  readonly path: string;
  /** The network in training, bound to a batch size. */
  network(batch: number): TrainingModel;
  /** In evaluation mode. */
  evaluated(batch: number): Model;
  readonly samples: PreparedSamples;
  readonly evaluation: PreparedSamples | null;
  /** Null where the samples are no images. */
  readonly image: ImageLayout | null;
  readonly mask: WeightMask | undefined;
  /** SHA-256 of network, training data and mask. */
  readonly digests: { readonly network: string; readonly data: string; readonly mask: string };
}

/**
 * Reads network, data and mask and fits them to each other.
 *
 * @throws InputError for whatever is wrong with one of them
 */
export async function openTrainSubject(
  source: TrainSource,
  options: TrainOptions,
  memory: MemoryGuard,
): Promise<TrainSubject> {
  const known = source.kind === 'checkpoint' ? await openCheckpoint(source.path) : undefined;
  const dataset = await openDataset(options.data.path, options.data.split);
  const other = options.evaluation === null ? null : await evaluationSet(options, options.evaluation, dataset);
  const classes = Math.max(dataset.classes, other?.classes ?? 0);
  const { bytes, file } =
    known === undefined
      ? fresh(source as FreshSource, dataset, classes, options.seed)
      : await onnxOf(known, source as KnownSource, dataset.sampleShape);
  const model = importForTraining(file, { batch: 2 });
  const statistics = model.normalizations.flatMap(({ mean, variance }) => [mean.name, variance.name]);
  checkWritable(file, [...model.parameters.keys(), ...statistics]);
  const outputs = model.logits.shape[1]!;
  checkLabels(dataset, outputs);
  if (other !== null) checkLabels(other, outputs);
  const sampleShape = model.input.shape.slice(1);
  const prepare = (from: Dataset, indices: Int32Array): PreparedSamples => {
    const size = 4 * indices.length * elementCount(sampleShape);
    memory.expect(size, `${indices.length} samples of ${formatShape(sampleShape)}`, 'lower --samples');
    return prepareSamples(from, indices, options.data, sampleShape);
  };
  const mask =
    options.mask === 'none'
      ? undefined
      : options.mask === 'zeros'
        ? maskOfZeros(model)
        : await readMask(options.mask.path, model);
  return {
    bytes,
    path: file.path,
    network: (batch) => importForTraining(file, { batch }),
    evaluated: (batch) => importClassifier(file, { batch }),
    samples: prepare(dataset, chooseSamples(dataset, options.data.samples, options.seed)),
    evaluation: other === null ? null : prepare(other, chooseSamples(other, 'all', options.seed)),
    image: imageOf(dataset, options, sampleShape),
    mask,
    digests: {
      network: digest([bytes]),
      data: digest([dataset.values, dataset.labels]),
      mask: digest([...(mask ?? [])].flatMap(([name, values]) => [Buffer.from(name), values])),
    },
  };
}

/** The network as an ONNX file, which it is trained as whatever its own format is. */
async function onnxOf(
  checkpoint: Checkpoint,
  { path, architecture, graph }: KnownSource,
  sample: Shape,
): Promise<{ bytes: Uint8Array; file: OnnxFile }> {
  const network = await networkOf(checkpoint, { architecture, graph, sample });
  if (network.container === 'onnx') {
    const bytes = await readFile(path);
    checkOneFile(network, bytes);
    return { bytes, file: network };
  }
  const bytes = await exportNetwork(network, graph);
  return { bytes, file: decodeModel(bytes, path) };
}

type KnownSource = Extract<TrainSource, { kind: 'checkpoint' }>;
type FreshSource = Extract<TrainSource, { kind: 'architecture' }>;

function fresh(
  { name }: FreshSource,
  { sampleShape }: Dataset,
  classes: number,
  seed: number,
): { bytes: Uint8Array; file: OnnxFile } {
  const bytes = freshNetwork(name, sampleShape, classes, seed);
  return { bytes, file: decodeModel(bytes, name) };
}

async function evaluationSet({ data }: TrainOptions, split: Split, dataset: Dataset): Promise<Dataset> {
  if (split === data.split) return dataset;
  try {
    return await openDataset(data.path, split);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`${error.message}; or train without it: --evaluate none`);
  }
}

/** Images are [C, H, W] in the data set, and so they are where the network flattens them, unless it wants channels last. */
function imageOf(
  { sampleShape }: Dataset,
  { data, crop, flip }: TrainOptions,
  wanted: readonly number[],
): ImageLayout | null {
  const { mean, deviation } = data.normalize ?? { mean: [0], deviation: [1] };
  if (sampleShape.length !== 3) {
    if (crop === 0 && !flip) return null;
    throw new InputError(
      `no images: samples ${formatShape(sampleShape)} (${data.path}); train without --crop and --flip`,
    );
  }
  const [channels, height, width] = sampleShape as [number, number, number];
  const last = [height, width, channels];
  const nhwc = data.layout === 'nhwc' || (sameShape(last, wanted) && !sameShape(sampleShape, wanted));
  const padding = Array.from(
    { length: channels },
    (_, c) => -mean[c % mean.length]! / deviation[c % deviation.length]!,
  );
  return imageLayout(nhwc ? last : sampleShape, nhwc, padding);
}

function digest(parts: readonly ArrayBufferView[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  return hash.digest('hex');
}
