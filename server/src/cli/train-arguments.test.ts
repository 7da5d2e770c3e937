import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { parseTrain } from './train-arguments';

const NEEDED = ['net.onnx', '--data', 'd', '-o', 'out.onnx'];

test('what is not said is what the help says', () => {
  const { request } = parseTrain(NEEDED)!;
  assert.deepEqual(request, {
    source: { kind: 'checkpoint', path: resolve('net.onnx') },
    output: resolve('out.onnx'),
    resume: false,
    overwrite: false,
    options: {
      data: { path: resolve('d'), split: 'train', scale: 255, samples: 'all' },
      evaluation: 'test',
      epochs: 20,
      batch: 128,
      rate: 0.1,
      schedule: { kind: 'cosine' },
      warmup: 0,
      momentum: 0.9,
      weightDecay: 0,
      l1: 0,
      l1Mode: 'subgradient',
      crop: 0,
      flip: false,
      mask: 'none',
      seed: 1,
      threads: 0,
      memory: 0,
      limitEvery: 0,
    },
  });
});

test('schedules, masks and searches are read', () => {
  const { request } = parseTrain([
    ...NEEDED,
    ...'--schedule multistep --milestones 5,10 --factor 0.5 --mask m.npz --evaluate none --samples 100'.split(' '),
    ...'--target-sparsity 0.95 --accuracy-budget 0.5 --l1-range 1e-5,1e-3 --resume --force'.split(' '),
  ])!;
  const { schedule, mask, evaluation, data } = request.options;
  assert.deepEqual(schedule, { kind: 'multistep', milestones: [5, 10], factor: 0.5 });
  assert.deepEqual([mask, evaluation, data.samples], [{ path: resolve('m.npz') }, null, 100]);
  assert.deepEqual(request.search, { sparsity: 0.95, budget: 0.005, from: 1e-5, to: 1e-3 });
  assert.deepEqual([request.resume, request.overwrite], [true, true]);
});

test('help is no command', () => {
  assert.equal(parseTrain(['--help']), undefined);
});
