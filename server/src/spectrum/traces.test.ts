import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lanczos, LanczosRun } from './lanczos';
import { Random } from '../random';
import { prescribedOperator } from './testing';
import { combineTraces, traceSample, type TraceSample } from './traces';

const n = 120;
const ranges = [
  { offset: 0, length: 7 },
  { offset: 7, length: 53 },
  { offset: 60, length: 60 },
];
const operator = prescribedOperator(
  Array.from({ length: n }, (_, i) => (i + 1) ** -0.7 - 0.05),
  17,
);
const trace = (from: number, to: number) =>
  operator.matrix.slice(from, to).reduce((sum, row, i) => sum + row[from + i]!, 0);

async function sample(name: number): Promise<TraceSample> {
  const v = Random.stream(17, name).rademacher(n);
  return traceSample(v, (await operator.apply([v]))[0]!, ranges);
}

test('many samples reach the traces of the operator and of its diagonal blocks', async () => {
  const samples: TraceSample[] = [];
  for (let i = 0; i < 400; i++) samples.push(await sample(i));
  const estimate = combineTraces(samples);
  const pairs = [
    [estimate.trace, trace(0, n)],
    ...estimate.blocks.map((block, l) => [block, trace(ranges[l]!.offset, ranges[l]!.offset + ranges[l]!.length)]),
  ] as [{ value: number; standardError: number }, number][];
  for (const [{ value, standardError }, truth] of pairs) {
    assert.ok(Math.abs(value - truth) < 4 * standardError, `${value} ± ${standardError}, not ${truth}`);
    assert.ok(standardError > 0);
  }
});

test('the bound of one sample is the variance bound, and the variance formula of a block is right', async () => {
  const trials = 600;
  const values: number[] = [];
  let bound = 0;
  for (let i = 0; i < trials; i++) {
    const { blocks } = combineTraces([await sample(i)]);
    values.push(blocks[1]!.value);
    bound += blocks[1]!.standardError ** 2 / trials;
  }
  // The formula of the documentation, entry by entry.
  let [exact, rows] = [0, 0];
  for (let i = 7; i < 60; i++) {
    for (let j = 0; j < n; j++) {
      const square = operator.matrix[i]![j]! ** 2;
      rows += 2 * square;
      if (j !== i) exact += j >= 7 && j < 60 ? 2 * square : square;
    }
  }
  const mean = values.reduce((sum, value) => sum + value, 0) / trials;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (trials - 1);
  assert.ok(Math.abs(variance / exact - 1) < 0.25, `${variance} instead of ${exact}`);
  assert.ok(Math.abs(bound / rows - 1) < 0.1, `${bound} instead of ${rows}`);
  assert.ok(exact <= rows);
});

test('a diagonal operator is exact in one sample; eight samples know it', async () => {
  const diagonal = Float32Array.from({ length: n }, (_, i) => i + 1);
  const samples = Array.from({ length: 8 }, (_, i) => {
    const v = Random.stream(2, i).rademacher(n);
    return traceSample(
      v,
      v.map((value, k) => value * diagonal[k]!),
    );
  });
  assert.equal(combineTraces(samples.slice(0, 1)).trace.value, (n * (n + 1)) / 2);
  assert.ok(combineTraces(samples.slice(0, 1)).trace.standardError > 0);
  assert.equal(combineTraces(samples).trace.standardError, 0);
});

test('the first round of a Lanczos run gives the same sample without a product of its own', async () => {
  const v = Random.stream(17, 0).rademacher(n);
  const seen: TraceSample[] = [];
  for await (const progress of lanczos(operator, [LanczosRun.from(v)], (vectors, products) => {
    if (seen.length === 0) seen.push(traceSample(vectors[0]!, products[0]!, ranges));
  })) {
    if (progress.steps === 2) break;
  }
  const expected = await sample(0);
  assert.ok(Math.abs(seen[0]!.whole.quadraticForm - expected.whole.quadraticForm) < 1e-4);
  seen[0]!.blocks.forEach((block, l) => {
    assert.ok(Math.abs(block.quadraticForm - expected.blocks[l]!.quadraticForm) < 1e-4);
    assert.ok(Math.abs(block.squaredNorm / expected.blocks[l]!.squaredNorm - 1) < 1e-4);
  });
});

test('no samples are refused', () => {
  assert.throws(() => combineTraces([]), /trace samples missing/);
});
