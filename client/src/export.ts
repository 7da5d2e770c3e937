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
    title: `Export ${name}`,
    defaultUri: vscode.Uri.joinPath(checkpoint, '..', `${base}-${name}.${format}`),
    filters: { [format.toUpperCase()]: [format] },
  });
  if (!target) return;
  try {
    await vscode.workspace.fs.writeFile(target, Buffer.from(content, format === 'png' ? 'base64' : 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    void vscode.window.showErrorMessage(`${nameOf(target)} could not be written: ${reason}`);
  }
}
