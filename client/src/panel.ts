import { t } from '@vscode/l10n';
import * as vscode from 'vscode';
import type { FromPanel, ToPanel } from '../../protocol/messages';
import { nameOf } from './checkpoint';
import type { Jobs } from './jobs';
import { saveExport } from './export';
import { mediaRoot, pageHtml } from './panel-html';
import type { Server } from './language-server';

export const PANEL_TYPE = 'pruningLimit.panel';

/** The limit panels, one per checkpoint. What they show survives a reload of the window. */
export class LimitPanels implements vscode.WebviewPanelSerializer, vscode.Disposable {
  private readonly panels = new Map<string, vscode.WebviewPanel>();
  /** Figures that a panel is to show when it has something to draw. */
  private readonly wanted = new Map<string, string>();
  private readonly disposables: vscode.Disposable[];

  constructor(
    private readonly extension: vscode.Uri,
    private readonly server: Server,
    private readonly jobs: Jobs,
  ) {
    this.disposables = [
      vscode.window.registerWebviewPanelSerializer(PANEL_TYPE, this),
      jobs.onChange(({ checkpoint, change }) => this.post(checkpoint, change)),
    ];
  }

  dispose(): void {
    for (const disposable of this.disposables) disposable.dispose();
  }

  /** @param figure brought into view */
  show(checkpoint: vscode.Uri, figure?: string): void {
    const open = this.panels.get(checkpoint.toString());
    if (open) {
      open.reveal(undefined, false);
      if (figure !== undefined) this.post(checkpoint, { kind: 'show', figure });
      return;
    }
    const panel = vscode.window.createWebviewPanel(PANEL_TYPE, '', vscode.ViewColumn.Active);
    if (figure !== undefined) this.wanted.set(checkpoint.toString(), figure);
    this.adopt(panel, checkpoint);
  }

  isVisible(checkpoint: vscode.Uri): boolean {
    return this.panels.get(checkpoint.toString())?.visible ?? false;
  }

  /** The checkpoint of the panel in front. */
  active(): vscode.Uri | undefined {
    for (const [checkpoint, panel] of this.panels) if (panel.active) return vscode.Uri.parse(checkpoint, true);
    return undefined;
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const checkpoint = (state as { checkpoint?: unknown } | undefined)?.checkpoint;
    if (typeof checkpoint === 'string') this.adopt(panel, vscode.Uri.parse(checkpoint, true));
    else panel.dispose();
  }

  private adopt(panel: vscode.WebviewPanel, checkpoint: vscode.Uri): void {
    const key = checkpoint.toString();
    const icon = (theme: string) => vscode.Uri.joinPath(this.extension, 'media', `panel-${theme}.svg`);
    panel.title = t('Limit: {0}', nameOf(checkpoint));
    panel.iconPath = { light: icon('light'), dark: icon('dark') };
    panel.webview.options = { enableScripts: true, localResourceRoots: [mediaRoot(this.extension)] };
    panel.webview.onDidReceiveMessage((message: FromPanel) => void this.receive(checkpoint, message));
    panel.onDidDispose(() => this.panels.delete(key));
    this.panels.set(key, panel);
    panel.webview.html = pageHtml(panel.webview, this.extension, 'panel', {
      checkpoint: checkpoint.toString(),
      name: vscode.workspace.asRelativePath(checkpoint),
    });
  }

  private post(checkpoint: vscode.Uri, message: ToPanel): void {
    void this.panels.get(checkpoint.toString())?.webview.postMessage(message);
  }

  private async receive(checkpoint: vscode.Uri, message: FromPanel): Promise<void> {
    const run = (command: string, ...args: unknown[]) =>
      vscode.commands.executeCommand(`pruningLimit.${command}`, checkpoint.toString(), ...args);
    switch (message.kind) {
      case 'ready':
        await this.bring(checkpoint);
        this.bringFigure(checkpoint);
        break;
      case 'cancel':
      case 'compute':
      case 'prune':
        await run(message.kind);
        break;
      case 'openLayers':
        await run('showLayers', message.layer);
        break;
      case 'export':
        await saveExport(checkpoint, message);
        break;
    }
  }

  private bringFigure(checkpoint: vscode.Uri): void {
    const figure = this.wanted.get(checkpoint.toString());
    this.wanted.delete(checkpoint.toString());
    if (figure !== undefined) this.post(checkpoint, { kind: 'show', figure });
  }

  /** Tells a panel that has just been drawn how things stand. */
  private async bring(checkpoint: vscode.Uri): Promise<void> {
    const result = await this.server.result(checkpoint);
    const job = this.jobs.watch(checkpoint);
    if (!job) {
      // A cached answer may come before the panel can hear of it.
      const cached = this.jobs.cached(checkpoint);
      const done = result && { kind: 'done' as const, result, ...(cached !== undefined && { cached }) };
      this.post(checkpoint, done ?? { kind: 'idle' });
      return;
    }
    if (job.partial) this.post(checkpoint, job.partial);
    this.post(checkpoint, job.running);
  }
}
