import type { FailureMessage } from '../../../protocol/analysis';
import { visible } from '../report/layout';

/** Exit statuses: of what is done, of a failed analysis, of bad usage or input. */
export const EXIT = { done: 0, analysis: 1, input: 2 } as const;

/**
 * A reader that goes, as `head` does, is no failure of ours. Without an end
 * that anybody reads there is nothing left to do; without an audience for the
 * progress there is.
 */
export function surviveClosedPipes(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') fail({ message: `output not written: ${error.message}`, category: 'analysis' });
    process.exit();
  });
  process.stderr.on('error', () => undefined);
}

/** Resolves when the text has left the process: a pipe may be slower than we are. */
export function write(text: string): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(text, (error) => {
      // A failure is told by the stream's own event.
      if (!error) resolve();
    });
  });
}

/** One sentence, and the exit status. */
export function fail({ message, category }: FailureMessage): void {
  process.stderr.write(`pruning-limit: ${visible(message)}\n`);
  process.exitCode = EXIT[category];
}
