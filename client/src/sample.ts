import { t } from '@vscode/l10n';
import * as vscode from 'vscode';

/** What is copied of the sample that comes with the extension. */
const PARTS = ['digits.onnx', 'pruning-limit.json', 'data'];
const FOLDER = 'pruning-limit-sample';

/**
 * Copies the sample into a folder of the user's and opens that.
 *
 * @param place a folder; the user is asked when it is none
 * @returns the folder of the sample; undefined when the user gave up
 */
export async function openSample(extension: vscode.Uri, place?: unknown): Promise<vscode.Uri | undefined> {
  const parent = place instanceof vscode.Uri ? place : await chooseParent();
  if (!parent) return undefined;
  const target = vscode.Uri.joinPath(parent, FOLDER);
  try {
    for (const part of PARTS) {
      const copy = vscode.Uri.joinPath(target, part);
      // What is there already may have been worked on.
      if (await exists(copy)) continue;
      await vscode.workspace.fs.copy(vscode.Uri.joinPath(extension, 'samples', part), copy);
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    void vscode.window.showErrorMessage(t('{0} could not be written: {1}', target.fsPath, reason));
    return undefined;
  }
  if (!(place instanceof vscode.Uri)) await vscode.commands.executeCommand('vscode.openFolder', target);
  return target;
}

async function chooseParent(): Promise<vscode.Uri | undefined> {
  const chosen = await vscode.window.showOpenDialog({
    title: t('Where to put the folder {0}', FOLDER),
    openLabel: t('Use'),
    canSelectFolders: true,
    canSelectFiles: false,
  });
  return chosen?.[0];
}

function exists(uri: vscode.Uri): Thenable<boolean> {
  return vscode.workspace.fs.stat(uri).then(
    () => true,
    () => false,
  );
}
