import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeBatches, rescaledBatches } from './batches';
import { randomSamples } from './testing';

const samples = randomSamples(10, [2, 3], 4, 1);

test('batches hold every sample once, in order', () => {
  const batches = makeBatches(samples, 4, 4);
  assert.deepEqual(
    batches.map(({ count }) => count),
    [4, 4, 2],
  );
  assert.deepEqual(
    batches.flatMap(({ labels }) => [...labels]),
    [...samples.labels],
  );
  assert.deepEqual(
    batches.flatMap(({ inputs, count }) => [...inputs.subarray(0, count * 6)]),
    [...samples.inputs],
  );
});

test('rows past the last sample are zero and weigh nothing', () => {
  const last = makeBatches(samples, 4, 4).at(-1)!;
  assert.equal(last.inputs.length, 4 * 6);
  assert.ok(last.inputs.subarray(2 * 6).every((x) => x === 0));
  assert.ok(last.targets.subarray(2 * 4).every((x) => x === 0));
});

test('targets are one over the number of all samples, at the class', () => {
  for (const { targets, labels } of makeBatches(samples, 4, 4)) {
    labels.forEach((label, row) => {
      const wanted = [0, 0, 0, 0];
      wanted[label] = Math.fround(1 / 10);
      assert.deepEqual([...targets.subarray(4 * row, 4 * row + 4)], wanted);
    });
  }
});

test('a batch that divides the samples is not copied', () => {
  for (const { inputs } of makeBatches(samples, 5, 4)) assert.equal(inputs.buffer, samples.inputs.buffer);
});

test('batches for another scale of the loss are the same but for their targets', () => {
  const batches = makeBatches(samples, 4, 4);
  const rescaled = [...rescaledBatches(batches, 0.3)];
  assert.equal(rescaled.length, batches.length);
  rescaled.forEach((batch, i) => {
    const { targets, ...rest } = batches[i]!;
    assert.deepEqual(batch, { ...rest, targets: Float32Array.from(targets, (target) => 0.3 * target) });
  });
});
