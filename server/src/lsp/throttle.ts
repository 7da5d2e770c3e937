import type { AnalysisEvent } from '../../../protocol/analysis';

/** What a throttle needs of time; a test brings its own. */
export interface Clock {
  now(): number;
  after(milliseconds: number, run: () => void): { cancel(): void };
}

const systemClock: Clock = {
  now: () => performance.now(),
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds);
    return { cancel: () => clearTimeout(timer) };
  },
};

/**
 * Lets progress and partial results through at most once per interval each,
 * because a compute process speaks after every batch and nobody reads that
 * fast. The newest of each kind is never lost: it follows when the interval is
 * over, or at once before any event of another kind. Order is kept.
 */
export class EventThrottle<E extends { readonly kind: string } = AnalysisEvent> {
  private readonly waiting = new Map<string, E>();
  private readonly sent = new Map<string, number>();
  private timer: { cancel(): void } | undefined;

  constructor(
    private readonly send: (event: E) => void,
    private readonly interval = 100,
    private readonly clock: Clock = systemClock,
  ) {}

  push(event: E): void {
    if (event.kind !== 'progress' && event.kind !== 'partial') {
      this.flush();
      this.send(event);
      return;
    }
    // Deleted first so that the map's order is the order of arrival.
    this.waiting.delete(event.kind);
    this.waiting.set(event.kind, event);
    this.release();
  }

  /** Sends what waits. */
  flush(): void {
    this.timer?.cancel();
    this.timer = undefined;
    for (const event of [...this.waiting.values()]) this.pass(event);
  }

  private release(): void {
    const now = this.clock.now();
    let next = Infinity;
    for (const event of [...this.waiting.values()]) {
      const due = (this.sent.get(event.kind) ?? -Infinity) + this.interval;
      if (due <= now) this.pass(event);
      else next = Math.min(next, due);
    }
    if (next < Infinity && !this.timer) {
      this.timer = this.clock.after(next - now, () => {
        this.timer = undefined;
        this.release();
      });
    }
  }

  private pass(event: E): void {
    this.waiting.delete(event.kind);
    this.sent.set(event.kind, this.clock.now());
    this.send(event);
  }
}
