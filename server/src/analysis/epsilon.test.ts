import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testRandom } from '../../../test/reference/cases';
import { InputError } from '../errors';
import { checkTolerance, describeEpsilon, lossTolerance } from './epsilon';

const near = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) < 1e-12 * Math.abs(expected), `${actual}, not ${expected}`);

test('the rule of the paper is the deviation of the mean of 128 losses', () => {
  const losses = Float64Array.of(1, 2, 3, 6);
  // Σ(x − 3)² = 14, over n − 1.
  near(lossTolerance({ kind: 'batch-std' }, losses, 3), Math.sqrt(14 / 3 / 128));
});

test('the rule of the paper agrees with mini-batches that were drawn', () => {
  const random = testRandom(5);
  const losses = Float64Array.from({ length: 128 * 500 }, () => -Math.log(1 - random()));
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  const squares = Array.from({ length: 500 }, (_, b) => {
    const batch = losses.subarray(128 * b, 128 * (b + 1));
    return (batch.reduce((sum, loss) => sum + loss, 0) / 128 - mean) ** 2;
  });
  const drawn = Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / 499);
  const tolerance = lossTolerance({ kind: 'batch-std' }, losses, mean);
  // The deviation of 500 means is itself uncertain by 3 %.
  assert.ok(Math.abs(tolerance / drawn - 1) < 0.12, `${tolerance} against ${drawn}`);
});

test('a tolerance is absolute or a share of the loss', () => {
  const losses = Float64Array.of(1, 2);
  assert.equal(lossTolerance({ kind: 'absolute', value: 0.3 }, losses, 1.5), 0.3);
  assert.equal(lossTolerance({ kind: 'relative', value: 0.1 }, losses, 1.5), 0.1 * 1.5);
});

test('no tolerance at all is refused, with its cause', () => {
  const refused = (rule: Parameters<typeof checkTolerance>[1], samples: number, why: string): void =>
    assert.throws(() => checkTolerance(0, rule, samples), {
      name: InputError.name,
      message: `loss tolerance is 0: ${why}; choose more samples, or give a tolerance with --epsilon abs:X, such as abs:0.01`,
    });
  assert.equal(lossTolerance({ kind: 'batch-std' }, Float64Array.of(2), 2), 0);
  refused({ kind: 'batch-std' }, 1, 'one sample has no deviation');
  refused({ kind: 'batch-std' }, 9, 'all samples have the same loss');
  refused({ kind: 'relative', value: 0.1 }, 9, 'the loss of these samples is 0');
  // Rounding is no deviation.
  assert.throws(() => checkTolerance(4e-17, { kind: 'batch-std' }, 9), /all samples have the same loss/);
  checkTolerance(1e-9, { kind: 'batch-std' }, 9);
  checkTolerance(1e-300, { kind: 'absolute', value: 1e-300 }, 9);
});

test('rules are worded', () => {
  assert.equal(describeEpsilon({ kind: 'absolute', value: 0.01 }), 'absolute 0.01');
  assert.equal(describeEpsilon({ kind: 'relative', value: 0.1 }), '0.1 of the loss');
  assert.equal(describeEpsilon({ kind: 'batch-std' }), 'standard deviation of the loss over mini-batches of 128');
});
