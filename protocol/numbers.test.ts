import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../server/src/random';
import type { Interval, LimitResult } from './analysis';
import { duration, grouped, headline, percentRange, shapeText, significant, withError } from './numbers';

const limit = (sparsity: number, interval: Interval, resolved: boolean) =>
  ({ sparsity, interval, resolved }) as LimitResult;

describe('numbers', () => {
  it('writes a limit with the digits its interval supports', () => {
    assert.equal(headline(limit(0.95075, [0.9495, 0.952], true)), 'Can be pruned to 95.1 % (94.95–95.2 %)');
    assert.equal(headline(limit(0.95, [0.93, 0.97], true)), 'Can be pruned to 95 % (93–97 %)');
    assert.equal(headline(limit(0.984, [0.984, 0.984], true)), 'Can be pruned to 98.40 % (98.4 %)');
  });

  it('says that a limit is open instead of printing its midpoint', () => {
    assert.equal(headline(limit(0.8, [0.669, 0.973], false)), 'Unresolved: between 66.9 and 97.3 %');
  });

  it('trims ranges without losing tens', () => {
    assert.equal(percentRange([0, 1]), '0–100 %');
    assert.equal(percentRange([0.2, 0.9]), '20–90 %');
  });

  it('never makes an interval narrower than it is', () => {
    assert.equal(percentRange([0.95126, 0.95754]), '95.12–95.76 %');
    assert.equal(percentRange([0.00004, 0.99996]), '0–100 %');
    assert.equal(percentRange([0.98444, 0.98446]), '98.444–98.446 %');
    const random = Random.stream(5, 'intervals');
    for (let times = 0; times < 2000; times++) {
      const middle = random.uniform();
      const half = 10 ** (-6 * random.uniform()) * Math.min(middle, 1 - middle);
      const [low, high] = [middle - half, middle + half];
      const text = percentRange([low, high]);
      const [from, to] = text.replace(' %', '').split('–').map(Number) as [number, number?];
      assert.ok(from / 100 <= low + 1e-11 && (to ?? from) / 100 >= high - 1e-11, `${low} ${high}: ${text}`);
    }
  });

  it('writes a measured value with the digits of its error', () => {
    assert.equal(withError(43.93, 11.2), '44 ± 11');
    assert.equal(withError(501.3, 34.6), '500 ± 30');
    assert.equal(withError(2.26, 4.1), '2 ± 4');
    assert.equal(withError(-0.02134, 0.00042), '−0.0213 ± 0.0004');
    assert.equal(withError(0.4996, 0.0204), '0.500 ± 0.020');
    assert.equal(withError(1.2512e7, 2.6e5), '(1.251 ± 0.026)e7');
    assert.equal(withError(3e-6, 4e-7), '(3.0 ± 0.4)e-6');
    assert.equal(withError(1234.5, 0), '1235');
    assert.equal(withError(NaN, 1), '–');
    assert.equal(withError(1, Infinity), '–');
  });

  it('writes magnitudes, counts, shapes and durations', () => {
    assert.deepEqual(
      [0, 0.00871, 1.2e-5, 4163, 2.5e7, NaN, null].map((value) => significant(value)),
      ['0', '0.00871', '1.2e-5', '4163', '2.5e7', '–', '–'],
    );
    assert.equal(grouped(1234567), '1,234,567');
    assert.equal(grouped(999), '999');
    assert.equal(shapeText([16, 1, 5, 5]), '16×1×5×5');
    assert.equal(shapeText([]), 'scalar');
    assert.deepEqual([0.2, 61, 200, 5400].map(duration), ['1 s', '61 s', '3 min', '1 h 30 min']);
  });
});
