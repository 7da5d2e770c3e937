import * as vscode from 'vscode';
import type { AnalysisEvent, AnalysisOptions, AnalysisResult, FailureMessage } from '../../protocol/analysis';
import type { JobEvent, JobId, ToPanel } from '../../protocol/messages';
import { progressText } from '../../protocol/phases';
import { nameOf } from './checkpoint';
import type { Server } from './language-server';

/** How an analysis ended. */
export type Outcome =
  | { readonly kind: 'done'; readonly result: AnalysisResult }
  | { readonly kind: 'failed'; readonly error: FailureMessage }
  | { readonly kind: 'cancelled' };

/** What a job looks like from outside, for whoever starts to watch in the middle. */
interface Watched {
  readonly checkpoint: vscode.Uri;
  running: ToPanel & { kind: 'running' };
  partial: (ToPanel & { kind: 'partial' }) | undefined;
}

interface Job extends Watched {
  readonly id: JobId;
  readonly end: (outcome: Outcome) => void;
  readonly ended: Promise<Outcome>;
  report: (value: { message: string; increment: number }) => void;
}

/** The analyses the user started: one per checkpoint, each with a notification that cancels it. */
export class Jobs implements vscode.Disposable {
  private readonly jobs = new Map<string, Job>();
  /** Events that arrive before the answer that names their job. */
  private readonly early: JobEvent[] = [];
  private readonly changes = new vscode.EventEmitter<{ checkpoint: vscode.Uri; change: ToPanel }>();
  /** Everything a panel shows, as it happens. */
  readonly onChange = this.changes.event;

  constructor(private readonly server: Server) {
    server.onEvent((event) => this.receive(event));
    server.onStop(() => {
      const message = 'language server ended while the analysis ran: compute again';
      for (const job of [...this.jobs.values()]) {
        this.finish(job, { kind: 'failed', error: { message, category: 'analysis' } });
      }
    });
  }

  dispose(): void {
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

  /** Starts an analysis and resolves when it has ended. */
  async run(checkpoint: vscode.Uri, options: AnalysisOptions): Promise<Outcome> {
    const key = checkpoint.toString();
    const before = this.jobs.get(key);
    if (before) return before.ended;
    const id = await this.server.startJob({ checkpoint: checkpoint.fsPath, options });
    const existing = this.jobs.get(key);
    if (existing) return existing.ended;
    let end: Job['end'] = () => undefined;
    const ended = new Promise<Outcome>((resolve) => (end = resolve));
    const running = { kind: 'running', phase: null, message: 'Starting', fraction: null, elapsed: 0, remaining: null };
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
    for (const event of this.early.splice(0)) this.receive(event);
    return ended;
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
        title: `Pruning limit of ${nameOf(job.checkpoint)}`,
        cancellable: true,
      },
      (progress, token) => {
        job.report = (value) => progress.report(value);
        token.onCancellationRequested(() => void this.cancel(job.checkpoint));
        return job.ended;
      },
    );
  }

  private receive(event: JobEvent): void {
    if (event.task !== 'analyze') return;
    const job = [...this.jobs.values()].find(({ id }) => id === event.job);
    if (!job) {
      // Bounded: a job that is never claimed must not fill the memory.
      if (this.early.push(event) > 100) this.early.shift();
      return;
    }
    const { event: content } = event;
    switch (content.kind) {
      case 'progress':
        this.progress(job, content);
        break;
      case 'partial':
        job.partial = content;
        this.change(job, content);
        break;
      case 'warning':
      case 'pruned':
        break;
      default:
        this.finish(job, content);
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
    this.jobs.delete(job.checkpoint.toString());
    this.change(job, outcome);
    job.end(outcome);
  }

  private change(job: Job, change: ToPanel): void {
    this.changes.fire({ checkpoint: job.checkpoint, change });
  }
}
