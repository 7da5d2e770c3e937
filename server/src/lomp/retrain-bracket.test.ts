import assert from 'node:assert/strict';
import { test } from 'node:test';
import { narrowed, nextKept, type KeptBracket } from './retrain-bracket';

/** All that is tried when everything from `limit` weights on comes back. */
function search(weights: number, limit: number, tolerance: number): { bracket: KeptBracket; tried: number[] } {
  let bracket: KeptBracket = { reached: weights, missed: 0 };
  const tried: number[] = [];
  for (;;) {
    const kept = nextKept(bracket, weights, tolerance);
    if (kept === null) return { bracket, tried };
    assert.ok(kept < bracket.reached && kept > bracket.missed, `${kept} in ${JSON.stringify(bracket)}`);
    tried.push(kept);
    bracket = narrowed(bracket, kept, kept >= limit);
  }
}

test('the bracket holds the limit, and is as narrow as asked', () => {
  const weights = 10_000;
  for (let limit = 1; limit < weights; limit += 97) {
    const { bracket, tried } = search(weights, limit, 0.005);
    assert.ok(bracket.missed < limit && limit <= bracket.reached, `${limit} in ${JSON.stringify(bracket)}`);
    const width = bracket.reached - bracket.missed;
    assert.ok(width <= 1 || width <= 50 || width <= 0.05 * bracket.reached, `${width} at ${limit}`);
    assert.ok(tried.length <= 22, `${tried.length} trials for ${limit}`);
  }
});

test('weights are halved until something fails', () => {
  assert.deepEqual(search(1000, 300, 0.3).tried, [500, 250]);
});

test('without a tolerance it ends at the share of what is kept, or at neighbours', () => {
  const { bracket } = search(1000, 700, 0);
  assert.ok(bracket.reached - bracket.missed <= 0.05 * bracket.reached);
  assert.deepEqual(search(1000, 3, 0).bracket, { reached: 3, missed: 2 });
  assert.deepEqual(search(7, 7, 0).bracket, { reached: 7, missed: 6 });
});
