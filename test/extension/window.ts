/** The window that the suites run in: the sample's folder, and how to ask the editor for what it shows. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { layersUri } from '../../protocol/layers-uri';

/** Over in a second or two. */
export const QUICK = { steps: 24, tolerance: 0.5, minutes: 1, curvature: 'both' };
/** Deep enough to be caught in the middle. */
export const SLOW = { steps: 4000, tolerance: 1e-6, minutes: 30 };

export const folder = vscode.workspace.workspaceFolders![0]!.uri;
export const analysisFile = join(folder.fsPath, 'pruning-limit.json');

export function model(name: string): vscode.Uri {
  return vscode.Uri.joinPath(folder, 'models', name);
}
export const checkpoint = model('digits.onnx');

export function layersOf(uri: vscode.Uri): vscode.Uri {
  return vscode.Uri.parse(layersUri(uri.toString()), true);
}

/** The sample's own entry, as the host wrote it. */
const { analyses } = JSON.parse(readFileSync(analysisFile, 'utf8')) as { analyses: [{ data: object }] };

/** The text of an analysis file with that entry, and other values in it. */
export function analysisText(more: object = {}, data: object = {}): string {
  const entry = { ...analyses[0], ...more, data: { ...analyses[0].data, samples: 256, ...data } };
  return JSON.stringify({ analyses: [entry] }, null, 2);
}

export function configure(more: object, data: object = {}): void {
  writeFileSync(analysisFile, analysisText(more, data));
}

/** Waits for what the editor shows rather than for time. */
export async function until<T>(
  what: string,
  find: () => T | undefined | Thenable<T | undefined>,
  timeout = 30_000,
): Promise<T> {
  const deadline = Date.now() + timeout;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The same of a list: until it is not empty. */
export function some<T>(what: string, find: () => Thenable<T[] | undefined>): Promise<T[]> {
  return until(what, async () => {
    const found = await find();
    return found && found.length > 0 ? found : undefined;
  });
}

export const compute = (uri = checkpoint) =>
  vscode.commands.executeCommand<string | undefined>('pruningLimit.compute', uri);

export async function openLayers(uri = checkpoint): Promise<vscode.TextDocument> {
  await vscode.commands.executeCommand('pruningLimit.showLayers', uri);
  return layersInFront(uri);
}

export function layersInFront(uri: vscode.Uri): Promise<vscode.TextDocument> {
  return until(`the layers of ${uri.path}`, () => {
    const { document } = vscode.window.activeTextEditor ?? {};
    return document?.uri.toString() === layersOf(uri).toString() ? document : undefined;
  });
}

/** A file of the workspace in front, with this text. */
export async function openText(name: string, text: string): Promise<vscode.TextDocument> {
  const path = join(folder.fsPath, name);
  writeFileSync(path, text);
  const document = await vscode.workspace.openTextDocument(path);
  await vscode.window.showTextDocument(document);
  // One that was open already is read again.
  return until(name, () => (document.getText() === text ? document : undefined));
}

/** Our own problems of a document. */
export function problems(uri: vscode.Uri): vscode.Diagnostic[] {
  return vscode.languages.getDiagnostics(uri).filter(({ source }) => source === 'Pruning Limit');
}

export function lenses(uri: vscode.Uri): Promise<vscode.CodeLens[]> {
  return some('code lenses', () =>
    vscode.commands.executeCommand<vscode.CodeLens[]>('vscode.executeCodeLensProvider', uri),
  );
}

export function hints(document: vscode.TextDocument): Thenable<vscode.InlayHint[]> {
  const everything = new vscode.Range(0, 0, document.lineCount, 0);
  return vscode.commands.executeCommand('vscode.executeInlayHintProvider', document.uri, everything);
}

/** What hovering over a piece of text shows. */
export async function hover(document: vscode.TextDocument, text: string): Promise<string> {
  const found = await vscode.commands.executeCommand<vscode.Hover[]>(
    'vscode.executeHoverProvider',
    document.uri,
    placeOf(document, text),
  );
  return found.flatMap(({ contents }) => contents.map((one) => (one as vscode.MarkdownString).value)).join('\n');
}

/** Labels of what is proposed behind a piece of text. */
export async function completions(document: vscode.TextDocument, after: string): Promise<string[]> {
  const { items } = await vscode.commands.executeCommand<vscode.CompletionList>(
    'vscode.executeCompletionItemProvider',
    document.uri,
    placeOf(document, after, after.length),
  );
  return items.map(({ label }) => (typeof label === 'string' ? label : label.label));
}

function placeOf(document: vscode.TextDocument, text: string, offset = 1): vscode.Position {
  const index = document.getText().indexOf(text);
  assert.notEqual(index, -1, `${text} is not in ${document.uri.path}`);
  return document.positionAt(index + offset);
}
