import { join } from 'node:path';
import type { FailureMessage } from '../../../protocol/analysis';
import type { FromCompute, ToCompute } from '../../../protocol/messages';
import { ComputeProcess } from '../jobs/compute-process';
import type { ProgressDisplay } from './terminal';

/** The event that ends a job well. */
export type Ending = Extract<FromCompute, { readonly kind: 'done' | 'pruned' }>;
export type Outcome = Ending | { readonly kind: 'failed'; readonly error: FailureMessage };

/** What a process that ended by a signal says of it, as shells have it. */
const SIGNAL_STATUS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
/** How long an interrupt waits for the compute process to be gone, in milliseconds. */
const GRACE = 500;

/** Runs a job in a compute process, with its progress on the display; an interrupt ends both processes at once. */
export function runJob(task: ToCompute, display: ProgressDisplay): Promise<Outcome> {
  return new Promise((resolve) => {
    let interrupted: number | undefined;
    const compute = new ComputeProcess(join(__dirname, 'compute.js'), task, {
      event: (event) => {
        if (interrupted !== undefined) return;
        if (event.kind === 'done' || event.kind === 'pruned' || event.kind === 'failed') resolve(event);
        else display.show(event);
      },
      log: () => undefined,
      gone: (failure) => {
        if (interrupted !== undefined) process.exit(interrupted);
        if (failure !== null) resolve({ kind: 'failed', error: { message: failure, category: 'analysis' } });
      },
    });
    for (const [signal, status] of Object.entries(SIGNAL_STATUS)) {
      process.on(signal, () => {
        if (interrupted !== undefined) process.exit(status);
        interrupted = status;
        display.clear();
        compute.kill();
        // Killed for certain, but freeing gigabytes takes the system a while.
        setTimeout(() => process.exit(status), GRACE);
      });
    }
  });
}
