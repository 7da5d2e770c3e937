import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Folders that hold other people's files. */
const SKIPPED = new Set(['node_modules', 'site-packages', '__pycache__', 'venv', 'env', 'build', 'dist']);
/** Entries that are looked at, at most: a data set may be a million files. */
const MOST_ENTRIES = 20_000;

/** A folder with the files in it. */
export interface VisitedFolder {
  readonly path: string;
  readonly files: readonly string[];
}

/** Folders and those in them, breadth first; hidden ones and those of installed packages are left out. */
export async function* walkFolders(folders: readonly string[]): AsyncGenerator<VisitedFolder> {
  const waiting = [...folders];
  let left = MOST_ENTRIES;
  for (let path = waiting.shift(); path !== undefined && left > 0; path = waiting.shift()) {
    const entries: Dirent[] = await readdir(path, { withFileTypes: true }).catch(() => []);
    left -= entries.length;
    const files: string[] = [];
    for (const entry of entries) {
      if (entry.isFile()) files.push(entry.name);
      else if (entry.isDirectory() && !entry.name.startsWith('.') && !SKIPPED.has(entry.name))
        waiting.push(join(path, entry.name));
    }
    yield { path, files };
  }
}
