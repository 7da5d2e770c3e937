import { t } from '@vscode/l10n';
import * as vscode from 'vscode';
import type { FromRuns, ToRuns } from '../../protocol/messages';
import type { Run } from '../../protocol/runs';
import { saveExport } from './export';
import type { Server } from './language-server';
import { mediaRoot, pageHtml } from './panel-html';
import { titleOf } from './runs';

export const RUNS_PANEL = 'pruningLimit.runPanel';

/** Reports of past runs: one, or several side by side. They come back after a reload of the window. */
export class RunPanels implements vscode.WebviewPanelSerializer, vscode.Disposable {
  private readonly registration: vscode.Disposable;

  constructor(
    private readonly extension: vscode.Uri,
    private readonly server: Server,
  ) {
    this.registration = vscode.window.registerWebviewPanelSerializer(RUNS_PANEL, this);
  }

  dispose(): void {
    this.registration.dispose();
  }

  show(runs: readonly Run[]): void {
    const panel = vscode.window.createWebviewPanel(RUNS_PANEL, '', vscode.ViewColumn.Active);
    this.adopt(
      panel,
      runs.map(({ id }) => id),
    );
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const runs = (state as { runs?: unknown } | undefined)?.runs;
    if (Array.isArray(runs) && runs.every((id) => typeof id === 'string')) this.adopt(panel, runs as string[]);
    else panel.dispose();
  }

  private adopt(panel: vscode.WebviewPanel, ids: readonly string[]): void {
    const icon = (theme: string) => vscode.Uri.joinPath(this.extension, 'media', `panel-${theme}.svg`);
    panel.title = ids.length > 1 ? t('Comparison') : t('Run');
    panel.iconPath = { light: icon('light'), dark: icon('dark') };
    panel.webview.options = { enableScripts: true, localResourceRoots: [mediaRoot(this.extension)] };
    panel.webview.onDidReceiveMessage(async (message: FromRuns) => {
      if (message.kind === 'ready') await this.bring(panel, ids);
      else if (message.kind === 'openLayers') {
        const checkpoint = vscode.Uri.file(message.checkpoint).toString();
        await vscode.commands.executeCommand('pruningLimit.showLayers', checkpoint, message.layer);
      } else {
        await saveExport(vscode.Uri.file(message.checkpoint), message);
      }
    });
    panel.webview.html = pageHtml(panel.webview, this.extension, 'runs', { runs: JSON.stringify(ids) });
  }

  private async bring(panel: vscode.WebviewPanel, ids: readonly string[]): Promise<void> {
    const known = new Map((await this.server.runs()).map((run) => [run.id, run]));
    const runs: ToRuns['runs'][number][] = [];
    for (const id of ids) {
      const run = known.get(id);
      const result = run && (await this.server.runResult(id));
      if (run && result) runs.push({ title: titleOf(run), started: run.started, result });
    }
    const [first] = runs;
    if (first) panel.title = runs.length > 1 ? t('Comparison of {0} runs', runs.length) : t('Run: {0}', first.title);
    await panel.webview.postMessage({ kind: 'runs', runs } satisfies ToRuns);
  }
}
