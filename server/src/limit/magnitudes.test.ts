import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InputError } from '../errors';
import { Random } from '../random';
import { Magnitudes } from './magnitudes';

/** Weights with many ties and zeros. */
function coarse(length: number, name: string): Float32Array {
  const random = Random.stream(4, name);
  return Float32Array.from({ length }, () => Math.round(random.gaussian() * 4) / 4);
}

const layers = [coarse(700, 'a'), coarse(0, 'empty'), coarse(1, 'one'), coarse(1500, 'b')];
const magnitudes = Magnitudes.of(layers);
const D = 2201;

/** (layer, index) of every weight, largest first, the earlier of equals first. */
const ranking = layers
  .flatMap((layer, l) => Array.from(layer, (w, i) => ({ l, i, size: Math.abs(w) })))
  .map((entry, order) => ({ ...entry, order }))
  .sort((x, y) => y.size - x.size || x.order - y.order);

test('R(s) is the norm of what is pruned, exactly at counts and between them by proportion', () => {
  assert.equal(magnitudes.count, D);
  for (const pruned of [0, 1, 511, 512, 513, 1024, 2000, D]) {
    const expected = ranking.slice(D - pruned).reduce((sum, { size }) => sum + size * size, 0);
    assert.ok(Math.abs(magnitudes.squaredRadius(pruned / D) - expected) < 1e-9 * (1 + expected), `${pruned}`);
  }
  const between = magnitudes.squaredRadius(2000.25 / D);
  const [low, high] = [magnitudes.squaredRadius(2000 / D), magnitudes.squaredRadius(2001 / D)];
  assert.ok(Math.abs(between - (0.75 * low + 0.25 * high)) < 1e-9);
  assert.equal(magnitudes.squaredRadius(-1), 0);
  assert.equal(magnitudes.squaredRadius(2), magnitudes.squaredRadius(1));
  assert.equal(magnitudes.radius(1), Math.sqrt(magnitudes.squaredRadius(1)));
});

test('a full table whose length is a multiple of the block is summed to its end', () => {
  const flat = Magnitudes.of([new Float32Array(1024).fill(-2)]);
  assert.equal(flat.squaredRadius(1), 4096);
  assert.equal(flat.squaredRadius(0.5), 2048);
});

test('masks, counts and pruned weights agree with a naive ranking at every kind of tie', () => {
  for (const kept of [0, 1, 2, 300, 301, 302, 1000, 1999, D - 1, D]) {
    const expected = layers.map((layer) => new Uint8Array(layer.length));
    for (const { l, i } of ranking.slice(0, kept)) expected[l]![i] = 1;
    const masks = magnitudes.masks(kept);
    assert.deepEqual(masks, expected, `kept ${kept}`);
    assert.deepEqual(
      magnitudes.keptPerLayer(kept),
      expected.map((mask) => mask.reduce((sum, bit) => sum + bit, 0)),
    );
    const pruned = magnitudes.prunedWeights(kept);
    pruned.forEach((layer, l) => layer.forEach((w, i) => assert.equal(w, masks[l]![i] ? layers[l]![i] : 0)));
  }
});

test('the threshold is the smallest kept magnitude, with its ties', () => {
  assert.deepEqual(magnitudes.threshold(0), { magnitude: Infinity, ties: 0 });
  for (const kept of [1, 700, 1500, D]) {
    const { magnitude, ties } = magnitudes.threshold(kept);
    const chosen = ranking.slice(0, kept);
    assert.equal(magnitude, chosen.at(-1)!.size);
    assert.equal(ties, chosen.filter((entry) => entry.size === magnitude).length);
  }
  assert.throws(() => magnitudes.threshold(D + 1), /kept weights out of range: 2202 \(0 to 2201\)/);
  assert.throws(() => magnitudes.threshold(0.5), /out of range/);
});

test('kept counts: never sparser than asked, and every sparsity that means a count gets it', () => {
  for (const count of [7, 100, 266_200, 11_000_000]) {
    const uniform = { count } as Magnitudes;
    const keptCount = (s: number) => Magnitudes.prototype.keptCount.call(uniform, s);
    for (const pruned of [0, 1, 3, Math.round(count * 0.29), Math.round(count * 0.57), count - 1, count]) {
      assert.equal(keptCount(pruned / count), count - pruned, `${pruned} of ${count}`);
    }
    assert.equal(keptCount(2.5 / count), count - 2);
    // 0.29 · 100 is 28.999999999999996 in floating point.
    if (count % 100 === 0) assert.equal(keptCount(0.29), Math.round(0.71 * count));
  }
});

test('zeros are counted; nothing and non-finite weights are refused', () => {
  assert.equal(magnitudes.zeros, ranking.filter(({ size }) => size === 0).length);
  assert.ok(magnitudes.zeros > 100);
  assert.throws(() => Magnitudes.of([]), InputError);
  assert.throws(() => Magnitudes.of([new Float32Array(0)]), /no prunable weights/);
  assert.throws(() => Magnitudes.of([Float32Array.of(1, NaN, -Infinity)]), /weights not finite: 2 of 3/);
});
