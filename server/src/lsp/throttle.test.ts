import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { EventThrottle, type Clock } from './throttle';

/** Time that passes only when told to. */
class ManualClock implements Clock {
  time = 0;
  private timers: { at: number; run: () => void }[] = [];
  now = () => this.time;
  after(milliseconds: number, run: () => void) {
    const timer = { at: this.time + milliseconds, run };
    this.timers.push(timer);
    return { cancel: () => void (this.timers = this.timers.filter((other) => other !== timer)) };
  }
  pass(milliseconds: number) {
    const end = this.time + milliseconds;
    for (;;) {
      const next = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.time = next.at;
      next.run();
    }
    this.time = end;
  }
}

describe('EventThrottle', () => {
  let clock: ManualClock;
  let sent: string[];
  let push: (kind: string, value?: number) => void;
  beforeEach(() => {
    clock = new ManualClock();
    sent = [];
    const throttle = new EventThrottle<{ kind: string; value: number }>(
      ({ kind, value }) => sent.push(`${clock.time}:${kind}:${value}`),
      100,
      clock,
    );
    push = (kind, value = 0) => throttle.push({ kind, value });
  });

  it('passes the first at once and the newest after the interval', () => {
    for (let i = 0; i < 5; i++) push('progress', i);
    clock.pass(1000);
    assert.deepEqual(sent, ['0:progress:0', '100:progress:4']);
  });

  it('keeps to ten a second and loses no last event', () => {
    for (let i = 0; i < 1000; i++) {
      push('progress', i);
      clock.pass(1);
    }
    clock.pass(1000);
    assert.ok(sent.length <= 12, `${sent.length} sent`);
    assert.match(sent.at(-1)!, /:progress:999$/);
  });

  it('does not let one kind hold back the other', () => {
    push('progress', 1);
    clock.pass(50);
    push('partial', 2);
    push('progress', 3);
    clock.pass(200);
    assert.deepEqual(sent, ['0:progress:1', '50:partial:2', '100:progress:3']);
  });

  it('sends what waits before an event of another kind', () => {
    push('progress', 1);
    push('partial', 2);
    push('progress', 3);
    push('partial', 4);
    push('done', 5);
    clock.pass(1000);
    assert.deepEqual(sent, ['0:progress:1', '0:partial:2', '0:progress:3', '0:partial:4', '0:done:5']);
  });
});
