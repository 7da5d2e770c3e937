import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AnalysisResult } from '../../../protocol/analysis';

export interface StoredResult {
  readonly result: AnalysisResult;
  readonly computed: Date;
  /** The checkpoint's file changed after the result was computed. */
  readonly outdated: boolean;
}

interface Entry {
  readonly result: AnalysisResult;
  /** Milliseconds since 1970. */
  readonly computed: number;
  /** The checkpoint as it was analysed. */
  readonly stamp: string;
}

/** Format of the files; others are left alone. */
const VERSION = 2;

/**
 * The latest result of every checkpoint, kept in a folder of the workspace so
 * that it outlives the window. A file that cannot be read is as good as none.
 */
export class ResultStore {
  private readonly entries = new Map<string, Promise<Entry | null>>();

  /** @param folder undefined keeps results in memory only */
  constructor(private readonly folder: string | undefined) {}

  async get(checkpoint: string): Promise<StoredResult | null> {
    const entry = await this.entry(checkpoint);
    if (!entry) return null;
    const outdated = fileStamp(checkpoint) !== entry.stamp;
    return { result: entry.result, computed: new Date(entry.computed), outdated };
  }

  /**
   * At once in memory; the promise is for the file.
   *
   * @param stamp of the checkpoint when the analysis began
   */
  async set(checkpoint: string, result: AnalysisResult, stamp: string): Promise<void> {
    const entry: Entry = { result, computed: Date.now(), stamp };
    this.entries.set(checkpoint, Promise.resolve(entry));
    const file = this.file(checkpoint);
    if (file === undefined) return;
    await mkdir(this.folder!, { recursive: true });
    // Another window may read at this moment: the file appears whole or not at all.
    await writeFile(`${file}.tmp`, JSON.stringify({ version: VERSION, ...entry }));
    await rename(`${file}.tmp`, file);
  }

  private entry(checkpoint: string): Promise<Entry | null> {
    let entry = this.entries.get(checkpoint);
    if (!entry) this.entries.set(checkpoint, (entry = this.load(checkpoint)));
    return entry;
  }

  private async load(checkpoint: string): Promise<Entry | null> {
    const file = this.file(checkpoint);
    if (file === undefined) return null;
    try {
      const stored = JSON.parse(await readFile(file, 'utf8')) as Entry & { version: number };
      return stored.version === VERSION && stored.result.checkpoint === checkpoint ? stored : null;
    } catch {
      return null;
    }
  }

  private file(checkpoint: string): string | undefined {
    const name = createHash('sha256').update(checkpoint).digest('hex').slice(0, 32);
    return this.folder === undefined ? undefined : join(this.folder, `${name}.json`);
  }
}

/** Size and time of a file's last change; empty when there is no such file. */
export function fileStamp(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? `${stat.size}-${stat.mtimeMs}` : '';
}
