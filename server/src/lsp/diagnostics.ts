import { DiagnosticSeverity, type Diagnostic } from 'vscode-languageserver/node';
import { SEVERITY } from '../../../protocol/severity';
import { placeWarnings } from '../report/layers-text';
import { layersUriOf, type ServerContext } from './context';

/** Puts the warnings of a checkpoint's latest result into the problems list, whether or not its layers are open. */
export async function publishWarnings(context: ServerContext, checkpoint: string, text: string): Promise<void> {
  const stored = await context.results.get(checkpoint);
  const diagnostics = placeWarnings(text, stored?.result.warnings ?? []).map(
    ({ line, start, end, warning }): Diagnostic => ({
      range: { start: { line, character: start }, end: { line, character: end } },
      severity: SEVERITY[warning.code] === 'information' ? DiagnosticSeverity.Information : DiagnosticSeverity.Warning,
      code: warning.code,
      source: 'Pruning Limit',
      message: warning.message,
    }),
  );
  await context.connection.sendDiagnostics({ uri: layersUriOf(checkpoint), diagnostics });
}
