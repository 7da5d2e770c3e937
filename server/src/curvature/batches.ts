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

/**
 * The same samples dealt out anew: every batch takes them from all over, so that
 * what float32 sums over a batch is summed in another order. One batch at a time
 * is made, when it is asked for.
 *
 * @param size rows per batch, of `batches` and of what comes out
 */
export function* dealtBatches(batches: readonly Batch[], size: number): Generator<Batch> {
  const first = batches[0];
  if (first === undefined) return;
  const places = batches.flatMap((batch) => Array.from({ length: batch.count }, (_, row) => ({ batch, row })));
  const stride = Math.max(2, batches.length);
  const order = places.map((_, i) => i).sort((a, b) => (a % stride) - (b % stride) || a - b);
  for (let start = 0; start < order.length; start += size) {
    const chosen = order.slice(start, start + size).map((i) => places[i]!);
    const rows = (of: 'inputs' | 'targets'): Float32Array => {
      const width = first[of].length / size;
      const values = new Float32Array(size * width);
      chosen.forEach(({ batch, row }, i) => values.set(batch[of].subarray(row * width, (row + 1) * width), i * width));
      return values;
    };
    const labels = Int32Array.from(chosen, ({ batch, row }) => batch.labels[row]!);
    yield { inputs: rows('inputs'), targets: rows('targets'), labels, count: chosen.length };
  }
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
