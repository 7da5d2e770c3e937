import type { AnalysisEvent, AnalysisRequest, AnalysisResult } from '../../../protocol/analysis';
import type { FromCompute, JobEvent } from '../../../protocol/messages';
import { ComputeProcess } from '../jobs/compute-process';
import type { Questions } from '../jobs/question';
import { endedRun, type RunStore, type StoredRun } from '../jobs/run-store';
import { deferred, type Job, type JobHooks } from './job';
import { eventInEditorTerms, inEditorTerms } from './editor-terms';
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
  /** Of the process that runs. */
  private gone: Promise<void> = Promise.resolve();
  private readonly throttle: EventThrottle;
  /** Why a process died, the most telling of several. */
  private cause = '';
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
    await this.ask();
    const { key, request } = this.run;
    const before = key === null ? null : await this.runs.answered(key);
    const result = before && (await this.runs.result(before.id));
    if (this.isOver()) return;
    if (before && result) return this.repeat(before, asAsked(result, request));
    this.save();
    this.launch();
  }

  /** Told at once, whatever the process is busy with; the journal goes with the process. */
  async cancel(): Promise<boolean> {
    if (this.isOver()) return false;
    this.compute?.kill();
    this.save(endedRun(this.run, 'cancelled', null));
    this.finish({ kind: 'cancelled' });
    await this.gone;
    this.runs.removeJournal(this.run.id);
    return true;
  }

  abandon(): void {
    this.abandoned = true;
    this.compute?.kill();
  }

  private isOver(): boolean {
    return this.finished || this.abandoned;
  }

  /** What is asked, by the contents of the files as they are now. */
  private async ask(): Promise<void> {
    const { request } = this.run;
    // Before they are read: what changes meanwhile is another question.
    const stamp = fileStamp(request.checkpoint);
    const key = await this.questions.key(request);
    this.run = { ...this.run, key, stamp };
  }

  private launch(): void {
    const { id, key, request } = this.run;
    const path = key === null ? undefined : this.runs.journal(id);
    const gone = deferred();
    this.gone = gone.promise;
    const compute = new ComputeProcess(
      this.entry,
      { kind: 'analyze', request, ...(path !== undefined && key !== null && { journal: { path, key } }) },
      {
        event: (event) => this.receive(event),
        log: (line) => this.hooks.log(`compute ${compute.pid}: ${line}`),
        gone: (failure) => {
          gone.resolve();
          if (failure !== null) void this.died(failure, path !== undefined);
        },
      },
    );
    this.compute = compute;
  }

  /** The process went without having told its end. */
  private async died(failure: string, hasJournal: boolean): Promise<void> {
    if (this.isOver()) return;
    const { resumed, key } = this.run;
    // Where memory is short, it may show in other ways besides.
    if (!this.cause.includes('memory')) this.cause = failure;
    if (!hasJournal || resumed >= MOST_RESUMES) {
      const message = resumed > 0 ? `${this.cause} (it was resumed ${resumed} times)` : this.cause;
      this.fail({ kind: 'failed', error: { message: inEditorTerms(message), category: 'analysis' } });
      return;
    }
    // The journal of another question is begun anew: its products are those of other weights or samples.
    await this.ask();
    if (this.isOver()) return;
    this.run = { ...this.run, resumed: resumed + 1 };
    this.save();
    const how = this.run.key === key ? 'resumed from its journal' : 'begun again, since its files have changed';
    this.hooks.log(`${failure}; ${how}, ${resumed + 1} of at most ${MOST_RESUMES} times`);
    this.launch();
  }

  private receive(told: FromCompute): void {
    const event = eventInEditorTerms(told);
    if (this.isOver() || event.kind === 'pruned') return;
    if (event.kind === 'done') void this.done(event.result);
    else if (event.kind === 'failed') this.fail(event);
    else this.throttle.push(event);
  }

  private async done(result: AnalysisResult): Promise<void> {
    // Files that changed meanwhile are another question.
    const { key, request } = this.run;
    const answered = key !== null && (await this.questions.key(request)) === key ? key : null;
    if (this.isOver()) return;
    const run = { ...endedRun(this.named(), 'done', null), limits: limitsOf(result), asked: Date.now() };
    this.runs.putResult({ ...run, key: answered }, result);
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
