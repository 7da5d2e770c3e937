import { t } from '@vscode/l10n';
import * as vscode from 'vscode';
import { nameOf } from './checkpoint';

/** A figure on its way into a file. */
export interface Exported {
  readonly name: string;
  readonly format: 'svg' | 'csv' | 'png';
  /** Text; of a picture its bytes in base64. */
  readonly content: string;
}

/** Asks for a place beside the checkpoint and writes it there. */
export async function saveExport(checkpoint: vscode.Uri, { name, format, content }: Exported): Promise<void> {
  const base = nameOf(checkpoint).replace(/\.[^.]*$/, '');
  const target = await vscode.window.showSaveDialog({
    title: t('Export {0}', name),
    defaultUri: vscode.Uri.joinPath(checkpoint, '..', `${base}-${name}.${format}`),
    filters: { [format.toUpperCase()]: [format] },
  });
  if (!target) return;
  try {
    await vscode.workspace.fs.writeFile(target, Buffer.from(content, format === 'png' ? 'base64' : 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    void vscode.window.showErrorMessage(t('{0} could not be written: {1}', nameOf(target), reason));
  }
}
