import { existsSync } from 'node:fs';
import { basename, dirname, isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DiagnosticSeverity, type Diagnostic } from 'vscode-languageserver/node';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import { ANALYSIS_FILE } from '../analysis-file';
import type { ServerContext } from './context';
import { jsonPlaces } from './json-places';

/** Checks in an open analysis file what its JSON schema cannot: whether its parts fit each other and the disk. */
export function registerAnalysisFile({ connection, documents }: ServerContext): void {
  const isAnalysisFile = ({ uri }: TextDocument) =>
    uri.startsWith('file:') && basename(fileURLToPath(uri)) === ANALYSIS_FILE;
  documents.onDidChangeContent(({ document }) => {
    if (!isAnalysisFile(document)) return;
    void connection.sendDiagnostics({ uri: document.uri, version: document.version, diagnostics: check(document) });
  });
  documents.onDidClose(({ document }) => {
    if (isAnalysisFile(document)) void connection.sendDiagnostics({ uri: document.uri, diagnostics: [] });
  });
}

function check(document: TextDocument): Diagnostic[] {
  const text = document.getText();
  const folder = dirname(fileURLToPath(document.uri));
  const diagnostics: Diagnostic[] = [];
  const places = jsonPlaces(text);
  const report = (place: string, severity: DiagnosticSeverity, message: string) => {
    const { start, end } = places.get(place)!;
    const range = { start: document.positionAt(start), end: document.positionAt(end) };
    diagnostics.push({ range, severity, message, source: 'Pruning Limit' });
  };
  const valueAt = (place: string): unknown => {
    const range = places.get(place);
    try {
      return range && (JSON.parse(text.slice(range.start, range.end)) as unknown);
    } catch {
      return undefined;
    }
  };

  for (const place of places.keys()) {
    if (/^analyses\[\d+\]\.data\.path$/.test(place)) {
      const path = valueAt(place);
      if (typeof path !== 'string' || path === '') continue;
      const absolute = isAbsolute(path) ? path : resolve(folder, path);
      if (!existsSync(absolute)) report(place, DiagnosticSeverity.Warning, `data not found: ${absolute}`);
    } else if (/^analyses\[\d+\]\.data\.normalize$/.test(place)) {
      const { mean, deviation } = (valueAt(place) ?? {}) as { mean?: unknown; deviation?: unknown };
      if (Array.isArray(mean) && Array.isArray(deviation) && mean.length !== deviation.length) {
        const counts = `${mean.length} and ${deviation.length}`;
        report(
          place,
          DiagnosticSeverity.Error,
          `"mean" and "deviation" need one number per channel each, have ${counts}`,
        );
      }
    }
  }
  return diagnostics;
}
