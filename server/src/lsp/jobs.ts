import { randomUUID } from 'node:crypto';
import type { AnalysisRequest } from '../../../protocol/analysis';
import type { JobEvent, JobId, ToCompute } from '../../../protocol/messages';
import { Questions } from '../jobs/question';
import { endedRun, isElsewhere, type RunStore, type StoredRun } from '../jobs/run-store';
import { AnalysisJob } from './analysis-job';
import { JobLog } from './job-log';
import { OneOffJob, type Job, type JobHooks } from './job';
import { fileStamp } from './results';

/** How long the server of a window that was closed may take to go, and how often it is looked for: milliseconds. */
const LEAVING = 15_000;
const LOOK = 250;

/**
 * The running jobs, one compute process each.
 *
 * Architecture invariant: nothing here waits for a compute process except to
 * see it go. It may block, run out of memory or crash; its job then goes on
 * from its journal, and after three times fails, and nothing else. Killing it
 * is how a job is cancelled, so that cancelling never depends on what it is
 * busy with.
 */
export class JobRegistry {
  private readonly jobs = new Map<JobId, Job>();
  private readonly questions: Questions;
  private again: NodeJS.Timeout | undefined;

  /** @param entry script of the compute process */
  constructor(
    private readonly entry: string,
    private readonly runs: RunStore,
    private readonly emit: (event: JobEvent) => void,
    private readonly log: (line: string) => void,
  ) {
    this.questions = new Questions(entry);
  }

  /** Starts a job. A checkpoint that is being analysed is not analysed again: the id of that job is returned. */
  start(task: ToCompute): JobId {
    return task.kind === 'analyze' ? this.analyze(task.request) : this.once(task);
  }

  private analyze(request: AnalysisRequest): JobId {
    const running = this.running(request.checkpoint);
    if (running !== undefined) return running;
    const now = Date.now();
    return this.run({
      id: randomUUID(),
      name: null,
      checkpoint: request.checkpoint,
      state: 'running',
      started: now,
      ended: null,
      limits: [],
      error: null,
      samples: request.options.data.samples,
      request,
      key: null,
      stamp: fileStamp(request.checkpoint),
      owner: process.pid,
      asked: now,
      resumed: 0,
      claims: 0,
    });
  }

  /**
   * Goes on with every run whose process is gone. Several windows may ask at
   * once; each run goes to one. The server of a window that is being reloaded
   * may still be about to go, so it is looked for again for a while.
   */
  async resume(until = Date.now() + LEAVING): Promise<void> {
    let leaving = false;
    for (const run of await this.runs.all()) {
      leaving ||= isElsewhere(run);
      const claimed = this.runs.claim(run, this.jobs.has(run.id));
      if (!claimed) continue;
      if (this.running(run.checkpoint) !== undefined) {
        // Asked for again meanwhile.
        this.runs.put(endedRun(claimed, 'cancelled', null));
        this.runs.removeJournal(run.id);
      } else {
        this.log(`analysis of ${run.checkpoint} goes on from its journal`);
        this.run(claimed);
      }
    }
    clearTimeout(this.again);
    if (leaving && Date.now() < until) this.again = setTimeout(() => void this.resume(until), LOOK);
  }

  /** Analyses that run now. */
  all(): { readonly job: JobId; readonly checkpoint: string }[] {
    return [...this.jobs].flatMap(([job, { analyses }]) =>
      analyses === undefined ? [] : [{ job, checkpoint: analyses }],
    );
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

  isRunning(id: JobId): boolean {
    return this.jobs.has(id);
  }

  /** The runs stay marked as running: whoever comes next goes on with them. */
  dispose(): void {
    clearTimeout(this.again);
    for (const job of this.jobs.values()) job.abandon();
  }

  private run(run: StoredRun): JobId {
    const { id, request } = run;
    const hooks = this.hooks(id, { kind: 'analyze', request });
    this.add(id, new AnalysisJob(this.entry, run, this.runs, this.questions, hooks));
    return id;
  }

  private once(task: ToCompute): JobId {
    const id = randomUUID();
    this.add(id, new OneOffJob(this.entry, task, this.hooks(id, task)));
    return id;
  }

  private add(id: JobId, job: Job): void {
    this.jobs.set(id, job);
    void job.begin();
  }

  private hooks(id: JobId, task: ToCompute): JobHooks {
    const { checkpoint } = task.request;
    const log = new JobLog(task.kind, checkpoint, this.log);
    log.started(task);
    return {
      event: (event, cached) => {
        log.told(event, cached);
        this.emit({ job: id, task: task.kind, checkpoint, event, ...(cached !== undefined && { cached }) });
      },
      // The job is forgotten before its end is told, so that a listener may start the next one.
      ended: () => this.jobs.delete(id),
      log: this.log,
    };
  }
}
