import { Session } from 'node:inspector';

/**
 * Which blocks of the code have run, by V8's own counters: what makes an input
 * worth keeping is that it reached a block which none before it reached.
 */
export class Coverage {
  private readonly session = new Session();
  private readonly seen = new Set<string>();

  constructor() {
    this.session.connect();
    this.session.post('Profiler.enable');
    this.session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Blocks that have run for the first time since the last call. */
  take(): string[] {
    const fresh = this.counted().filter((block) => !this.seen.has(block));
    for (const block of fresh) this.seen.add(block);
    return fresh;
  }

  /** Those of `blocks` that have run since the last call. */
  ran(blocks: ReadonlySet<string>): string[] {
    return this.counted().filter((block) => blocks.has(block));
  }

  close(): void {
    this.session.disconnect();
  }

  /** Blocks that have run since the last call. */
  private counted(): string[] {
    const blocks: string[] = [];
    this.session.post('Profiler.takePreciseCoverage', (error, { result }) => {
      if (error !== null) throw error;
      for (const { url, scriptId, functions } of result) {
        // Node's own code is as it is.
        if (url.startsWith('node:')) continue;
        for (const { ranges } of functions) {
          for (const { count, startOffset, endOffset } of ranges) {
            if (count > 0) blocks.push(`${scriptId}:${startOffset}:${endOffset}`);
          }
        }
      }
    });
    return blocks;
  }
}
