import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EpochRecord, TrainEvent } from '../../../protocol/train';
import { TrainDisplay } from './train-display';

const record: EpochRecord = {
  epoch: 3,
  loss: 0.12345,
  score: { loss: 0.2, correct: 9843, total: 10_000 },
  nearZero: 0.871,
  limit: { sparsity: 0.95, interval: [0.945, 0.955] },
};

function step(elapsed: number): Extract<TrainEvent, { kind: 'step' }> {
  return { kind: 'step', epoch: 3, step: 7, steps: 10, epochs: 20, loss: 0.5, elapsed, done: 0.135, here: 0.035 };
}

function display(isTTY: boolean): { shown: TrainDisplay; text: () => string; tick: (milliseconds: number) => void } {
  let written = '';
  let now = 0;
  const stream = { isTTY, columns: 60, write: (text: string) => (written += text) };
  return {
    shown: new TrainDisplay(
      stream,
      (message) => message.replace('/far/', ''),
      () => now,
    ),
    text: () => written,
    tick: (milliseconds) => (now += milliseconds),
  };
}

test('an epoch is a line, with what is known of it', () => {
  const { shown, text } = display(false);
  shown.show({ kind: 'epoch', record, epochs: 20 });
  shown.show({ kind: 'epoch', record: { ...record, epoch: 4, score: null, limit: null }, epochs: 20 });
  assert.deepEqual(text().split('\n'), [
    'epoch  3 of 20  loss 0.1235  evaluated 0.2  98.43 % correct  near zero 87.1 %  limit 94.5–95.5 %',
    'epoch  4 of 20  loss 0.1235  near zero 87.1 %',
    '',
  ]);
});

test('on a terminal a line below is redrawn, fits, and goes', () => {
  const { shown, text, tick } = display(true);
  shown.show(step(1));
  tick(50);
  shown.show(step(1.05));
  tick(100);
  // 0.865 of the whole is left, of which 0.035 took 7 seconds.
  shown.show(step(7));
  shown.clear();
  const drawn = text().split('\r\x1b[K');
  assert.deepEqual(drawn.slice(1), [
    ' 13 %  1 s  epoch 3 of 20 · step 7 of 10 · loss 0.5',
    ' 13 %  7 s, 3 min left  epoch 3 of 20 · step 7 of 10 · loss',
    '',
  ]);
  assert.ok(drawn.every((line) => line.length < 60));
});

test('elsewhere steps are lines, few of them, and paths are as they were typed', () => {
  const { shown, text, tick } = display(false);
  for (let i = 0; i < 30; i++) {
    shown.show(step(i));
    tick(1000);
  }
  shown.show({ kind: 'note', message: '/far/out.onnx goes on' });
  const lines = text().trimEnd().split('\n');
  assert.equal(lines.length, 3, text());
  assert.equal(lines.at(-1), 'out.onnx goes on');
});

test('a trial of the retrained limit says what it is and what came of it', () => {
  const { shown, text } = display(false);
  const trial = { seed: 1, sparsity: 0.964, kept: 9583, epochs: 3, loss: 0.0212, reached: true };
  shown.show({ kind: 'attempt', ...trial });
  shown.show({ kind: 'attempted', trial, target: 0.0231 });
  shown.show({ kind: 'attempted', trial: { ...trial, epochs: 0 }, target: 0.0231 });
  shown.show({ kind: 'attempted', trial: { ...trial, epochs: 1, loss: 0.03, reached: false }, target: 0.0231 });
  shown.show({ kind: 'attempted', trial: { ...trial, loss: null, reached: false }, target: 0.0231 });
  assert.deepEqual(text().split('\n'), [
    'seed 1, 96.40 %, 9,583 weights kept:',
    'came back: loss 0.0212 after 3 epochs, allowed 0.0231',
    'came back: loss 0.0212 at once, allowed 0.0231',
    'did not come back: loss 0.03 after 1 epoch, allowed 0.0231',
    'did not come back: the training diverged',
    '',
  ]);
});
