import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cosineRate, learningRate } from './schedule';

const options = { rate: 0.4, warmup: 0, epochs: 10, schedule: { kind: 'constant' } } as const;

test('a constant rate stays, a cosine goes down to 0', () => {
  const constant = learningRate(options, 5);
  assert.deepEqual([constant(0), constant(0.98)], [0.4, 0.4]);
  const cosine = cosineRate(0.4);
  assert.deepEqual([cosine(0), cosine(0.5)], [0.4, 0.2]);
  assert.ok(cosine(0.999) < 1e-5);
});

test('multistep multiplies at the first step of each milestone', () => {
  const steps = 5;
  const rate = learningRate({ ...options, schedule: { kind: 'multistep', milestones: [3, 7], factor: 0.5 } }, steps);
  const at = (epoch: number, step: number): number => rate((epoch + step / steps) / options.epochs);
  assert.deepEqual([at(2, 4), at(3, 0), at(6, 4), at(7, 0), at(9, 4)], [0.4, 0.2, 0.2, 0.1, 0.1]);
});

test('a warm-up rises by the same amount at every step, from one of them to the whole', () => {
  const steps = 5;
  const rate = learningRate({ ...options, warmup: 2 }, steps);
  const warm = Array.from({ length: 12 }, (_, step) => rate(step / steps / options.epochs));
  warm.forEach((value, step) => assert.ok(Math.abs(value - 0.4 * Math.min(1, (step + 1) / 10)) < 1e-12, `${step}`));
});
