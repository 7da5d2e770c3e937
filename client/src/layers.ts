import * as vscode from 'vscode';
import { LAYERS_SCHEME } from '../../protocol/layers-uri';
import { checkpointOf, layersOf, nameOf } from './checkpoint';
import type { Server } from './language-server';

/** The layer summary: a read-only document whose text the server writes. */
export class LayersProvider implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly changes = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changes.event;
  private readonly watchers = new Map<string, vscode.FileSystemWatcher>();
  private readonly disposables: vscode.Disposable[];

  constructor(private readonly server: Server) {
    this.disposables = [
      this.changes,
      vscode.workspace.registerTextDocumentContentProvider(LAYERS_SCHEME, this),
      vscode.workspace.onDidOpenTextDocument((document) => this.follow(document.uri)),
      vscode.workspace.onDidCloseTextDocument((document) => this.unfollow(document.uri)),
    ];
  }

  dispose(): void {
    for (const disposable of [...this.disposables, ...this.watchers.values()]) disposable.dispose();
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const checkpoint = checkpointOf(uri);
    return checkpoint ? this.server.layers(checkpoint) : '';
  }

  /** Writes a checkpoint's summary again where it is open. */
  refresh(checkpoint: vscode.Uri): void {
    this.changes.fire(layersOf(checkpoint));
  }

  /** Opens the summary, on the line of a layer where one is named. */
  async show(checkpoint: vscode.Uri, layer?: string, column?: vscode.ViewColumn): Promise<void> {
    const document = await vscode.workspace.openTextDocument(layersOf(checkpoint));
    const options: vscode.TextDocumentShowOptions = {
      preview: false,
      ...(column !== undefined && { viewColumn: column }),
    };
    const editor = await vscode.window.showTextDocument(document, options);
    const line = layer === undefined ? -1 : findLine(document, layer);
    if (line < 0) return;
    const { range } = document.lineAt(line);
    editor.selection = new vscode.Selection(range.start, range.start);
    editor.revealRange(range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
  }

  /** While a summary is open, it follows the checkpoint's file. */
  private follow(uri: vscode.Uri): void {
    const checkpoint = checkpointOf(uri);
    if (!checkpoint || this.watchers.has(uri.toString())) return;
    const folder = vscode.Uri.joinPath(checkpoint, '..');
    const pattern = new vscode.RelativePattern(folder, nameOf(checkpoint).replace(/[[\]{}*?]/g, '[$&]'));
    const watcher = vscode.workspace.createFileSystemWatcher(pattern);
    for (const event of [watcher.onDidChange, watcher.onDidCreate, watcher.onDidDelete]) {
      event(() => this.changes.fire(uri));
    }
    this.watchers.set(uri.toString(), watcher);
  }

  private unfollow(uri: vscode.Uri): void {
    this.watchers.get(uri.toString())?.dispose();
    this.watchers.delete(uri.toString());
  }
}

function findLine(document: vscode.TextDocument, layer: string): number {
  const lines = document.getText().split('\n');
  const starts = [layer, JSON.stringify(layer)].map((name) => `${name} `);
  return lines.findIndex((line) => starts.some((start) => line.startsWith(start)));
}
