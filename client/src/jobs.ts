import { t } from '@vscode/l10n';
import * as vscode from 'vscode';
import type { AnalysisEvent, AnalysisOptions, AnalysisResult, FailureMessage } from '../../protocol/analysis';
import type { JobEvent, JobId, ToPanel } from '../../protocol/messages';
import { progressText } from '../../protocol/phases';
import { nameOf } from './checkpoint';
import type { Server } from './language-server';

/** How an analysis ended. */
export type Outcome =
  | { readonly kind: 'done'; readonly result: AnalysisResult; readonly cached?: number }
  | { readonly kind: 'failed'; readonly error: FailureMessage }
  | { readonly kind: 'cancelled' };

/** What a job looks like from outside, for whoever starts to watch in the middle. */
interface Watched {
  readonly checkpoint: vscode.Uri;
  running: ToPanel & { kind: 'running' };
  partial: (ToPanel & { kind: 'partial' }) | undefined;
}

const LOST: Outcome = {
  kind: 'failed',
  error: { message: t('language server ended while the analysis ran: compute again'), category: 'analysis' },
};

interface Job extends Watched {
  id: JobId;
  readonly end: (outcome: Outcome) => void;
  readonly ended: Promise<Outcome>;
  report: (value: { message: string; increment: number }) => void;
}

/** How long a server that is gone may take to come back, in milliseconds. */
const RESTART = 20_000;

/** The analyses that run: one per checkpoint, each with a notification that cancels it. */
export class Jobs implements vscode.Disposable {
  private readonly jobs = new Map<string, Job>();
  /** How jobs ended that nobody had asked about yet: an answer from before may be faster than the job's name. */
  private readonly outcomes = new Map<JobId, Outcome>();
  private readonly changes = new vscode.EventEmitter<{ checkpoint: vscode.Uri; change: ToPanel }>();
  /** Everything a panel shows, as it happens. */
  readonly onChange = this.changes.event;
  private readonly fromCache = new Map<string, number>();
  private restart: NodeJS.Timeout | undefined;

  constructor(private readonly server: Server) {
    server.onEvent((event) => this.receive(event));
    server.onStop(() => {
      clearTimeout(this.restart);
      this.restart = setTimeout(() => this.giveUp(), RESTART);
    });
  }

  dispose(): void {
    clearTimeout(this.restart);
    this.changes.dispose();
  }

  /** The job of a checkpoint as it stands. */
  watch(checkpoint: vscode.Uri): Readonly<Watched> | undefined {
    return this.jobs.get(checkpoint.toString());
  }

  /** Checkpoints that are being analysed. */
  running(): readonly Readonly<Watched>[] {
    return [...this.jobs.values()];
  }

  /** When the answer that this window got last was computed, if it came from the cache. */
  cached(checkpoint: vscode.Uri): number | undefined {
    return this.fromCache.get(checkpoint.toString());
  }

  /** Starts an analysis and resolves when it has ended. */
  async run(checkpoint: vscode.Uri, options: AnalysisOptions): Promise<Outcome> {
    const before = this.jobs.get(checkpoint.toString());
    if (before) return before.ended;
    const id = await this.server.startJob({ checkpoint: checkpoint.fsPath, options });
    return this.outcomes.get(id) ?? this.adopt(id, checkpoint).ended;
  }

  /** Goes on with what a reload of the window, or the end of the server, has interrupted. */
  async resume(): Promise<void> {
    const jobs = await this.server.resume();
    clearTimeout(this.restart);
    const found = new Set(jobs.map(({ job }) => job));
    for (const { job, checkpoint } of jobs) this.adopt(job, vscode.Uri.file(checkpoint));
    for (const job of [...this.jobs.values()]) if (!found.has(job.id)) this.finish(job, LOST);
  }

  private giveUp(): void {
    for (const job of [...this.jobs.values()]) this.finish(job, LOST);
  }

  /** The job as it is known here, from now on if it was not. */
  private adopt(id: JobId, checkpoint: vscode.Uri): Job {
    const key = checkpoint.toString();
    const existing = this.jobs.get(key);
    if (existing) {
      existing.id = id;
      return existing;
    }
    let end: Job['end'] = () => undefined;
    const ended = new Promise<Outcome>((resolve) => (end = resolve));
    const running = {
      kind: 'running',
      phase: null,
      message: t('Starting'),
      fraction: null,
      elapsed: 0,
      remaining: null,
    };
    const job: Job = {
      id,
      checkpoint,
      running: running as Watched['running'],
      partial: undefined,
      end,
      ended,
      report: () => undefined,
    };
    this.jobs.set(key, job);
    this.change(job, job.running);
    void this.showProgress(job);
    return job;
  }

  /** Ends a checkpoint's analysis at once. */
  async cancel(checkpoint: vscode.Uri): Promise<void> {
    const job = this.jobs.get(checkpoint.toString());
    if (job && !(await this.server.cancelJob(job.id))) await job.ended;
  }

  private showProgress(job: Job): Thenable<Outcome> {
    return vscode.window.withProgress(
      {
        location: vscode.ProgressLocation.Notification,
        title: t('Pruning limit of {0}', nameOf(job.checkpoint)),
        cancellable: true,
      },
      (progress, token) => {
        job.report = (value) => progress.report(value);
        token.onCancellationRequested(() => void this.cancel(job.checkpoint));
        return job.ended;
      },
    );
  }

  private receive({ job: id, task, checkpoint, event, cached }: JobEvent): void {
    if (task !== 'analyze') return;
    const job = this.adopt(id, vscode.Uri.file(checkpoint));
    switch (event.kind) {
      case 'progress':
        this.progress(job, event);
        break;
      case 'partial':
        job.partial = event;
        this.change(job, event);
        break;
      case 'warning':
      case 'pruned':
        break;
      default:
        this.finish(job, cached === undefined || event.kind !== 'done' ? event : { ...event, cached });
    }
  }

  private progress(job: Job, event: AnalysisEvent & { kind: 'progress' }): void {
    const before = job.running.fraction ?? 0;
    // What is to come is an estimate; it never takes back what was shown.
    const fraction = event.total > 0 ? Math.max(before, Math.min(1, event.done / event.total)) : null;
    const message = progressText(event);
    job.running = {
      kind: 'running',
      phase: event.phase,
      message,
      fraction,
      elapsed: event.elapsed,
      // Too early an estimate is noise.
      remaining: fraction !== null && fraction > 0.02 ? (event.elapsed * (1 - fraction)) / fraction : null,
    };
    job.report({ message, increment: ((fraction ?? before) - before) * 100 });
    this.change(job, job.running);
  }

  private finish(job: Job, outcome: Outcome): void {
    const key = job.checkpoint.toString();
    this.jobs.delete(key);
    if (outcome.kind === 'done') {
      if (outcome.cached === undefined) this.fromCache.delete(key);
      else this.fromCache.set(key, outcome.cached);
    }
    this.outcomes.set(job.id, outcome);
    const [oldest] = this.outcomes.keys();
    if (this.outcomes.size > 20 && oldest !== undefined) this.outcomes.delete(oldest);
    this.change(job, outcome);
    job.end(outcome);
  }

  private change(job: Job, change: ToPanel): void {
    this.changes.fire({ checkpoint: job.checkpoint, change });
  }
}
