import { t } from '@vscode/l10n';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Hover, InlayHint, Location, Range } from 'vscode-languageserver/node';
import { pythonModules, type Definition } from '../python/definitions';
import { matchLayers, type Match } from '../python/match';
import { keptWeights, layerHint, layerLines } from '../report/layers-text';
import { walkFolders } from './files';
import { layersDocument, type ServerContext } from './context';
import { layerMarkdown } from './layer-markdown';
import type { StoredResult } from './results';

/** Files that are looked through for a layer's definition, at most, and the largest of them. */
const MOST_FILES = 2000;
const LARGEST_FILE = 2 ** 20;

interface PythonMatch {
  readonly checkpoint: string;
  readonly stored: StoredResult;
  readonly matches: readonly Match[];
}

export function isPython(uri: string): boolean {
  return uri.startsWith('file:') && uri.endsWith('.py');
}

/** At the end of a definition: what becomes of its layer at the limit. */
export async function pythonHints(context: ServerContext, uri: string, range: Range): Promise<InlayHint[]> {
  const found = await matchOf(context, uri);
  if (!found) return [];
  const { layers } = found.stored.result;
  const kept = keptWeights(layers);
  return found.matches.flatMap(({ layer, definition: { endLine, end } }) => {
    const measured = layers.find(({ name }) => name === layer);
    const label = measured && layerHint(measured, kept);
    if (typeof label !== 'string' || endLine < range.start.line || endLine > range.end.line) return [];
    const tooltip = t('{0} in {1}', layer, found.checkpoint);
    return [{ position: { line: endLine, character: end }, label, paddingLeft: true, tooltip }];
  });
}

export async function pythonHover(
  context: ServerContext,
  uri: string,
  { line, character }: { line: number; character: number },
): Promise<Hover | null> {
  const found = await matchOf(context, uri);
  const match = found?.matches.find(({ definition: { start, endLine, end, ...at } }) => {
    const isAfter = line > at.line || (line === at.line && character >= start);
    return isAfter && (line < endLine || (line === endLine && character <= end));
  });
  if (!found || !match) return null;
  const summary = await context.checkpoints.summary(found.checkpoint).catch(() => null);
  const layer = summary?.layers.find(({ name }) => name === match.layer);
  const measured = found.stored.result.layers.find(({ name }) => name === match.layer);
  if (!layer) return null;
  return { contents: { kind: 'markdown', value: layerMarkdown(layer, measured) }, range: rangeOf(match.definition) };
}

/** From a line of a layer summary to the Python line that makes the layer. */
export function registerDefinitions(context: ServerContext): void {
  context.connection.onDefinition(async ({ textDocument, position }): Promise<Location[]> => {
    const document = await layersDocument(context, textDocument.uri);
    const layer = document && layerLines(document.text).find(({ line }) => line === position.line)?.layer;
    if (!document || layer === undefined || layer === null) return [];
    const names = document.summary.layers.map(({ name }) => name);
    const locations: Location[] = [];
    for (const file of await pythonFiles(context.folders())) {
      const source = await readFile(file, 'utf8').catch(() => '');
      const match = matchLayers(await pythonModules(source), names).find((match) => match.layer === layer);
      if (match) locations.push({ uri: pathToFileURL(file).href, range: rangeOf(match.definition) });
    }
    return locations;
  });
}

/** What the analysed checkpoints say of a source file: the one asked for last that it matches. */
async function matchOf(context: ServerContext, uri: string): Promise<PythonMatch | null> {
  const source = context.documents.get(uri)?.getText();
  if (source === undefined || !isInside(fileURLToPath(uri), context.folders())) return null;
  const runs = (await context.runs.all()).filter(({ state }) => state === 'done');
  if (runs.length === 0) return null;
  const modules = await pythonModules(source);
  for (const checkpoint of new Set(runs.sort((a, b) => b.asked - a.asked).map((run) => run.checkpoint))) {
    const stored = await context.results.get(checkpoint);
    if (!stored) continue;
    const matches = matchLayers(
      modules,
      stored.result.layers.map(({ name }) => name),
    );
    if (matches.length > 0) return { checkpoint, stored, matches };
  }
  return null;
}

function isInside(file: string, folders: readonly string[]): boolean {
  return folders.some((folder) => file.startsWith(join(folder, '/')));
}

async function pythonFiles(folders: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for await (const { path, files: names } of walkFolders(folders)) {
    for (const name of names.filter((one) => one.endsWith('.py'))) {
      const file = join(path, name);
      if ((await stat(file)).size <= LARGEST_FILE) files.push(file);
      if (files.length >= MOST_FILES) return files;
    }
  }
  return files;
}

function rangeOf({ line, start, endLine, end }: Definition): Range {
  return { start: { line, character: start }, end: { line: endLine, character: end } };
}
