import type { AnalysisEvent, AnalysisRequest, AnalysisResult } from '../../../protocol/analysis';
import type { FromCompute, JobEvent } from '../../../protocol/messages';
import { ComputeProcess } from '../jobs/compute-process';
import type { Questions } from '../jobs/question';
import { endedRun, type RunStore, type StoredRun } from '../jobs/run-store';
import { deferred, type Job, type JobHooks } from './job';
import { fileStamp } from './results';
import { EventThrottle } from './throttle';

/** How often a job goes on after its compute process has died. */
const MOST_RESUMES = 3;

/**
 * An analysis: answered from before where it can be, else computed, and resumed
 * from its journal when its compute process dies.
 */
export class AnalysisJob implements Job {
  private compute: ComputeProcess | undefined;
  private readonly throttle: EventThrottle;
  private readonly gone = deferred();
  private cancelled = false;
  private finished = false;
  private abandoned = false;

  constructor(
    private readonly entry: string,
    private run: StoredRun,
    private readonly runs: RunStore,
    private readonly questions: Questions,
    private readonly hooks: JobHooks,
  ) {
    this.throttle = new EventThrottle((event) => hooks.event(event));
  }

  get analyses(): string {
    return this.run.checkpoint;
  }

  /** Answers at once what was answered before; else computes. */
  async begin(): Promise<void> {
    const { request } = this.run;
    const key = await this.questions.key(request);
    const before = key === null ? null : await this.runs.answered(key);
    const result = before && (await this.runs.result(before.id));
    if (this.isOver()) return;
    this.run = { ...this.run, key, stamp: fileStamp(request.checkpoint) };
    if (before && result) return this.repeat(before, asAsked(result, request));
    this.save();
    this.launch();
  }

  async cancel(): Promise<boolean> {
    if (this.finished) return false;
    this.cancelled = true;
    if (!this.compute) this.end('');
    else {
      this.compute.kill();
      await this.gone.promise;
    }
    return true;
  }

  abandon(): void {
    this.abandoned = true;
    this.compute?.kill();
  }

  private isOver(): boolean {
    return this.cancelled || this.finished || this.abandoned;
  }

  private launch(): void {
    const { id, key, request } = this.run;
    const path = key === null ? undefined : this.runs.journal(id);
    const compute = new ComputeProcess(
      this.entry,
      { kind: 'analyze', request, ...(path !== undefined && key !== null && { journal: { path, key } }) },
      {
        event: (event) => this.receive(event),
        log: (line) => this.hooks.log(`compute ${compute.pid}: ${line}`),
        gone: (failure) => {
          // Cancelled in the moment it was done, it is cancelled.
          if (failure !== null || this.cancelled) this.died(failure ?? '', path !== undefined);
          if (this.finished) this.gone.resolve();
        },
      },
    );
    this.compute = compute;
  }

  /** The process went without having told its end. */
  private died(failure: string, hasJournal: boolean): void {
    if (this.finished || this.abandoned) return;
    const { resumed } = this.run;
    if (this.cancelled || !hasJournal || resumed >= MOST_RESUMES) {
      this.end(resumed > 0 ? `${failure} (it was resumed ${resumed} times)` : failure);
      return;
    }
    this.run = { ...this.run, resumed: resumed + 1 };
    this.save();
    this.hooks.log(`${failure}; resumed from its journal, ${resumed + 1} of at most ${MOST_RESUMES} times`);
    this.launch();
  }

  private receive(event: FromCompute): void {
    if (this.isOver() || event.kind === 'pruned') return;
    if (event.kind === 'done') this.done(event.result);
    else if (event.kind === 'failed') this.fail(event);
    else this.throttle.push(event);
  }

  private done(result: AnalysisResult): void {
    // A checkpoint that changed meanwhile is another question.
    const changed = fileStamp(this.analyses) !== this.run.stamp;
    const run = { ...endedRun(this.named(), 'done', null), limits: limitsOf(result), asked: Date.now() };
    this.runs.putResult(changed ? { ...run, key: null } : run, result);
    this.finish({ kind: 'done', result });
  }

  /** The answer of a run from before. Of another file with the same content it becomes a run of its own. */
  private repeat(before: StoredRun, result: AnalysisResult): void {
    const { asked, stamp, checkpoint, id, started } = this.run;
    if (before.checkpoint === checkpoint) this.runs.put({ ...before, asked, stamp });
    else this.runs.putResult({ ...this.run, ...pickAnswer(before), id, started }, result);
    this.finish({ kind: 'done', result }, before.ended!);
  }

  private fail(event: AnalysisEvent & { kind: 'failed' }): void {
    this.save(endedRun(this.run, 'failed', event.error.message));
    this.finish(event);
  }

  private end(message: string): void {
    if (this.finished) return;
    if (this.cancelled) {
      this.save(endedRun(this.run, 'cancelled', null));
      this.finish({ kind: 'cancelled' });
    } else {
      this.fail({ kind: 'failed', error: { message, category: 'analysis' } });
    }
  }

  private save(run: StoredRun = this.run): void {
    this.runs.put({ ...run, name: this.named().name });
  }

  /** The user may have given the run another name meanwhile. */
  private named(): StoredRun {
    return { ...this.run, name: this.runs.known(this.run.id)?.name ?? null };
  }

  private finish(event: JobEvent['event'], cached?: number): void {
    this.throttle.flush();
    this.finished = true;
    this.runs.removeJournal(this.run.id);
    this.hooks.ended();
    this.hooks.event(event, cached);
  }
}

function limitsOf({ limits }: AnalysisResult): StoredRun['limits'] {
  return limits.map(({ operator, sparsity, interval, resolved }) => ({ operator, sparsity, interval, resolved }));
}

function pickAnswer({ state, ended, limits, key }: StoredRun): Pick<StoredRun, 'state' | 'ended' | 'limits' | 'key'> {
  return { state, ended, limits, key };
}

/** The same content may lie elsewhere. */
function asAsked(result: AnalysisResult, { checkpoint, options }: AnalysisRequest): AnalysisResult {
  const { path } = options.data;
  const measured = result.measured.map((split) => ({
    ...split,
    path: split.path === result.data.path ? path : (options.measure?.testData ?? split.path),
  }));
  return { ...result, checkpoint, options, data: { ...result.data, path }, measured };
}
