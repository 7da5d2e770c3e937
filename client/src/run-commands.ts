import { t } from '@vscode/l10n';
import * as vscode from 'vscode';
import type { EditAnswer } from '../../protocol/messages';
import type { Run } from '../../protocol/runs';
import type { Jobs } from './jobs';
import type { Server } from './language-server';
import type { LimitPanels } from './panel';
import type { RunPanels } from './run-panel';
import { titleOf, type RunsView } from './runs';

/** What can be done with runs, from their view. */
export class RunCommands {
  constructor(
    private readonly server: Server,
    private readonly jobs: Jobs,
    private readonly view: RunsView,
    private readonly reports: RunPanels,
    private readonly panels: LimitPanels,
  ) {}

  /** The live panel of a run that is running, the report of one that is done; why one failed. */
  async open(argument: unknown): Promise<void> {
    const [run] = this.view.chosen(argument, undefined);
    if (!run) return;
    if (run.state === 'done') this.reports.show([run]);
    else if (run.state === 'failed') await this.explain(run);
    else this.panels.show(vscode.Uri.file(run.checkpoint));
  }

  /** The selected runs side by side; without a selection the user picks them. */
  async compare(argument: unknown, selected: unknown): Promise<void> {
    let runs: readonly Run[] = this.view.chosen(argument, selected).filter(({ state }) => state === 'done');
    if (runs.length < 2) runs = await this.pick(runs);
    if (runs.length > 1) this.reports.show(runs);
  }

  async rename(argument: unknown): Promise<void> {
    const [run] = this.view.chosen(argument, undefined);
    if (!run) return;
    const name = await vscode.window.showInputBox({
      title: t('Rename Run'),
      prompt: t('Leave it empty for the name of the checkpoint.'),
      value: titleOf(run),
    });
    if (name !== undefined) await this.tell(await this.server.renameRun(run.id, name));
  }

  async delete(argument: unknown, selected: unknown): Promise<void> {
    const runs = this.view.chosen(argument, selected).filter(({ state }) => state !== 'running');
    const [run] = runs;
    if (!run) return;
    const question = runs.length > 1 ? t('Delete {0} runs?', runs.length) : t('Delete the run "{0}"?', titleOf(run));
    const detail = t('Their results go with them; the same question is then computed anew. Checkpoints and data stay.');
    const yes = t('Delete');
    if ((await vscode.window.showWarningMessage(question, { modal: true, detail }, yes)) !== yes) return;
    for (const { id } of runs) await this.tell(await this.server.deleteRun(id));
  }

  async cancel(argument: unknown): Promise<void> {
    const [run] = this.view.chosen(argument, undefined);
    if (run) await this.jobs.cancel(vscode.Uri.file(run.checkpoint));
  }

  private async pick(chosen: readonly Run[]): Promise<readonly Run[]> {
    const done = (await this.server.runs()).filter(({ state }) => state === 'done');
    if (done.length < 2) {
      void vscode.window.showInformationMessage(t('Two finished runs are needed for a comparison.'));
      return [];
    }
    const items = done.map((run) => ({
      label: titleOf(run),
      description: new Date(run.started).toLocaleString(vscode.env.language),
      picked: chosen.some(({ id }) => id === run.id),
      run,
    }));
    const options = { title: t('Compare Runs'), placeHolder: t('Two or more runs'), canPickMany: true } as const;
    const picked = await vscode.window.showQuickPick(items, options);
    return picked?.map(({ run }) => run) ?? [];
  }

  private async explain(run: Run): Promise<void> {
    const output = t('Show Output');
    if ((await vscode.window.showErrorMessage(run.error ?? t('The run failed.'), output)) === output) {
      this.server.showOutput();
    }
  }

  private async tell(answer: EditAnswer): Promise<void> {
    if ('error' in answer) await vscode.window.showErrorMessage(answer.error.message);
  }
}
