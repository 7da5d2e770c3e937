import { t } from '@vscode/l10n';
import { dirname, isAbsolute, relative } from 'node:path';

/** What the wizard asks. */
export interface Answers {
  /** Absolute path of the data. */
  readonly path: string;
  readonly split: 'train' | 'test';
  readonly scale: number;
  readonly normalize: { readonly mean: readonly number[]; readonly deviation: readonly number[] } | null | undefined;
}

interface Entry {
  readonly checkpoint: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * The entry of an analysis file for the checkpoints in a folder. Paths are
 * written relative to the file, so that the project can be moved and shared.
 */
export function entryFor(file: string, checkpoint: string, answers: Answers): Entry {
  const folder = portable(relative(dirname(file), dirname(checkpoint)));
  const extension = checkpoint.slice(checkpoint.lastIndexOf('.'));
  const near = relative(dirname(file), answers.path);
  return {
    checkpoint: `${folder === '' ? '' : `${escapeGlob(folder)}/`}*${extension}`,
    data: {
      // On Windows, data on another drive has no relative path.
      path: isAbsolute(near) ? answers.path : portable(near) || '.',
      split: answers.split,
      scale: answers.scale,
      ...(answers.normalize && { normalize: answers.normalize }),
      layout: 'auto',
    },
  };
}

/**
 * The text of an analysis file with one more entry. It goes first, because the
 * first entry that matches counts.
 *
 * @throws {Error} when the text is not an analysis file
 */
export function addAnalysis(text: string | undefined, entry: Entry): string {
  const file = (text === undefined ? { analyses: [] } : JSON.parse(text)) as { analyses?: unknown };
  if (typeof file !== 'object' || file === null || !Array.isArray(file.analyses)) {
    throw new Error(t('pruning-limit.json has no list "analyses": add one, or delete the file'));
  }
  const written = JSON.stringify({ ...file, analyses: [entry, ...(file.analyses as unknown[])] }, null, 2);
  // Lists of numbers read best on one line.
  return `${written.replace(/\[\s+([-\d.e+,\s]+?)\s+\]/g, (_, numbers: string) => `[${numbers.replace(/\s+/g, ' ')}]`)}\n`;
}

function portable(path: string): string {
  return path.replaceAll('\\', '/');
}

function escapeGlob(path: string): string {
  return path.replace(/[*?[{}]/g, (character) => `[${character}]`);
}
