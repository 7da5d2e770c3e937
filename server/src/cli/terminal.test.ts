import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AnalysisEvent, LimitResult, PartialResult, Phase } from '../../../protocol/analysis';
import { outputWidth, ProgressDisplay } from './terminal';

const progress = (phase: Phase, done: number, total: number, elapsed: number, message = 'step 3'): AnalysisEvent => ({
  kind: 'progress',
  phase,
  done,
  total,
  message,
  elapsed,
});

function partial(operator: 'ggn' | 'hessian', low: number, high: number): AnalysisEvent {
  const limit = {
    operator,
    sparsity: (low + high) / 2,
    interval: [low, high],
    resolved: false,
  } as unknown as LimitResult;
  return { kind: 'partial', result: { limits: [limit] } as unknown as PartialResult };
}

function display(isTTY: boolean, columns = 80) {
  const written: string[] = [];
  let now = 0;
  const stream = { isTTY, columns, write: (text: string) => written.push(text) };
  const shown = new ProgressDisplay(stream, () => now);
  return { shown, written, wait: (seconds: number) => (now += 1000 * seconds) };
}

describe('progress in lines', () => {
  it('is told at every change of phase and every five seconds', () => {
    const { shown, written, wait } = display(false);
    shown.show(progress('reading', 0, 0, 0, 'checkpoint and data'));
    shown.show(progress('ggn', 1, 10, 5));
    wait(4);
    shown.show(progress('ggn', 2, 10, 9));
    wait(2);
    shown.show(partial('ggn', 0.2, 0.9));
    shown.show(progress('ggn', 3, 10, 11));
    shown.clear();
    assert.deepEqual(written, [
      '  0 %  1 s       reading · checkpoint and data\n',
      ' 10 %  5 s, up to 45 s left  Gauss–Newton · step 3\n',
      ' 30 %  11 s, up to 26 s left  Gauss–Newton · step 3 · between 20 and 90 %\n',
    ]);
  });

  it('never takes back what was shown', () => {
    const { shown, written } = display(false);
    shown.show(progress('ggn', 5, 10, 5));
    shown.show(progress('hessian', 6, 20, 6));
    assert.deepEqual(
      written.map((line) => parseInt(line, 10)),
      [50, 50],
    );
  });

  it('forgets the limit of the operator before', () => {
    const { shown, written } = display(false);
    shown.show(progress('ggn', 1, 10, 1));
    shown.show(partial('ggn', 0.2, 0.9));
    shown.show(progress('hessian', 2, 10, 1));
    assert.ok(!written[1]!.includes('between'));
  });
});

describe('progress on a terminal', () => {
  const drawn = (columns: number): string => {
    const { shown, written } = display(true, columns);
    shown.show(progress('ggn', 5, 10, 60));
    return written.at(-1)!.replace('\r\x1b[K', '');
  };

  it('fits the terminal: first the bar shrinks, then the times go, then the text is cut', () => {
    assert.equal(drawn(100), `${'█'.repeat(12)}${'░'.repeat(12)}  50 %  60 s, up to 60 s left  Gauss–Newton · step 3`);
    assert.equal(drawn(68), '████████░░░░░░░  50 %  60 s, up to 60 s left  Gauss–Newton · step 3');
    assert.equal(drawn(40), ' 50 %  Gauss–Newton · step 3');
    assert.equal(drawn(10).length, 20);
    assert.equal(drawn(0), drawn(80));
  });

  it('is redrawn at most ten times a second, and removed', () => {
    const { shown, written, wait } = display(true);
    shown.show(progress('ggn', 1, 10, 1));
    wait(0.05);
    shown.show(progress('ggn', 2, 10, 1));
    assert.equal(written.length, 1);
    wait(0.06);
    shown.show(progress('ggn', 3, 10, 1));
    shown.clear();
    shown.clear();
    assert.equal(written.length, 3);
    assert.equal(written[2], '\r\x1b[K');
  });
});

describe('width of the output', () => {
  it('is that of the terminal within reason, and none where there is no terminal', () => {
    assert.equal(outputWidth({ isTTY: true, columns: 90 }), 90);
    assert.equal(outputWidth({ isTTY: true, columns: 300 }), 120);
    assert.equal(outputWidth({ isTTY: true, columns: 10 }), 40);
    assert.equal(outputWidth({ isTTY: true, columns: 0 }), 80);
    assert.equal(outputWidth({ isTTY: false, columns: 90 }), Infinity);
  });
});
