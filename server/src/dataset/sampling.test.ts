import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../random';
import { chooseSamples, samplingOrder } from './sampling';

/** A data set of the given class sizes, in random order. */
function withSizes(sizes: readonly number[]): { count: number; labels: Int32Array; classes: number } {
  const sorted = sizes.flatMap((size, label) => new Array<number>(size).fill(label));
  const labels = Int32Array.from(Random.stream(99, 'labels').permutation(sorted.length), (place) => sorted[place]!);
  return { count: labels.length, labels, classes: sizes.length };
}

function sizesOf(dataset: { labels: Int32Array; classes: number }, chosen: Int32Array): number[] {
  const sizes = new Array<number>(dataset.classes).fill(0);
  for (const index of chosen) sizes[dataset.labels[index]!]! += 1;
  return sizes;
}

test('balanced classes give equal shares, sorted and without repetition', () => {
  const dataset = withSizes([50, 50, 50, 50]);
  const chosen = chooseSamples(dataset, 40, 1);
  assert.deepEqual(sizesOf(dataset, chosen), [10, 10, 10, 10]);
  assert.deepEqual(
    [...chosen],
    [...new Set(chosen)].sort((a, b) => a - b),
  );
});

test('shares are proportional within one sample', () => {
  const dataset = withSizes([700, 200, 90, 10]);
  for (const n of [10, 37, 100, 333, 999]) {
    const sizes = sizesOf(dataset, chooseSamples(dataset, n, 5));
    assert.equal(
      sizes.reduce((a, b) => a + b),
      n,
    );
    [700, 200, 90, 10].forEach((size, label) => {
      assert.ok(Math.abs(sizes[label]! - (n * size) / 1000) <= 1, `n = ${n}: ${sizes.join(' ')}`);
    });
  }
});

test('any stretch of the order has each class with its share', () => {
  const dataset = withSizes([700, 200, 90, 10]);
  const order = samplingOrder(dataset, 5);
  assert.deepEqual(order.slice(0, 100).sort(), chooseSamples(dataset, 100, 5));
  assert.deepEqual(order.slice().sort(), chooseSamples(dataset, 'all', 5));
  for (const first of [0, 125, 500, 875]) {
    const sizes = sizesOf(dataset, order.slice(first, first + 125));
    [700, 200, 90, 10].forEach((size, label) => {
      assert.ok(Math.abs(sizes[label]! - (125 * size) / 1000) <= 1, `from ${first}: ${sizes.join(' ')}`);
    });
  }
});

test('choices are nested, and the seed decides', () => {
  const dataset = withSizes([30, 50, 7, 0, 13]);
  let before = new Set<number>();
  for (let n = 1; n <= 100; n++) {
    const chosen = chooseSamples(dataset, n, 3);
    assert.equal(chosen.length, n);
    assert.deepEqual(chosen, chooseSamples(dataset, n, 3));
    const now = new Set(chosen);
    assert.ok([...before].every((index) => now.has(index)));
    before = now;
  }
  assert.notDeepEqual(chooseSamples(dataset, 20, 3), chooseSamples(dataset, 20, 4));
});

test('no more than there are', () => {
  const dataset = withSizes([2, 3]);
  const all = Int32Array.from([0, 1, 2, 3, 4]);
  for (const n of ['all', 5, 6, 1000] as const) assert.deepEqual(chooseSamples(dataset, n, 1), all);
  for (const n of [0, -1, 1.5, NaN]) {
    assert.throws(() => chooseSamples(dataset, n, 1), {
      name: 'InputError',
      message: `sample count out of range: ${n}; choose a whole number from 1, or all`,
    });
  }
});
