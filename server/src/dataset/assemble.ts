import { InputError } from '../errors';
import type { Shape } from '../graph/ir';
import type { Dataset } from './dataset';
import { showShape } from './elements';
import type { NumberArray, Values } from './elements';

/** Class numbers lie below this: beyond it a column of numbers is no label. */
export const MAX_CLASSES = 1_000_000;

/**
 * A data set from its parts, checked: as many labels as samples, at least one
 * sample of at least one value, labels that are class numbers.
 *
 * @throws InputError
 */
export function assembleDataset(
  format: string,
  source: string,
  sampleShape: Shape,
  values: Values,
  labels: Int32Array,
): Dataset {
  const size = sampleShape.reduce((product, length) => product * length, 1);
  const count = size === 0 ? 0 : values.length / size;
  if (count === 0 && labels.length === 0) throw emptyDataset(source);
  if (size === 0) throw new InputError(`samples empty: ${source} has samples of shape ${showShape(sampleShape)}`);
  if (count !== labels.length) {
    throw new InputError(
      `sample and label counts differ: ${count} samples and ${labels.length} labels in ${source}; pair files of the same set`,
    );
  }
  let largest = 0;
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    if (label < 0 || label >= MAX_CLASSES) throw badLabel(label, i, source);
    if (label > largest) largest = label;
  }
  return { format, source, count, sampleShape, values, labels, classes: largest + 1 };
}

export function emptyDataset(source: string): InputError {
  return new InputError(`data set empty: ${source} has no samples; choose another file or split`);
}

function badLabel(label: number, index: number, source: string): InputError {
  return new InputError(
    `label not a class number: ${label} (sample ${index}, ${source}); number the classes from 0 and below ${MAX_CLASSES}`,
  );
}

/**
 * Labels from an array file: class numbers of shape [N] or [N, 1], or one-hot
 * rows [N, K], whose class is the place of the 1.
 *
 * @throws InputError for other shapes, fractions, and rows that are not one-hot
 */
export function toLabels({ shape, values }: NumberArray, source: string): Int32Array {
  const [count, width = 1] = shape;
  if (count === undefined || shape.length > 2) {
    throw new InputError(
      `label shape unknown: ${showShape(shape)} in ${source}; one class number per sample is wanted`,
    );
  }
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    if (width === 1) {
      const label = values[i]!;
      if (!Number.isInteger(label) || Math.abs(label) > MAX_CLASSES) throw badLabel(label, i, source);
      labels[i] = label;
      continue;
    }
    const row = values.subarray(i * width, (i + 1) * width);
    const hot = row.indexOf(1);
    if (hot < 0 || row.some((value, k) => value !== (k === hot ? 1 : 0))) {
      throw new InputError(`label row not one-hot: row ${i} of ${source}; store one class number per sample`);
    }
    labels[i] = hot;
  }
  return labels;
}
