import { t } from '@vscode/l10n';
import { basename, dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { CodeLens, Command } from 'vscode-languageserver/node';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import { analysisEntries, checkpointsOf } from './analysis-entries';
import { isAnalysisFile } from './analysis-file';
import { layersDocument, type ServerContext } from './context';

/** Most lenses above one entry of an analysis file. */
const MOST = 3;

/**
 * Above the first line of a layer summary: compute and prune, or while the
 * limit is computed, watch and cancel. Above an entry of an analysis file: compute.
 */
export function registerCodeLenses(context: ServerContext): void {
  context.connection.onCodeLens(async ({ textDocument }): Promise<CodeLens[]> => {
    const file = context.documents.get(textDocument.uri);
    if (file && isAnalysisFile(file)) return entryLenses(context, file);
    const document = await layersDocument(context, textDocument.uri);
    if (!document) return [];
    const uri = pathToFileURL(document.checkpoint).href;
    const command = (title: string, name: string, ...more: string[]): Command => ({
      title,
      command: `pruningLimit.${name}`,
      arguments: [uri, ...more],
    });
    const running = context.jobs.running(document.checkpoint) !== undefined;
    const commands = running
      ? [command(t('Computing…'), 'showPanel'), command(t('Cancel'), 'cancel')]
      : [
          command(document.stored ? t('Compute Again') : t('Compute Pruning Limit'), 'compute'),
          ...(document.stored
            ? [command(t('Show Limit'), 'showPanel'), command(t('Show Spectrum'), 'showPanel', 'spectrum')]
            : []),
          ...(document.stored && !document.stored.outdated ? [command(t('Prune at Limit…'), 'prune')] : []),
        ];
    const start = { line: 0, character: 0 };
    return commands.map((command) => ({ range: { start, end: start }, command }));
  });
}

async function entryLenses(context: ServerContext, file: TextDocument): Promise<CodeLens[]> {
  const { entries, places } = analysisEntries(file.getText());
  const lenses: CodeLens[] = [];
  for (const entry of entries) {
    const start = file.positionAt(places.get(entry.place)!.start);
    const checkpoints = await checkpointsOf(context, entry, entries, dirname(fileURLToPath(file.uri)));
    for (const checkpoint of checkpoints.slice(0, MOST)) {
      const title = t('Compute Pruning Limit of {0}', basename(checkpoint));
      const command = { title, command: 'pruningLimit.compute', arguments: [pathToFileURL(checkpoint).href] };
      lenses.push({ range: { start, end: start }, command });
    }
  }
  return lenses;
}
