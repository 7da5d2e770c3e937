import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Interval } from '../../../protocol/analysis';
import { judgeTarget } from './target';

const limits = (hessian?: Interval, ggn?: Interval) => [
  ...(hessian ? [{ operator: 'hessian', interval: hessian } as const] : []),
  ...(ggn ? [{ operator: 'ggn', interval: ggn } as const] : []),
];
const both = limits([0.9, 0.91], [0.95, 0.96]);

test('a target is judged by the limits it is above', () => {
  for (const [target, severity] of [
    [0, null],
    [0.8999, null],
    [0.9, 'note'],
    [0.91, 'note'],
    [0.9101, 'warning'],
    [0.955, 'warning'],
    [0.96, 'warning'],
    [0.9601, 'error'],
    [1, 'error'],
  ] as const) {
    assert.equal(judgeTarget(target, both)?.severity ?? null, severity, String(target));
  }
});

test('one operator is enough for a judgement, and none gives none', () => {
  assert.equal(judgeTarget(0.99, []), null);
  assert.equal(judgeTarget(0.99, limits([0.9, 0.91]))?.severity, 'warning');
  assert.equal(judgeTarget(0.99, limits(undefined, [0.9, 0.91]))?.severity, 'error');
  assert.equal(judgeTarget(0.905, limits(undefined, [0.9, 0.91]))?.severity, 'note');
});

test('above Gauss–Newton counts first, however wide the Hessian bracket is', () => {
  assert.equal(judgeTarget(0.97, limits([0.5, 0.99], [0.95, 0.96]))?.severity, 'error');
  assert.equal(judgeTarget(0.94, limits([0.5, 0.99], [0.95, 0.96]))?.severity, 'note');
});

test('the numbers are in the message', () => {
  assert.equal(
    judgeTarget(0.975, both)?.message,
    '97.5 % is above the Gauss–Newton limit, 95–96 %: no subnetwork of these weights keeps the loss; lower the target',
  );
  assert.match(judgeTarget(0.93, both)!.message, /^93 % is above the Hessian limit, 90–91 %: .*retraining may$/);
  assert.match(judgeTarget(0.9, both)!.message, /^90 % is inside the bracket of the Hessian limit, 90–91 %: /);
});
