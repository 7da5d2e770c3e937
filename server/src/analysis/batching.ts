import type { BatchedNetwork, NetworkSource } from '../curvature/operator';
import { OutOfMemoryError, type Engine } from '../engine/engine';
import { FallbackEngine } from '../engine/fallback';
import type { Subject } from './subject';

/**
 * The samples in batches as large as memory allows: whatever runs out of it is
 * done again with half the batch. The loss is a sum over samples, so nothing
 * but the time depends on how they are cut.
 */
export class Batching implements NetworkSource {
  private readonly whole: number;

  constructor(
    private subject: Subject,
    /** Called after every halving, with one sentence that holds for all of them; null when they are undone. */
    private readonly onHalved: (note: string | null) => void,
  ) {
    this.whole = subject.batch;
  }

  get network(): Subject {
    return this.subject;
  }

  /** Does `action`, with ever smaller batches while it runs out of memory. */
  async fitting<T>(engine: Engine, action: (subject: Subject) => Promise<T>): Promise<T> {
    for (;;) {
      const { subject } = this;
      try {
        return await action(subject);
      } catch (error) {
        if (!(error instanceof OutOfMemoryError) || !(await this.makeSmaller(subject, engine))) throw error;
      }
    }
  }

  async makeSmaller(than: BatchedNetwork, engine: Engine): Promise<boolean> {
    // Somebody else has halved it since.
    if (than !== this.subject) return true;
    if (this.subject.batch > 1) {
      await this.halveTo(this.subject.batch >> 1);
      return true;
    }
    // The machine has more memory than its GPU.
    return engine instanceof FallbackEngine && engine.leave('memory ran out even for one sample at a time');
  }

  /** Undoes halvings: `subject` is what there was before them. */
  restore(subject: Subject): void {
    if (this.subject === subject) return;
    this.subject = subject;
    this.onHalved(null);
  }

  /** Cuts the samples into batches of `size`, where that is less than now. */
  async halveTo(size: number): Promise<void> {
    if (size >= this.subject.batch) return;
    this.subject = await this.subject.withBatch(size);
    this.onHalved(
      `the batch was lowered from ${this.whole} to ${size} samples, because memory ran out or would have; the result does not depend on it`,
    );
  }
}
