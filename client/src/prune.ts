import { t } from '@vscode/l10n';
import * as vscode from 'vscode';
import type { AnalysisResult, FailureMessage } from '../../protocol/analysis';
import type { JobEvent, PruneParams } from '../../protocol/messages';
import { limitText, percent } from '../../protocol/numbers';
import { progressText } from '../../protocol/phases';
import type { PruneResult } from '../../protocol/prune';
import { chooseCheckpoint, nameOf } from './checkpoint';
import type { Server } from './language-server';

/** How a pruning ended. */
type Outcome =
  | { readonly kind: 'pruned'; readonly result: PruneResult }
  | { readonly kind: 'failed'; readonly error: FailureMessage }
  | { readonly kind: 'cancelled' };

/** *Prune at Limit…*: asks where the pruned checkpoint goes, has the server write it, and says what it costs. */
export class Pruner {
  constructor(private readonly server: Server) {}

  /**
   * @param argument the checkpoint, as menus and code lenses name it
   * @param target where the pruned checkpoint goes; the user is asked when it is absent
   * @returns how it ended; undefined when nothing was begun
   */
  async run(argument: unknown, target?: unknown): Promise<Outcome['kind'] | undefined> {
    const checkpoint = await chooseCheckpoint(argument);
    if (!checkpoint) return undefined;
    const result = await this.server.result(checkpoint);
    if (!result) {
      void offerToCompute(checkpoint);
      return undefined;
    }
    const sparsity = await sparsityFor(result);
    if (sparsity === undefined) return undefined;
    const output = target instanceof vscode.Uri ? target : await chooseOutput(checkpoint);
    if (!output) return undefined;
    const params = { uri: checkpoint.toString(), output: output.toString(), sparsity, allowDisconnected: false };
    const outcome = await this.prune(params, output);
    // Whoever waits for the command does not wait for the answer to be read.
    void this.tell(params, output, outcome);
    return outcome.kind;
  }

  private prune(params: PruneParams, output: vscode.Uri): Thenable<Outcome> {
    const options = {
      location: vscode.ProgressLocation.Notification,
      title: t('Writing {0}', nameOf(output)),
      cancellable: true,
    };
    return vscode.window.withProgress(options, async (progress, token) => {
      const { promise: ended, resolve: end } = deferred<Outcome>();
      // Events may come before the answer that names the job.
      const events: JobEvent[] = [];
      let job: string | undefined;
      const receive = ({ event }: JobEvent): void => {
        if (event.kind === 'progress') progress.report({ message: progressText(event) });
        else if (event.kind === 'pruned' || event.kind === 'failed' || event.kind === 'cancelled') end(event);
      };
      const subscriptions = [
        this.server.onEvent((event) => {
          if (event.task !== 'prune') return;
          if (job === undefined) events.push(event);
          else if (event.job === job) receive(event);
        }),
        this.server.onStop(() => {
          const message = t('language server ended while the network was pruned: prune again');
          end({ kind: 'failed', error: { message, category: 'analysis' } });
        }),
      ];
      try {
        const answer = await this.server.prune(params);
        if ('error' in answer) return { kind: 'failed', error: answer.error };
        job = answer.job;
        const id = answer.job;
        for (const event of events) if (event.job === id) receive(event);
        const cancel = (): void => void this.server.cancelJob(id);
        subscriptions.push(token.onCancellationRequested(cancel));
        if (token.isCancellationRequested) cancel();
        return await ended;
      } finally {
        for (const subscription of subscriptions) subscription.dispose();
      }
    });
  }

  private async tell(params: PruneParams, output: vscode.Uri, outcome: Outcome): Promise<void> {
    if (outcome.kind === 'pruned') {
      const show = t('Show Layers');
      const picked = await vscode.window.showInformationMessage(writtenText(output, outcome.result), show);
      if (picked === show) await vscode.commands.executeCommand('pruningLimit.showLayers', output);
    } else if (outcome.kind === 'failed') {
      const { message, reason } = outcome.error;
      const anyway = t('Prune Anyway');
      const buttons = reason === 'disconnected' ? [anyway] : [t('Show Output')];
      const picked = await vscode.window.showErrorMessage(message, ...buttons);
      if (picked === t('Show Output')) this.server.showOutput();
      if (picked !== anyway) return;
      const again = { ...params, allowDisconnected: true };
      await this.tell(again, output, await this.prune(again, output));
    }
  }
}

function writtenText(output: vscode.Uri, { sparsity, kept, weights, measured }: PruneResult): string {
  const share = (correct: number): string => percent(correct / measured!.samples, 2);
  const cost = measured
    ? ` ${t('Accuracy on the samples of the analysis: {0} → {1}.', share(measured.before.correct), share(measured.after.correct))}`
    : '';
  const written = t(
    '{0} was written: {1} of the weights are zero, {2} of {3} are kept.',
    vscode.workspace.asRelativePath(output),
    percent(sparsity),
    kept.toLocaleString('en'),
    weights.toLocaleString('en'),
  );
  return written + cost;
}

/** Null for the limit; where that is no number the user gives one. Undefined when they do not. */
async function sparsityFor({ limits: [limit] }: AnalysisResult): Promise<number | null | undefined> {
  if (limit?.resolved) return null;
  const text = await vscode.window.showInputBox({
    title: t('Prune'),
    prompt: limit
      ? t('The limit is not resolved: it lies {0}. Sparsity to prune to, in percent', limitText(limit))
      : t('No limit was computed. Sparsity to prune to, in percent'),
    value: limit ? (Math.floor(limit.interval[0] * 1000) / 10).toString() : '50',
    validateInput: (value) => (toFraction(value) === undefined ? t('A number from 0 to 100') : undefined),
  });
  return text === undefined ? undefined : toFraction(text);
}

function toFraction(text: string): number | undefined {
  const value = text.trim() === '' ? NaN : Number(text.replace('%', '')) / 100;
  return value >= 0 && value <= 1 ? value : undefined;
}

function chooseOutput(checkpoint: vscode.Uri): Thenable<vscode.Uri | undefined> {
  const [, stem, ending] = /^(.+?)((?:\.safetensors\.index)?\.[^.]*)?$/.exec(nameOf(checkpoint))!;
  return vscode.window.showSaveDialog({
    title: t('Save Pruned Checkpoint'),
    // In its own format; to ONNX where the name is made to end so.
    defaultUri: vscode.Uri.joinPath(checkpoint, '..', `${stem}-pruned${ending ?? ''}`),
  });
}

async function offerToCompute(checkpoint: vscode.Uri): Promise<void> {
  const compute = t('Compute Pruning Limit');
  const text = t('The limit of {0} is not known yet.', nameOf(checkpoint));
  const picked = await vscode.window.showInformationMessage(text, compute);
  if (picked === compute) await vscode.commands.executeCommand('pruningLimit.compute', checkpoint);
}

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((done) => (resolve = done));
  return { promise, resolve };
}
