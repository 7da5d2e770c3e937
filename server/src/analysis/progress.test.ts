import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnalysisEvent } from '../../../protocol/analysis';
import { Progress } from './progress';

type Told = Extract<AnalysisEvent, { kind: 'progress' }>;

function watched(check: () => void = () => undefined) {
  const events: Told[] = [];
  let now = 1000;
  const progress = new Progress(
    (event) => void events.push(event as Told),
    check,
    () => now,
  );
  return { progress, events, wait: (seconds: number) => (now += 1000 * seconds) };
}

test('certain work is counted down, and time from the beginning', async () => {
  const { progress, events, wait } = watched();
  progress.expect(2);
  await progress.begin('evaluating', 'loss');
  wait(3);
  await progress.work(0.5);
  await progress.work(0.5);
  assert.deepEqual(events, [
    { kind: 'progress', phase: 'evaluating', done: 0, total: 2, message: 'loss', elapsed: 0 },
    { kind: 'progress', phase: 'evaluating', done: 0.5, total: 2, message: 'loss', elapsed: 3 },
    { kind: 'progress', phase: 'evaluating', done: 1, total: 2, message: 'loss', elapsed: 3 },
  ]);
});

test('optional work counts as far as the time allows', async () => {
  const { progress, events, wait } = watched();
  progress.expect(10);
  // The clock stands at 1000; 20 s are left.
  progress.allow(1000, 21_000);
  await progress.begin('ggn', 'step 1');
  assert.equal(events.at(-1)!.total, 1010, 'without a rate everything');
  wait(10);
  await progress.work(5);
  // Half a product per second, so 5 more in 10 s, and the 10 that are certain.
  assert.equal(events.at(-1)!.total, 20);
  wait(10);
  await progress.work(5);
  assert.equal(events.at(-1)!.total, 20, 'the time is over');
  wait(10);
  await progress.work(1);
  assert.equal(events.at(-1)!.total, 21);
});

test('more work than was expected is no more than everything', async () => {
  const { progress, events } = watched();
  progress.allow(1, Infinity);
  await progress.begin('hessian', '');
  await progress.work(3);
  await progress.begin('path', '');
  await progress.work(3);
  assert.deepEqual(
    events.map(({ done, total }) => [done, total]),
    [
      [0, 1],
      [3, 3],
      [3, 3],
      [6, 6],
    ],
  );
});

test('a check that fails ends the work before it is told', async () => {
  const { progress, events } = watched(() => {
    throw new Error('memory ran out');
  });
  await assert.rejects(progress.work(1), /memory ran out/);
  assert.deepEqual(events, []);
});
