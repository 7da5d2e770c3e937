import { open, readdir, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { DataOptions, Split } from '../../../protocol/analysis';
import { InputError } from '../errors';
import type { Dataset } from './dataset';

/** What a path is, found out once and shown to every reader's `match`. */
export type Location =
  | {
      readonly kind: 'file';
      readonly path: string;
      /** Last part of the path. */
      readonly name: string;
      /** At most the first 16 bytes. */
      readonly head: Uint8Array;
    }
  | {
      readonly kind: 'folder';
      readonly path: string;
      readonly name: string;
      /** Names of the files in it, sorted. */
      readonly files: readonly string[];
      /** Names of the folders in it, sorted. */
      readonly folders: readonly string[];
    };

/** One file format of labelled samples. */
export interface DatasetFormat {
  readonly name: string;
  /** What it wants to find, for the message when no format matches. */
  readonly expects: string;
  /** Whether to try: looks at names and first bytes only, opens nothing. */
  match(location: Location): boolean;
  /** @throws InputError when the split is not there or a file is not what it says */
  open(location: Location, split: Split, options?: Pick<DataOptions, 'resize' | 'crop'>): Promise<Dataset>;
}

/** @throws InputError when there is nothing at `path` */
export async function locate(path: string): Promise<Location> {
  const status = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
      throw new InputError(`data not found: ${path}; correct the path of the data`);
    }
    throw error;
  });
  const name = basename(path);
  if (status.isDirectory()) {
    const entries = await readdir(path, { withFileTypes: true });
    const names = (folder: boolean): string[] =>
      entries
        .filter((entry) => entry.isDirectory() === folder)
        .map((entry) => entry.name)
        .sort();
    return { kind: 'folder', path, name, files: names(false), folders: names(true) };
  }
  if (!status.isFile()) throw new InputError(`data not readable: ${path} is neither file nor folder; name one`);
  return { kind: 'file', path, name, head: await firstBytes(path) };
}

async function firstBytes(path: string): Promise<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(16), 0, 16, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** `a, b, c and 4 more`; `nothing` for none. */
export function listNames(names: readonly string[], most = 8): string {
  if (names.length === 0) return 'nothing';
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

/** The split that a file's name speaks of: a part `test` or `t10k`, or `train`, between punctuation. */
export function splitOfName(name: string): Split | undefined {
  const parts = name.toLowerCase().split(/[^a-z0-9]+/);
  if (parts.some((part) => part === 'test' || part === 't10k')) return 'test';
  if (parts.some((part) => part === 'train' || part === 'training')) return 'train';
  return undefined;
}

/**
 * The file for `split` among `names`, all of one format in one folder: the one
 * whose name says so, or, where no name speaks of any split, the only one.
 *
 * @param splitOf which split a name speaks of
 * @throws InputError when there is none or more than one
 */
export function chooseFile(
  names: readonly string[],
  split: Split,
  folder: string,
  splitOf: (name: string) => Split | undefined = splitOfName,
): string {
  const named = names.filter((name) => splitOf(name) !== undefined);
  const fitting = named.length === 0 ? names : named.filter((name) => splitOf(name) === split);
  if (fitting.length === 1) return fitting[0]!;
  if (fitting.length === 0) throw splitMissing(split, folder, names);
  throw new InputError(
    `data ambiguous: ${folder} holds several files for ${split} (${listNames(fitting)}); name one of them`,
  );
}

export function splitMissing(split: Split, where: string, there: readonly string[]): InputError {
  const other = split === 'test' ? 'train' : 'test';
  return new InputError(
    `split not found: ${split} in ${where}, which holds ${listNames(there)}; choose ${other} or name a file`,
  );
}
