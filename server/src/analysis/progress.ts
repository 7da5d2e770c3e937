import type { Phase } from '../../../protocol/analysis';
import type { Listener } from './analyze';

/**
 * Counts work in products over all samples and tells the listener after every
 * batch. What is to come is an estimate, from above: Lanczos usually stops
 * early, and what does not fit into the time is not counted.
 */
export class Progress {
  message = '';
  done = 0;
  /** Work that is certain to come. */
  private certain = 0;
  /** Work that is given up when it is `deadline`. */
  private optional = 0;
  private deadline = Infinity;
  private phase: Phase = 'reading';
  private readonly started: number;

  constructor(
    private readonly listener: Listener,
    /** Called after every batch; may throw. */
    private readonly check: () => void,
    /** In milliseconds. */
    private readonly now: () => number = () => performance.now(),
  ) {
    this.started = now();
  }

  async begin(phase: Phase, message: string): Promise<void> {
    this.phase = phase;
    this.message = message;
    await this.tell();
  }

  /** Adds work that will be done whatever the time. */
  expect(work: number): void {
    this.certain += work;
  }

  /** Replaces what may still be done up to a deadline, which is on the clock of `now`. */
  allow(work: number, deadline: number): void {
    this.optional = work;
    this.deadline = deadline;
  }

  /** A batch is done. */
  async work(share: number): Promise<void> {
    this.done += share;
    const fromOptional = Math.min(this.optional, this.isOptional() ? share : 0);
    this.optional -= fromOptional;
    if (!this.isOptional()) this.certain = Math.max(0, this.certain - share);
    this.check();
    await this.tell();
  }

  private isOptional(): boolean {
    return ['ggn', 'hessian', 'trace', 'layers', 'sizes'].includes(this.phase);
  }

  private async tell(): Promise<void> {
    const { phase, done, message } = this;
    const now = this.now();
    const milliseconds = now - this.started;
    const rate = milliseconds > 0 ? done / milliseconds : 0;
    const affordable = rate > 0 && this.deadline < Infinity ? rate * Math.max(0, this.deadline - now) : Infinity;
    const total = done + this.certain + Math.min(this.optional, affordable);
    await this.listener({ kind: 'progress', phase, done, total, message, elapsed: milliseconds / 1000 });
  }
}
