import { randomUUID } from 'node:crypto';
import type { FromCompute, JobEvent, JobId, ToCompute } from '../../../protocol/messages';
import { ComputeProcess } from '../jobs/compute-process';
import { fileStamp } from './results';
import { EventThrottle } from './throttle';

/**
 * The running jobs, one compute process each.
 *
 * Architecture invariant: nothing here waits for a compute process except to
 * see it go. It may block, run out of memory or crash; that ends its job and
 * nothing else. Killing it is how a job is cancelled, so that cancelling never
 * depends on what it is busy with.
 */
export class JobRegistry {
  private readonly jobs = new Map<JobId, Job>();

  /** @param entry script of the compute process */
  constructor(
    private readonly entry: string,
    /** `stamp` is the state of the checkpoint's file when the job began. */
    private readonly emit: (event: JobEvent, stamp: string) => void,
    private readonly log: (line: string) => void,
  ) {}

  /** Starts a job. A checkpoint that is being analysed is not analysed again: the id of that job is returned. */
  start(task: ToCompute): JobId {
    const { checkpoint } = task.request;
    const running = task.kind === 'analyze' ? this.running(checkpoint) : undefined;
    if (running !== undefined) return running;
    const id = randomUUID();
    const stamp = fileStamp(checkpoint);
    const job = new Job(this.entry, task, {
      event: (event) => this.emit({ job: id, task: task.kind, checkpoint, event }, stamp),
      // The job is forgotten before its end is told, so that a listener may start the next one.
      ended: () => this.jobs.delete(id),
      log: this.log,
    });
    this.jobs.set(id, job);
    return id;
  }

  /** Resolves when the compute process is gone; false when there was none any more. */
  async cancel(id: JobId): Promise<boolean> {
    return (await this.jobs.get(id)?.cancel()) ?? false;
  }

  /** The analysis of a checkpoint. */
  running(checkpoint: string): JobId | undefined {
    for (const [id, job] of this.jobs) if (job.analyses === checkpoint) return id;
    return undefined;
  }

  dispose(): void {
    for (const job of this.jobs.values()) job.kill();
  }
}

interface JobHooks {
  event(event: JobEvent['event']): void;
  ended(): void;
  log(line: string): void;
}

class Job {
  /** The checkpoint that it analyses; undefined for other jobs. */
  readonly analyses: string | undefined;
  private readonly compute: ComputeProcess;
  private readonly throttle: EventThrottle<FromCompute>;
  private readonly gone: Promise<void>;
  private cancelled = false;
  private finished = false;

  constructor(
    entry: string,
    task: ToCompute,
    private readonly hooks: JobHooks,
  ) {
    this.analyses = task.kind === 'analyze' ? task.request.checkpoint : undefined;
    this.throttle = new EventThrottle<FromCompute>((event) => hooks.event(event));
    const { promise, resolve } = deferred();
    this.gone = promise;
    this.compute = new ComputeProcess(entry, task, {
      event: (event) => this.receive(event),
      log: (line) => hooks.log(`compute ${this.compute.pid}: ${line}`),
      gone: (failure) => {
        if (failure !== null) this.end(failure);
        resolve();
      },
    });
  }

  async cancel(): Promise<boolean> {
    if (this.finished) return false;
    this.cancelled = true;
    this.kill();
    await this.gone;
    return true;
  }

  kill(): void {
    this.compute.kill();
  }

  private receive(event: FromCompute): void {
    if (this.finished || this.cancelled) return;
    if (event.kind === 'done' || event.kind === 'pruned' || event.kind === 'failed') this.finish(event);
    else this.throttle.push(event);
  }

  /** The process is gone without having told its end: it was cancelled, or has failed. */
  private end(message: string): void {
    if (this.finished) return;
    this.finish(this.cancelled ? { kind: 'cancelled' } : { kind: 'failed', error: { message, category: 'analysis' } });
  }

  private finish(event: JobEvent['event']): void {
    this.throttle.flush();
    this.finished = true;
    this.hooks.ended();
    this.hooks.event(event);
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}
