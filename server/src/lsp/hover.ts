import type { Hover } from 'vscode-languageserver/node';
import { layerLines } from '../report/layers-text';
import { isAnalysisFile } from './analysis-file';
import { analysisHover } from './analysis-hover';
import { layersDocument, type ServerContext } from './context';
import { layerMarkdown } from './layer-markdown';
import { isPython, pythonHover } from './python';

/** Everything that is known of the layer on a line, of the one that a line of Python makes, or of what an analysis file names. */
export function registerHover(context: ServerContext): void {
  context.connection.onHover(async ({ textDocument, position }): Promise<Hover | null> => {
    if (isPython(textDocument.uri)) return pythonHover(context, textDocument.uri, position);
    const file = context.documents.get(textDocument.uri);
    if (file && isAnalysisFile(file)) return analysisHover(context, file, file.offsetAt(position));
    const document = await layersDocument(context, textDocument.uri);
    const line = document && layerLines(document.text).find((line) => line.line === position.line);
    const layer = line && document.summary.layers.find((layer) => layer.name === line.layer);
    if (!layer) return null;
    const measured = document.stored?.result.layers.find(({ name }) => name === layer.name);
    return {
      contents: { kind: 'markdown', value: layerMarkdown(layer, measured) },
      range: { start: { line: line.line, character: 0 }, end: { line: line.line, character: line.end } },
    };
  });
}
