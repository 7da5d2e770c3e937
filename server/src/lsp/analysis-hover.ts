import { t } from '@vscode/l10n';
import { basename, dirname, isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Hover } from 'vscode-languageserver/node';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import { grouped, limitText, operatorName, shapeText } from '../../../protocol/numbers';
import { recognizeDataset } from '../dataset/open';
import { toFailure } from '../errors';
import { judgeTarget } from '../report/target';
import { analysisEntries, checkpointsOf, type AnalysisEntry } from './analysis-entries';
import type { ServerContext } from './context';
import { placeAt } from './json-places';
import { inlineCode } from './layer-markdown';

/** Most checkpoints that are told of at one place. */
const MOST = 8;

/** What a value of an analysis file stands for: the schema says what its property means. */
export async function analysisHover(
  context: ServerContext,
  document: TextDocument,
  offset: number,
): Promise<Hover | null> {
  const { entries, places } = analysisEntries(document.getText());
  const place = placeAt(places, offset);
  const range = place === undefined ? undefined : places.get(place);
  const entry = entries.find((one) => place?.startsWith(`${one.place}.`));
  if (place === undefined || range === undefined || entry === undefined) return null;
  const folder = dirname(fileURLToPath(document.uri));
  const value = await textFor(context, place.slice(entry.place.length + 1), entry, entries, folder);
  if (value === null) return null;
  return {
    contents: { kind: 'markdown', value },
    range: { start: document.positionAt(range.start), end: document.positionAt(range.end) },
  };
}

async function textFor(
  context: ServerContext,
  name: string,
  entry: AnalysisEntry,
  entries: readonly AnalysisEntry[],
  folder: string,
): Promise<string | null> {
  if (name === 'data.path') return entry.dataPath === undefined ? null : dataText(context, entry, folder);
  if (name !== 'checkpoint' && name !== 'targetSparsity') return null;
  const checkpoints = await checkpointsOf(context, entry, entries, folder);
  const tell = name === 'checkpoint' ? checkpointText : targetText;
  const lines = await Promise.all(checkpoints.slice(0, MOST).map((one) => tell(context, one, entry)));
  const told = lines.filter((line) => line !== null);
  return told.length === 0 ? null : told.map((line) => `- ${line}`).join('\n');
}

async function checkpointText(context: ServerContext, checkpoint: string): Promise<string> {
  const name = inlineCode(basename(checkpoint));
  try {
    const summary = await context.checkpoints.summary(checkpoint);
    const stored = await context.results.get(checkpoint);
    const input = summary.inputs[0]?.shape;
    const [limit] = stored?.result.limits ?? [];
    return [
      `${name} ${summary.format}, ${t('{0} prunable weights', grouped(summary.parameters.prunable))}`,
      ...(input === undefined ? [] : [t('input {0}', shapeText(input))]),
      ...(limit === undefined ? [] : [t('limit {0}', limitText(limit))]),
    ].join(', ');
  } catch (error) {
    return `${name} ${plain(toFailure(error).message)}`;
  }
}

async function targetText(
  context: ServerContext,
  checkpoint: string,
  { target }: AnalysisEntry,
): Promise<string | null> {
  const stored = await context.results.get(checkpoint);
  if (!stored || target === undefined) return null;
  const { limits } = stored.result;
  const verdict = judgeTarget(target, limits)?.message ?? t('below every limit');
  const known = limits.map((limit) => `${operatorName[limit.operator]} ${limitText(limit)}`).join('; ');
  return `${inlineCode(basename(checkpoint))} ${plain(verdict)} (${known})`;
}

async function dataText(context: ServerContext, { dataPath, split }: AnalysisEntry, folder: string): Promise<string> {
  const path = isAbsolute(dataPath!) ? dataPath! : resolve(folder, dataPath!);
  try {
    const format = await recognizeDataset(path);
    const facts = await context.datasets.facts(path, split);
    if (facts === null) return format;
    return t(
      '{0}: {1} samples of {2}, {3} classes',
      format,
      grouped(facts.total),
      shapeText(facts.sampleShape),
      grouped(facts.classes),
    );
  } catch (error) {
    return plain(toFailure(error).message);
  }
}

/** Names in messages come from files: nothing in them is read as Markdown. */
function plain(text: string): string {
  return text.replace(/[\\`*_{}[\]<>|#]/g, '\\$&');
}
