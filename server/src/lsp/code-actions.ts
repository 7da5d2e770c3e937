import { t } from '@vscode/l10n';
import { pathToFileURL } from 'node:url';
import { CodeActionKind, type CodeAction } from 'vscode-languageserver/node';
import { layersDocument, type ServerContext } from './context';

/** An unresolved bracket is narrowed by a deeper run. */
export function registerCodeActions(context: ServerContext): void {
  context.connection.onCodeAction(async ({ textDocument, context: { diagnostics } }): Promise<CodeAction[]> => {
    const unresolved = diagnostics.filter(({ code }) => code === 'unresolved-bracket');
    const document = unresolved.length > 0 ? await layersDocument(context, textDocument.uri) : null;
    if (!document) return [];
    const title = t('Run deeper: four times the steps and the time');
    return [
      {
        title,
        kind: CodeActionKind.QuickFix,
        isPreferred: true,
        diagnostics: unresolved,
        command: {
          title,
          command: 'pruningLimit.computeDeeper',
          arguments: [pathToFileURL(document.checkpoint).href],
        },
      },
    ];
  });
}
