import { existsSync } from 'node:fs';
import { relative, resolve, sep } from 'node:path';
import type { Split } from '../../../protocol/analysis';
import type { Preprocessing } from '../dataset/prepare';
import { LARGEST_ANALYSIS_FILE } from '../analysis-file';
import { globToRegExp } from '../glob';
import { DEFAULT_OPTIONS } from '../options';
import type { ServerContext } from './context';
import { jsonPlaces } from './json-places';

/** What an entry of an analysis file says, as far as it makes sense while it is being typed. */
export interface AnalysisEntry {
  /** `analyses[0]` */
  readonly place: string;
  readonly checkpoint: string | undefined;
  /** Whether `checkpoint` may stand for several files. */
  readonly isPattern: boolean;
  readonly dataPath: string | undefined;
  readonly split: Split;
  /** How a sample becomes the network's input; undefined while what is typed makes no sense. */
  readonly preprocessing: Preprocessing | undefined;
  /** Images are brought to one size. */
  readonly resized: boolean;
  /** How many numbers there are. */
  readonly mean: number | undefined;
  readonly deviation: number | undefined;
  readonly target: number | undefined;
}

export interface AnalysisEntries {
  readonly entries: readonly AnalysisEntry[];
  readonly places: ReturnType<typeof jsonPlaces>;
}

/** Entries that are looked at while a file is open; a run looks at all. */
const MOST_ENTRIES = 500;

/** The entries of an analysis file whose text need not be whole. */
export function analysisEntries(text: string): AnalysisEntries {
  if (text.length > LARGEST_ANALYSIS_FILE) return { entries: [], places: new Map() };
  const places = jsonPlaces(text);
  const valueAt = (place: string): unknown => {
    const range = places.get(place);
    try {
      return range && (JSON.parse(text.slice(range.start, range.end)) as unknown);
    } catch {
      return undefined;
    }
  };
  const textAt = (place: string): string | undefined => {
    const value = valueAt(place);
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const countAt = (place: string): number | undefined => {
    const value = valueAt(place);
    return Array.isArray(value) ? value.length : undefined;
  };
  const entries: AnalysisEntry[] = [];
  for (let i = 0; i < MOST_ENTRIES && places.has(`analyses[${i}]`); i++) {
    const place = `analyses[${i}]`;
    const checkpoint = textAt(`${place}.checkpoint`);
    const target = valueAt(`${place}.targetSparsity`);
    entries.push({
      place,
      checkpoint,
      isPattern: checkpoint !== undefined && /[*?[{]/.test(checkpoint),
      dataPath: textAt(`${place}.data.path`),
      split: valueAt(`${place}.data.split`) === 'train' ? 'train' : DEFAULT_OPTIONS.data.split,
      preprocessing: preprocessingOf(valueAt(`${place}.data`)),
      resized: places.has(`${place}.data.resize`) || places.has(`${place}.data.crop`),
      mean: countAt(`${place}.data.normalize.mean`),
      deviation: countAt(`${place}.data.normalize.deviation`),
      target: typeof target === 'number' && target >= 0 && target <= 1 ? target : undefined,
    });
  }
  return { entries, places };
}

function preprocessingOf(data: unknown): Preprocessing | undefined {
  const { scale, normalize, layout } = (data ?? {}) as Partial<Record<keyof Preprocessing, unknown>>;
  const isNumbers = (value: unknown): value is number[] =>
    Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'number');
  if (scale !== undefined && !(typeof scale === 'number' && scale > 0)) return undefined;
  const { mean, deviation } = (normalize ?? {}) as { mean?: unknown; deviation?: unknown };
  if (normalize !== undefined && !(isNumbers(mean) && isNumbers(deviation) && mean.length === deviation.length)) {
    return undefined;
  }
  return {
    scale: scale ?? DEFAULT_OPTIONS.data.scale,
    ...(isNumbers(mean) && isNumbers(deviation) && { normalize: { mean, deviation } }),
    ...((layout === 'nchw' || layout === 'nhwc') && { layout }),
  };
}

/** Checkpoints for which this entry counts: the one it names, and those of its pattern that were analysed. */
export async function checkpointsOf(
  context: ServerContext,
  entry: AnalysisEntry,
  entries: readonly AnalysisEntry[],
  folder: string,
): Promise<string[]> {
  if (entry.checkpoint === undefined) return [];
  const analysed = (await context.runs.all()).map(({ checkpoint }) => checkpoint);
  const named = entry.isPattern ? [] : [resolve(folder, entry.checkpoint)];
  return [...new Set([...named, ...analysed])].filter((checkpoint) => {
    const path = relative(folder, checkpoint).split(sep).join('/');
    const first = entries.find(({ checkpoint: glob }) => glob !== undefined && globToRegExp(glob).test(path));
    return first === entry && existsSync(checkpoint);
  });
}
