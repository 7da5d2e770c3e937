import type { PreparedSamples } from '../dataset/dataset';

import { elementCount } from '../graph/shapes';

/** Samples of one engine run. */
export interface Batch {
  /** [batch, …sampleShape]; rows past `count` are zero. */
  readonly inputs: Float32Array;
  /**
   * [batch, classes]: 1/samples at the class of each row, 0 elsewhere and in
   * rows past `count`. The mean over all samples is then a plain sum over
   * batches, whatever the last one holds.
   */
  readonly targets: Float32Array;
  readonly labels: Int32Array;
  readonly count: number;
}

/** The same batches for `scale` times the loss, one made at a time. */
export function* rescaledBatches(batches: readonly Batch[], scale: number): Generator<Batch> {
  for (const batch of batches) yield { ...batch, targets: batch.targets.map((target) => scale * target) };
}

/** Cuts the samples into batches of `size`; the last one is padded with rows that weigh nothing. */
export function makeBatches(samples: PreparedSamples, size: number, classes: number): Batch[] {
  const width = elementCount(samples.sampleShape);
  const batches: Batch[] = [];
  for (let start = 0; start < samples.count; start += size) {
    const count = Math.min(size, samples.count - start);
    const labels = samples.labels.subarray(start, start + count);
    const stored = samples.inputs.subarray(start * width, (start + count) * width);
    let inputs = stored;
    if (count < size) {
      inputs = new Float32Array(size * width);
      inputs.set(stored);
    }
    const targets = new Float32Array(size * classes);
    labels.forEach((label, row) => (targets[row * classes + label] = 1 / samples.count));
    batches.push({ inputs, targets, labels, count });
  }
  return batches;
}
