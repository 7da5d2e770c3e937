import { t } from '@vscode/l10n';
import { DiagnosticSeverity, type Diagnostic } from 'vscode-languageserver/node';
import type { AnalysisWarning, WarningCode } from '../../../protocol/analysis';
import { grouped, percent } from '../../../protocol/numbers';
import { SEVERITY } from '../../../protocol/severity';
import { placeWarnings } from '../report/layers-text';
import { layersUriOf, type ServerContext } from './context';

/** Puts the warnings of a checkpoint's latest result into the problems list, whether or not its layers are open. */
export async function publishWarnings(context: ServerContext, checkpoint: string, text: string): Promise<void> {
  const stored = await context.results.get(checkpoint);
  const warnings = [...(await weightWarnings(context, checkpoint)), ...(stored?.result.warnings ?? [])];
  const diagnostics = placeWarnings(text, warnings).map(({ line, start, end, warning }): Diagnostic => ({
    range: { start: { line, character: start }, end: { line, character: end } },
    severity: SEVERITY[warning.code] === 'information' ? DiagnosticSeverity.Information : DiagnosticSeverity.Warning,
    code: warning.code,
    source: 'Pruning Limit',
    message: warning.message,
  }));
  await context.connection.sendDiagnostics({ uri: layersUriOf(checkpoint), diagnostics });
}

/** Of a layer's weights that are zero already, when it is said so. */
const ALREADY_SPARSE = 0.1;

/** What can be said of weights without running the network. */
async function weightWarnings(context: ServerContext, checkpoint: string): Promise<AnalysisWarning[]> {
  const summary = await context.checkpoints.summary(checkpoint).catch(() => null);
  return (summary?.layers ?? []).flatMap(({ name, nonFinite, constant, zeros, weights }): AnalysisWarning[] => {
    const warning = (code: WarningCode, message: string) => [{ code, layer: name, message }];
    if (nonFinite !== null && nonFinite > 0) {
      return warning(
        'non-finite-weights',
        t(
          'layer {0} has {1} of {2} weights that are NaN or infinite: the limit cannot be computed; take a checkpoint from before the training diverged',
          name,
          grouped(nonFinite),
          grouped(weights),
        ),
      );
    }
    if (constant) {
      return warning(
        'constant-weights',
        t(
          'layer {0} has {1} weights of one value, so it was not trained; check how the checkpoint was saved',
          name,
          grouped(weights),
        ),
      );
    }
    if (zeros !== null && zeros >= ALREADY_SPARSE * weights) {
      return warning(
        'already-sparse',
        t(
          'layer {0} has {1} of {2} weights that are zero already ({3}); a limit counts them as pruned',
          name,
          grouped(zeros),
          grouped(weights),
          percent(zeros / weights),
        ),
      );
    }
    return [];
  });
}
