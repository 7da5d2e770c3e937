import { pathToFileURL } from 'node:url';
import type { CodeLens, Command } from 'vscode-languageserver/node';
import { layersDocument, type ServerContext } from './context';

/** Above the first line: compute and prune, or while the limit is computed, watch and cancel. */
export function registerCodeLenses(context: ServerContext): void {
  context.connection.onCodeLens(async ({ textDocument }): Promise<CodeLens[]> => {
    const document = await layersDocument(context, textDocument.uri);
    if (!document) return [];
    const uri = pathToFileURL(document.checkpoint).href;
    const command = (title: string, name: string): Command => ({
      title,
      command: `pruningLimit.${name}`,
      arguments: [uri],
    });
    const running = context.jobs.running(document.checkpoint) !== undefined;
    const commands = running
      ? [command('Computing…', 'showPanel'), command('Cancel', 'cancel')]
      : [
          command(document.stored ? 'Compute Again' : 'Compute Pruning Limit', 'compute'),
          ...(document.stored ? [command('Show Limit', 'showPanel')] : []),
          ...(document.stored && !document.stored.outdated ? [command('Prune at Limit…', 'prune')] : []),
        ];
    const start = { line: 0, character: 0 };
    return commands.map((command) => ({ range: { start, end: start }, command }));
  });
}
