import type { FromCompute, JobEvent, ToCompute } from '../../../protocol/messages';
import { ComputeProcess } from '../jobs/compute-process';
import { eventInEditorTerms } from './editor-terms';
import { EventThrottle } from './throttle';

/** Something that a compute process does. */
export interface Job {
  /** The checkpoint that it analyses; undefined for other jobs. */
  readonly analyses: string | undefined;
  begin(): void | Promise<void>;
  /** Ends it at once; resolves when its compute process is gone; false when the job had ended before. */
  cancel(): Promise<boolean>;
  /** The server goes. */
  abandon(): void;
}

export interface JobHooks {
  /** @param cached of `done`: when this was computed, if it was before */
  event(event: JobEvent['event'], cached?: number): void;
  ended(): void;
  log(line: string): void;
}

/** A job that nothing is kept of: when its process dies, it has failed. */
export class OneOffJob implements Job {
  readonly analyses = undefined;
  private compute: ComputeProcess | undefined;
  private readonly throttle: EventThrottle<FromCompute>;
  private readonly gone = deferred();
  private finished = false;

  constructor(
    private readonly entry: string,
    private readonly task: ToCompute,
    private readonly hooks: JobHooks,
  ) {
    this.throttle = new EventThrottle<FromCompute>((event) => hooks.event(event));
  }

  begin(): void {
    const compute = new ComputeProcess(this.entry, this.task, {
      event: (event) => this.receive(event),
      log: (line) => this.hooks.log(`compute ${compute.pid}: ${line}`),
      gone: (failure) => {
        if (failure !== null) this.receive({ kind: 'failed', error: { message: failure, category: 'analysis' } });
        this.gone.resolve();
      },
    });
    this.compute = compute;
  }

  async cancel(): Promise<boolean> {
    if (this.finished) return false;
    this.abandon();
    this.finish({ kind: 'cancelled' });
    await this.gone.promise;
    return true;
  }

  abandon(): void {
    this.compute?.kill();
  }

  private receive(told: FromCompute): void {
    const event = eventInEditorTerms(told);
    if (this.finished) return;
    if (event.kind === 'done' || event.kind === 'pruned' || event.kind === 'failed') this.finish(event);
    else this.throttle.push(event);
  }

  private finish(event: JobEvent['event']): void {
    if (this.finished) return;
    this.throttle.flush();
    this.finished = true;
    this.hooks.ended();
    this.hooks.event(event);
  }
}

export function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}
