import { t } from '@vscode/l10n';
import * as vscode from 'vscode';
import type { Server } from './language-server';

const SCHEME = 'pruning-limit-doctor';
const DOCUMENT = vscode.Uri.from({ scheme: SCHEME, path: '/Doctor.md' });

/** *Doctor*: what this machine has to run a network with, as a read-only document for a bug report. */
export class Doctor implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly changes = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changes.event;
  private readonly registration: vscode.Disposable;
  private text = '';

  constructor(private readonly server: Server) {
    this.registration = vscode.workspace.registerTextDocumentContentProvider(SCHEME, this);
  }

  dispose(): void {
    this.registration.dispose();
    this.changes.dispose();
  }

  provideTextDocumentContent(): string {
    return this.text;
  }

  /** Examines the machine, which takes seconds, and shows what was found. */
  async examine(): Promise<void> {
    const options = {
      location: vscode.ProgressLocation.Notification,
      title: t('Trying the engines of this machine'),
      cancellable: true,
    };
    const answer = await vscode.window.withProgress(options, async (_, token) => {
      const found = await this.server.examine(editorName(), token);
      return token.isCancellationRequested ? undefined : found;
    });
    if (!answer) return;
    if ('error' in answer) {
      void vscode.window.showErrorMessage(answer.error.message);
      return;
    }
    this.text = answer.text;
    this.changes.fire(DOCUMENT);
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(DOCUMENT), { preview: false });
  }

  async copy(): Promise<void> {
    await vscode.env.clipboard.writeText(this.text);
    vscode.window.setStatusBarMessage(t('Doctor: copied'), 3000);
  }
}

/** `Visual Studio Code 1.100.0, desktop, remote ssh-remote, de` */
function editorName(): string {
  const { appName, uiKind, remoteName, language } = vscode.env;
  const parts = [`${appName} ${vscode.version}`, uiKind === vscode.UIKind.Web ? 'web' : 'desktop'];
  if (remoteName !== undefined) parts.push(`remote ${remoteName}`);
  return [...parts, language].join(', ');
}
