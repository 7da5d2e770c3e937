import { t } from '@vscode/l10n';
import type { InlayHint } from 'vscode-languageserver/node';
import { percent } from '../../../protocol/numbers';
import { keptWeights, layerHint, layerLines } from '../report/layers-text';
import { layersDocument, type ServerContext } from './context';
import { isPython, pythonHints } from './python';

/** At the end of a layer's line, and of the Python that makes it: its share of what is kept. */
export function registerInlayHints(context: ServerContext): void {
  context.connection.languages.inlayHint.on(async ({ textDocument, range }): Promise<InlayHint[]> => {
    if (isPython(textDocument.uri)) return pythonHints(context, textDocument.uri, range);
    const document = await layersDocument(context, textDocument.uri);
    const layers = new Map(document?.stored?.result.layers.map((layer) => [layer.name, layer]));
    if (!document || layers.size === 0) return [];
    const kept = keptWeights(layers.values());
    return layerLines(document.text).flatMap(({ line, layer: name, end }) => {
      const layer = layers.get(name);
      const hint = layer && layerHint(layer, kept);
      if (!layer || typeof hint !== 'string' || line < range.start.line || line > range.end.line) return [];
      const zeros =
        layer.zeros !== null && layer.zeros > 0
          ? `, ${t('{0} zero already', percent(layer.zeros / layer.weights))}`
          : '';
      return [{ position: { line, character: end }, label: hint + zeros, paddingLeft: true }];
    });
  });
}
