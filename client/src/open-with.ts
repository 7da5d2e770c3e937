import * as vscode from 'vscode';
import { chooseCheckpoint } from './checkpoint';
import type { LayersProvider } from './layers';

const VIEW_TYPE = 'pruningLimit.layers';

/**
 * "Open With… Model Layers". The layer summary is a text document and needs no
 * editor of its own, so the editor that VS Code makes only gives way to it.
 */
export function registerOpenWith(layers: LayersProvider): vscode.Disposable {
  const show = async (uri: vscode.Uri, column?: vscode.ViewColumn): Promise<void> => {
    const checkpoint = await chooseCheckpoint(uri);
    if (checkpoint) await layers.show(checkpoint, undefined, column);
  };
  return vscode.window.registerCustomEditorProvider(VIEW_TYPE, {
    openCustomDocument: (uri): vscode.CustomDocument => ({ uri, dispose: () => undefined }),
    async resolveCustomEditor({ uri }, panel): Promise<void> {
      const column = panel.viewColumn;
      // VS Code is still placing the editor: closed now, it would be missed.
      setTimeout(() => {
        panel.dispose();
        void show(uri, column);
      });
    },
  } satisfies vscode.CustomReadonlyEditorProvider);
}
