import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dealtBatches, makeBatches, type Batch } from './batches';
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

test('dealt anew, every sample is there once with its target and label, in other company', () => {
  const batches = makeBatches(samples, 4, 4);
  const dealt = [...dealtBatches(batches, 4)];
  assert.deepEqual(
    dealt.map(({ count }) => count),
    [4, 4, 2],
  );
  const rows = (of: readonly Batch[]) =>
    of.flatMap(({ inputs, targets, labels, count }) =>
      Array.from({ length: count }, (_, row) =>
        [...inputs.slice(row * 6, row * 6 + 6), ...targets.slice(row * 4, row * 4 + 4), labels[row]!].join(),
      ),
    );
  assert.deepEqual(rows(dealt).sort(), rows(batches).sort());
  const company = (of: readonly Batch[]) => rows(of.slice(0, 1)).sort();
  assert.notDeepEqual(company(dealt), company(batches));
  const last = dealt.at(-1)!;
  assert.ok(last.inputs.length === 4 * 6 && last.inputs.subarray(2 * 6).every((x) => x === 0));
  assert.ok(last.targets.subarray(2 * 4).every((x) => x === 0));
});

test('a single batch is dealt in another order', () => {
  const batches = makeBatches(samples, 10, 4);
  const [dealt] = [...dealtBatches(batches, 10)];
  assert.notDeepEqual([...dealt!.labels], [...batches[0]!.labels]);
  assert.deepEqual([...dealt!.labels].sort(), [...batches[0]!.labels].sort());
});
