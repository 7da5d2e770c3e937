import { FoldingRangeKind, SymbolKind, type DocumentSymbol, type FoldingRange } from 'vscode-languageserver/node';
import { layerLines } from '../report/layers-text';
import type { ServerContext } from './context';

/** Layers as symbols, so that they can be listed and jumped to; the header can be folded. */
export function registerOutline({ connection, documents }: ServerContext): void {
  connection.onDocumentSymbol(({ textDocument }): DocumentSymbol[] => {
    const text = documents.get(textDocument.uri)?.getText() ?? '';
    return layerLines(text).map(({ line, layer, nameEnd, end }) => ({
      name: layer === '' ? '""' : layer,
      kind: SymbolKind.Object,
      range: { start: { line, character: 0 }, end: { line, character: end } },
      selectionRange: { start: { line, character: 0 }, end: { line, character: nameEnd } },
    }));
  });

  connection.onFoldingRanges(({ textDocument }): FoldingRange[] => {
    const lines = (documents.get(textDocument.uri)?.getText() ?? '').split('\n');
    const end = lines.findIndex((line) => !line.startsWith('#')) - 1;
    return end > 0 ? [{ startLine: 0, endLine: end, kind: FoldingRangeKind.Comment }] : [];
  });
}
