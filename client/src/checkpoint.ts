import { t } from '@vscode/l10n';
import * as vscode from 'vscode';
import { CHECKPOINT_GLOBS } from '../../protocol/checkpoint-names';
import { checkpointUri, layersUri } from '../../protocol/layers-uri';
import type { Run } from '../../protocol/runs';

/** File name endings of checkpoints, without the dot, as a file dialog wants them. */
const EXTENSIONS = ['onnx', 'pt', 'pth', 'th', 'bin', 'safetensors', 'keras', 'h5', 'json'];

/** The file name of a checkpoint, as titles and messages show it. */
export function nameOf(checkpoint: vscode.Uri): string {
  return checkpoint.path.slice(checkpoint.path.lastIndexOf('/') + 1);
}

/** URI of a checkpoint's layer summary. */
export function layersOf(checkpoint: vscode.Uri): vscode.Uri {
  return vscode.Uri.parse(layersUri(checkpoint.toString()), true);
}

/** The checkpoint that a layer summary is about. */
export function checkpointOf(layers: vscode.Uri): vscode.Uri | undefined {
  const uri = checkpointUri(layers.toString());
  return uri === null ? undefined : vscode.Uri.parse(uri, true);
}

/**
 * The checkpoint a command is about: its argument (a URI from a menu, its text
 * from a code lens, a run from its view), the active layer summary, or else the
 * one the user picks. Undefined, which the user is told, where it is not on a disk.
 */
export async function chooseCheckpoint(argument: unknown): Promise<vscode.Uri | undefined> {
  const active = vscode.window.activeTextEditor?.document.uri;
  const chosen = given(argument) ?? (active && checkpointOf(active)) ?? (await pickCheckpoint());
  if (!chosen || chosen.scheme === 'file') return chosen;
  const text = t('{0} is not on a disk of this machine: copy it into a folder of one', chosen.toString(true));
  void vscode.window.showErrorMessage(text);
  return undefined;
}

function given(argument: unknown): vscode.Uri | undefined {
  if (argument instanceof vscode.Uri) return checkpointOf(argument) ?? argument;
  if (typeof argument === 'string') return vscode.Uri.parse(argument, true);
  const path = (argument as Partial<Run> | undefined)?.checkpoint;
  return typeof path === 'string' ? vscode.Uri.file(path) : undefined;
}

async function pickCheckpoint(): Promise<vscode.Uri | undefined> {
  const found = await vscode.workspace.findFiles(`**/{${CHECKPOINT_GLOBS.join(',')}}`, '**/node_modules/**', 500);
  const items = found
    .filter(({ scheme }) => scheme === 'file')
    .map((uri) => ({ label: vscode.workspace.asRelativePath(uri), iconPath: new vscode.ThemeIcon('file'), uri }))
    .sort((a, b) => a.label.localeCompare(b.label));
  const browse = { label: t('Browse…'), iconPath: new vscode.ThemeIcon('folder-opened'), uri: undefined };
  const picked = await vscode.window.showQuickPick([...items, browse], {
    title: 'Pruning Limit',
    placeHolder: t('Checkpoint'),
  });
  if (picked !== browse) return picked?.uri;
  const files = await vscode.window.showOpenDialog({ title: t('Checkpoint'), filters: { Checkpoints: EXTENSIONS } });
  return files?.[0];
}
