import { FoldingRangeKind, SymbolKind, type DocumentSymbol, type FoldingRange } from 'vscode-languageserver/node';
import { isBlock, layerBlocks, type Block } from '../report/blocks';
import { layerLines, type LayerLine } from '../report/layers-text';
import type { ServerContext } from './context';

/** Blocks and layers as symbols, so that they can be listed and jumped to; the header and blocks can be folded. */
export function registerOutline({ connection, documents }: ServerContext): void {
  const textOf = (uri: string) => documents.get(uri)?.getText() ?? '';

  connection.onDocumentSymbol(({ textDocument }): DocumentSymbol[] =>
    layerBlocks(layerLines(textOf(textDocument.uri))).map(symbol),
  );

  connection.onFoldingRanges(({ textDocument }): FoldingRange[] => {
    const text = textOf(textDocument.uri);
    const end = text.split('\n').findIndex((line) => !line.startsWith('#')) - 1;
    const header = end > 0 ? [{ startLine: 0, endLine: end, kind: FoldingRangeKind.Comment }] : [];
    return [...header, ...layerBlocks(layerLines(text)).flatMap(folds)];
  });
}

function symbol(node: Block | LayerLine): DocumentSymbol {
  if (isBlock(node)) {
    return {
      name: node.name,
      kind: SymbolKind.Module,
      range: {
        start: { line: node.first.line, character: 0 },
        end: { line: node.last.line, character: node.last.end },
      },
      selectionRange: range(node.first.line, node.first.nameEnd),
      children: node.children.map(symbol),
    };
  }
  return {
    name: node.layer === '' ? '""' : node.layer,
    kind: SymbolKind.Object,
    range: range(node.line, node.end),
    selectionRange: range(node.line, node.nameEnd),
  };
}

function range(line: number, end: number): DocumentSymbol['range'] {
  return { start: { line, character: 0 }, end: { line, character: end } };
}

function folds(node: Block | LayerLine): FoldingRange[] {
  if (!isBlock(node)) return [];
  return [{ startLine: node.first.line, endLine: node.last.line }, ...node.children.flatMap(folds)];
}
