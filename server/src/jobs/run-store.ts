import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AnalysisRequest, AnalysisResult } from '../../../protocol/analysis';
import type { Run, RunId, RunState } from '../../../protocol/runs';

/** A run as it is kept. */
export interface StoredRun extends Run {
  readonly request: AnalysisRequest;
  /** Of checkpoint, data and options; null when they could not be read. */
  readonly key: string | null;
  /** The checkpoint's file when the run began. */
  readonly stamp: string;
  /** The process that runs it, or ran it last. */
  readonly owner: number;
  /** How many processes have gone on with it. */
  readonly claims: number;
  /** When it was last the answer to a question, in milliseconds since 1970. */
  readonly asked: number;
  /** How often it went on after its compute process had died. */
  readonly resumed: number;
}

/** Format of the files; others are left alone. */
const VERSION = 2;
const RUN = 'run.json';
const RESULT = 'result.json';
const JOURNAL = 'journal';

/**
 * Running and past analyses, each in a folder of its own below one that
 * outlives the window: what it was asked, its result, and while it runs the
 * journal it goes on from. What cannot be read is as good as not there.
 *
 * Several windows may share the folder. A run belongs to the process that runs
 * it; when that is gone without having ended it, another one may claim it.
 */
export class RunStore {
  private readonly runs = new Map<RunId, StoredRun>();
  private readonly results = new Map<RunId, Promise<AnalysisResult | null>>();
  private loading: Promise<void> | undefined;

  /** @param folder undefined keeps everything in memory only */
  constructor(
    private readonly folder: string | undefined,
    private readonly onFailure: (message: string) => void = () => undefined,
  ) {}

  /** Every run, the newest first. Runs of other windows are read anew. */
  async all(): Promise<StoredRun[]> {
    this.loading = this.load();
    await this.loading;
    return [...this.runs.values()].sort((a, b) => b.started - a.started);
  }

  async get(id: RunId): Promise<StoredRun | null> {
    await this.loaded();
    return this.runs.get(id) ?? null;
  }

  /** As this process knows it. */
  known(id: RunId): StoredRun | undefined {
    return this.runs.get(id);
  }

  /** The run that answers for a checkpoint: the one asked for last of those that have a result. */
  async latest(checkpoint: string): Promise<StoredRun | null> {
    return this.last((run) => run.checkpoint === checkpoint);
  }

  /** A run that has answered this question. */
  async answered(key: string): Promise<StoredRun | null> {
    return this.last((run) => run.key === key);
  }

  result(id: RunId): Promise<AnalysisResult | null> {
    let result = this.results.get(id);
    if (!result) this.results.set(id, (result = this.readResult(id)));
    return result;
  }

  /** Keeps a run that is new or has changed. */
  put(run: StoredRun): void {
    this.runs.set(run.id, run);
    this.write(run.id, RUN, JSON.stringify({ version: VERSION, ...run }));
  }

  /** A result is there before the run that has it says so. */
  putResult(run: StoredRun, result: AnalysisResult): void {
    this.results.set(run.id, Promise.resolve(result));
    this.write(run.id, RESULT, JSON.stringify(result));
    this.put(run);
  }

  /** Where a run keeps its journal; undefined when there is no place for it. */
  journal(id: RunId): string | undefined {
    return this.folder === undefined ? undefined : join(this.folder, id, JOURNAL);
  }

  removeJournal(id: RunId): void {
    const path = this.journal(id);
    if (path !== undefined) rmSync(path, { force: true });
  }

  async remove(id: RunId): Promise<void> {
    this.runs.delete(id);
    this.results.delete(id);
    if (this.folder !== undefined) await rm(join(this.folder, id), { recursive: true, force: true });
  }

  /**
   * Takes over a run whose process is gone.
   *
   * @returns null when it is still there, or another process was faster
   */
  claim(run: StoredRun, isMine: boolean): StoredRun | null {
    const isOwned = run.owner === process.pid ? isMine : isAlive(run.owner);
    if (run.state !== 'running' || isOwned || this.folder === undefined) return null;
    try {
      // Only one process can make this file.
      closeSync(openSync(join(this.folder, run.id, `claimed-${run.claims}`), 'wx'));
    } catch {
      return null;
    }
    const claimed = { ...run, owner: process.pid, claims: run.claims + 1 };
    this.put(claimed);
    return claimed;
  }

  private async last(fits: (run: StoredRun) => boolean): Promise<StoredRun | null> {
    await this.loaded();
    let found: StoredRun | null = null;
    for (const run of this.runs.values()) {
      if (run.state === 'done' && fits(run) && (found === null || run.asked >= found.asked)) found = run;
    }
    return found;
  }

  private loaded(): Promise<void> {
    return (this.loading ??= this.load());
  }

  private async load(): Promise<void> {
    if (this.folder === undefined) return;
    const names = await readdir(this.folder).catch(() => []);
    for (const id of names) {
      const known = this.runs.get(id);
      if (known && (known.state !== 'running' || known.owner === process.pid)) continue;
      try {
        const run = JSON.parse(await readFile(join(this.folder, id, RUN), 'utf8')) as StoredRun & { version: number };
        if (run.version === VERSION && run.id === id) this.runs.set(id, run);
      } catch {
        // Being written for the first time, or damaged.
      }
    }
    for (const id of [...this.runs.keys()]) {
      if (!existsSync(join(this.folder, id))) this.runs.delete(id);
    }
  }

  private async readResult(id: RunId): Promise<AnalysisResult | null> {
    if (this.folder === undefined) return null;
    try {
      return JSON.parse(readFileSync(join(this.folder, id, RESULT), 'utf8')) as AnalysisResult;
    } catch {
      return null;
    }
  }

  private write(id: RunId, name: string, text: string): void {
    if (this.folder === undefined) return;
    const path = join(this.folder, id, name);
    try {
      mkdirSync(join(this.folder, id), { recursive: true });
      // Another window may read at this moment: the file appears whole or not at all.
      writeFileSync(`${path}.${process.pid}`, text);
      renameSync(`${path}.${process.pid}`, path);
    } catch (error) {
      // It is still in memory; only the next window will not have it.
      this.onFailure(`${path} could not be written: ${(error as Error).message}`);
    }
  }
}

/** What the runs view is told of a run. */
export function publicRun({ id, name, checkpoint, state, started, ended, limits, error, samples }: StoredRun): Run {
  return { id, name, checkpoint, state, started, ended, limits, error, samples };
}

export function endedRun(run: StoredRun, state: Exclude<RunState, 'running'>, error: string | null): StoredRun {
  return { ...run, state, error, ended: Date.now() };
}

/** Whether another process that is there runs it. */
export function isElsewhere(run: StoredRun): boolean {
  return run.state === 'running' && run.owner !== process.pid && isAlive(run.owner);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
