import { t } from '@vscode/l10n';
import { existsSync } from 'node:fs';
import { basename, dirname, isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DiagnosticSeverity, type Diagnostic } from 'vscode-languageserver/node';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import { ANALYSIS_FILE, LARGEST_ANALYSIS_FILE } from '../analysis-file';
import type { DatasetFacts } from '../dataset/facts';
import { recognizeDataset } from '../dataset/open';
import { checkLabels, prepareSamples } from '../dataset/prepare';
import { toFailure } from '../errors';
import { judgeTarget } from '../report/target';
import { analysisEntries, checkpointsOf, type AnalysisEntry } from './analysis-entries';
import type { ServerContext } from './context';

const SEVERITY = {
  error: DiagnosticSeverity.Error,
  warning: DiagnosticSeverity.Warning,
  note: DiagnosticSeverity.Information,
} as const;

/** Checkpoints of one entry that are held against it; a message for each of hundreds helps nobody. */
const MOST_CHECKED = 20;

type Report = (place: string, severity: keyof typeof SEVERITY, message: string) => void;

/** Checks in an open analysis file what its JSON schema cannot: whether its parts fit each other, the disk and the limits. */
export function registerAnalysisFile(context: ServerContext): void {
  const { connection, documents } = context;
  documents.onDidChangeContent(({ document }) => {
    if (isAnalysisFile(document)) void publish(context, document);
  });
  documents.onDidClose(({ document }) => {
    if (isAnalysisFile(document)) void connection.sendDiagnostics({ uri: document.uri, diagnostics: [] });
  });
}

/** Checks every open analysis file again, because a limit has become known. */
export async function checkAnalysisFiles(context: ServerContext): Promise<void> {
  for (const document of context.documents.all()) if (isAnalysisFile(document)) await publish(context, document);
}

export function isAnalysisFile({ uri }: TextDocument): boolean {
  return uri.startsWith('file:') && basename(fileURLToPath(uri)) === ANALYSIS_FILE;
}

async function publish(context: ServerContext, document: TextDocument): Promise<void> {
  const { uri, version } = document;
  let diagnostics: Diagnostic[];
  try {
    diagnostics = await check(context, document);
  } catch (error) {
    // A file that cannot even be checked must not take the server along.
    context.connection.console.warn(`${uri} was not checked: ${toFailure(error).message}`);
    return;
  }
  // What was typed meanwhile is checked by its own call.
  if (context.documents.get(uri)?.version !== version) return;
  await context.connection.sendDiagnostics({ uri, version, diagnostics });
}

async function check(context: ServerContext, document: TextDocument): Promise<Diagnostic[]> {
  const diagnostics: Diagnostic[] = [];
  const text = document.getText();
  const { entries, places } = analysisEntries(text);
  const report: Report = (place, severity, message) => {
    const { start, end } = places.get(place) ?? { start: 0, end: 1 };
    const range = { start: document.positionAt(start), end: document.positionAt(end) };
    diagnostics.push({ range, severity: SEVERITY[severity], message, source: 'Pruning Limit' });
  };
  if (text.length > LARGEST_ANALYSIS_FILE) {
    report('', 'error', t('file too large: an analysis file has at most 1 MiB; delete what does not belong there'));
  }
  const folder = dirname(fileURLToPath(document.uri));
  for (const entry of entries) {
    const checkpoints = (await checkpointsOf(context, entry, entries, folder)).slice(0, MOST_CHECKED);
    checkCheckpoint(entry, folder, report);
    await checkData(entry, folder, report);
    if (await checkNormalization(context, entry, checkpoints, report))
      await checkFit(context, entry, checkpoints, folder, report);
    await checkTarget(context, entry, checkpoints, report);
  }
  return diagnostics;
}

function checkCheckpoint({ place, checkpoint, isPattern }: AnalysisEntry, folder: string, report: Report): void {
  if (checkpoint === undefined || isPattern || existsSync(resolve(folder, checkpoint))) return;
  report(`${place}.checkpoint`, 'warning', t('checkpoint not found: {0}', resolve(folder, checkpoint)));
}

async function checkData({ place, dataPath }: AnalysisEntry, folder: string, report: Report): Promise<void> {
  if (dataPath === undefined) return;
  const path = isAbsolute(dataPath) ? dataPath : resolve(folder, dataPath);
  try {
    await recognizeDataset(path);
  } catch (error) {
    report(`${place}.data.path`, 'warning', toFailure(error).message);
  }
}

/** One number serves all channels; otherwise there is one for each. */
async function checkNormalization(
  context: ServerContext,
  { place, mean, deviation }: AnalysisEntry,
  checkpoints: readonly string[],
  report: Report,
): Promise<boolean> {
  if (mean === undefined || deviation === undefined) return true;
  if (mean !== deviation) {
    report(
      `${place}.data.normalize`,
      'error',
      t('"mean" and "deviation" need one number per channel each, have {0} and {1}', mean, deviation),
    );
    return false;
  }
  let fits = true;
  for (const checkpoint of checkpoints) {
    const summary = await context.checkpoints.summary(checkpoint).catch(() => null);
    const shape = summary?.inputs[0]?.shape;
    // An image has its channels second, or last.
    if (mean === 1 || shape?.length !== 4 || shape[1] === mean || shape[3] === mean) continue;
    fits = false;
    report(
      `${place}.data.normalize`,
      'error',
      t(
        '"mean" and "deviation" have {0} numbers, but the input of {1} is {2}: give one number, or one per channel',
        mean,
        basename(checkpoint),
        shape.join('×'),
      ),
    );
  }
  return fits;
}

/** Whether samples of the data go into the network, and its classes are theirs: what an analysis would refuse. */
async function checkFit(
  context: ServerContext,
  { place, dataPath, split, preprocessing, resized }: AnalysisEntry,
  checkpoints: readonly string[],
  folder: string,
  report: Report,
): Promise<void> {
  // Images that are cut to size are looked at when they are read.
  if (dataPath === undefined || preprocessing === undefined || resized) return;
  const path = isAbsolute(dataPath) ? dataPath : resolve(folder, dataPath);
  let facts: DatasetFacts | null;
  try {
    // What is no data set is reported already.
    if ((await recognizeDataset(path).catch(() => null)) === null) return;
    facts = await context.datasets.facts(path, split);
  } catch (error) {
    report(`${place}.data.path`, 'error', toFailure(error).message);
    return;
  }
  if (facts === null) return;
  for (const checkpoint of checkpoints) {
    const summary = await context.checkpoints.summary(checkpoint).catch(() => null);
    const input = summary?.inputs.length === 1 ? summary.inputs[0]!.shape.slice(1) : [];
    const classes = summary?.outputs.length === 1 ? summary.outputs[0]!.shape.at(-1) : undefined;
    try {
      const sized = input.every((size): size is number => typeof size === 'number' && size > 0);
      if (sized && input.length > 0) prepareSamples(facts, Int32Array.of(0), preprocessing, input);
      if (typeof classes === 'number' && classes > 0) checkLabels(facts, classes);
    } catch (error) {
      report(`${place}.data.path`, 'error', `${basename(checkpoint)}: ${toFailure(error).message}`);
    }
  }
}

async function checkTarget(
  context: ServerContext,
  { place, target }: AnalysisEntry,
  checkpoints: readonly string[],
  report: Report,
): Promise<void> {
  if (target === undefined) return;
  for (const checkpoint of checkpoints) {
    const stored = await context.results.get(checkpoint);
    const verdict = stored && judgeTarget(target, stored.result.limits);
    if (!verdict) continue;
    const outdated = stored.outdated ? ` (${t('the checkpoint has changed since: compute again')})` : '';
    report(`${place}.targetSparsity`, verdict.severity, `${basename(checkpoint)}: ${verdict.message}${outdated}`);
  }
}
