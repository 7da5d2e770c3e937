import type { DataOptions } from '../../../protocol/analysis';
import { InputError } from '../errors';
import { allocate } from '../files/source';
import type { Shape } from '../graph/ir';
import { emptyDataset } from './assemble';
import type { Dataset, PreparedSamples } from './dataset';
import { showShape } from './elements';

export type Preprocessing = Pick<DataOptions, 'scale' | 'normalize' | 'layout'>;

/**
 * The samples at `indices`, as the network wants them:
 *
 * 1. every value is divided by `scale`;
 * 2. (x − mean)/deviation per channel, with one value for all channels or one
 *    for each: the first axis of an image, every column of a table;
 * 3. channels move last when the network's layout is NHWC;
 * 4. the sample takes the network's shape, as far as that only merges or
 *    splits neighbouring axes: [1, 28, 28] becomes [784], [28, 28, 1] or
 *    [1, 784, 1], and [3, 32, 20] never [3, 20, 32].
 *
 * The layout is `options.layout`, and otherwise inferred: it is NHWC when the
 * network takes [H, W, C] and an image is [C, H, W], and these differ. A flat
 * input says nothing, so that there an image is flattened channels first
 * unless `options.layout` is `nhwc`.
 *
 * @param inputShape the network's input without its batch axis
 * @throws InputError when shapes, channels or options do not fit, when nothing
 * is chosen, or when a value is not finite
 */
export function prepareSamples(
  dataset: Dataset,
  indices: Int32Array,
  options: Preprocessing,
  inputShape: Shape,
): PreparedSamples {
  const { sampleShape: shape, source } = dataset;
  if (dataset.count === 0 || indices.length === 0) throw emptyDataset(source);
  const size = product(shape);
  if (size !== product(inputShape)) {
    throw new InputError(
      `data do not fit the network: samples ${showShape(shape)} (${size} values, ${source}), ` +
        `input ${showShape(inputShape)} (${product(inputShape)} values); choose the data it was trained with`,
    );
  }
  const last = channelsLast(dataset, options.layout, inputShape);
  const channels = shape.length === 2 ? 1 : shape[0]!;
  const { mean, deviation } = normalisation(options, channels, dataset);
  const place = last ? movedLast(shape) : undefined;

  const inputs = allocate(Float32Array, indices.length * size, 4, source);
  const labels = new Int32Array(indices.length);
  const perChannel = size / channels;
  for (const [i, index] of indices.entries()) {
    if (!(index >= 0 && index < dataset.count)) throw new RangeError(`sample index out of range: ${index}`);
    labels[i] = dataset.labels[index]!;
    const from = index * size;
    const to = i * size;
    let at = 0;
    for (let c = 0; c < channels; c++) {
      const centre = mean[c]!;
      const unit = deviation[c]!;
      for (let p = 0; p < perChannel; p++, at++) {
        const target = to + (place === undefined ? at : place[at]!);
        inputs[target] = (dataset.values[from + at]! / options.scale - centre) / unit;
        // Read back, as a double may be finite where its float is not.
        if (!Number.isFinite(inputs[target])) throw notFinite(dataset, index, at);
      }
    }
  }
  return { count: indices.length, sampleShape: inputShape, inputs, labels };
}

/**
 * @param classes number of classes the network tells apart
 * @throws InputError when a label lies beyond them
 */
export function checkLabels(dataset: Dataset, classes: number): void {
  if (dataset.classes <= classes) return;
  const sample = dataset.labels.findIndex((label) => label >= classes);
  const fromOne = dataset.classes === classes + 1 && !dataset.labels.includes(0);
  throw new InputError(
    `label outside the network's classes: ${dataset.labels[sample]} (sample ${sample}, ${dataset.source}), ` +
      `the network has ${classes}; ` +
      (fromOne ? 'number the classes from 0' : 'choose the data it was trained with'),
  );
}

function channelsLast({ sampleShape, source }: Dataset, layout: Preprocessing['layout'], inputShape: Shape): boolean {
  const image = sampleShape.length === 3;
  const moved = image ? [sampleShape[1]!, sampleShape[2]!, sampleShape[0]!] : sampleShape;
  const first = reshapes(sampleShape, inputShape);
  const last = image && reshapes(moved, inputShape);
  const matches = (shape: Shape): boolean => showShape(withoutOnes(shape)) === showShape(withoutOnes(inputShape));
  // Where an image axis order is recognisable, an option that says otherwise scrambles pixels.
  const exactLast = image && matches(moved) && !matches(sampleShape);
  const exactFirst = image && matches(sampleShape) && !matches(moved);
  const nhwc = layout === undefined ? exactLast : layout === 'nhwc';
  if (sampleShape[0] !== 1 && ((nhwc && exactFirst) || (!nhwc && exactLast))) {
    throw new InputError(
      `layout wrong: ${layout} for network input ${showShape(inputShape)} and samples ${showShape(sampleShape)} ` +
        `(${source}); set the layout to ${nhwc ? 'nchw' : 'nhwc'} or remove it`,
    );
  }
  if (!(nhwc && image ? last : first)) {
    throw new InputError(
      `data do not fit the network: samples ${showShape(sampleShape)} (${source}) and input ${showShape(inputShape)} ` +
        'have other axes; choose the data it was trained with',
    );
  }
  return nhwc && image && sampleShape[0] !== 1;
}

/** Whether `to` comes from `from` by merging neighbouring axes alone or splitting axes alone; axes of 1 are free. */
function reshapes(from: Shape, to: Shape): boolean {
  const a = new Set(prefixes(from));
  const b = new Set(prefixes(to));
  return [...a].every((cut) => b.has(cut)) || [...b].every((cut) => a.has(cut));
}

function withoutOnes(shape: Shape): Shape {
  return shape.filter((length) => length !== 1);
}

function prefixes(shape: Shape): number[] {
  let running = 1;
  return [1, ...shape.map((length) => (running *= length))];
}

/** Where each element of a [C, H, W] sample stands in [H, W, C]. */
function movedLast(shape: Shape): Int32Array {
  const channels = shape[0]!;
  const pixels = product(shape) / channels;
  return Int32Array.from({ length: channels * pixels }, (_, at) => (at % pixels) * channels + Math.floor(at / pixels));
}

/** The options, checked, with one mean and one deviation per channel. */
function normalisation(
  options: Preprocessing,
  channels: number,
  { sampleShape, source }: Dataset,
): { mean: readonly number[]; deviation: readonly number[] } {
  const { scale, normalize } = options;
  if (!Number.isFinite(scale) || scale === 0) {
    throw new InputError(`scale out of range: ${scale}; choose a number other than 0, such as 255 for bytes`);
  }
  const { mean, deviation } = normalize ?? { mean: [0], deviation: [1] };
  for (const [name, list] of [['mean', mean] as const, ['deviation', deviation] as const]) {
    if (list.length !== 1 && list.length !== channels) {
      throw new InputError(
        `normalisation does not fit: ${list.length} values of ${name}, channels ${channels} ` +
          `(samples ${showShape(sampleShape)}, ${source}); give ${channels === 1 ? '1' : `1 or ${channels}`}`,
      );
    }
    const wrong = list.find((value) => !Number.isFinite(value) || (name === 'deviation' && value <= 0));
    if (wrong !== undefined) {
      throw new InputError(
        `normalisation out of range: ${name} ${wrong}; give finite means and deviations above 0, in units after scaling`,
      );
    }
  }
  const each = (list: readonly number[]): readonly number[] =>
    list.length === channels ? list : new Array<number>(channels).fill(list[0]!);
  return { mean: each(mean), deviation: each(deviation) };
}

function notFinite({ values, sampleShape, source }: Dataset, sample: number, element: number): InputError {
  const value = values[sample * product(sampleShape) + element]!;
  const shown = Number.isFinite(value) ? `${value} after preprocessing` : String(value);
  return new InputError(
    `value not finite: ${shown} (sample ${sample}, element ${element}, ${source}); remove or replace such values`,
  );
}

function product(shape: Shape): number {
  return shape.reduce((result, length) => result * length, 1);
}
