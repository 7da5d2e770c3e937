import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
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
/** Results that are held in memory, the last ones asked for. */
const MOST_RESULTS = 20;
/** How often what could not be written is tried again, in milliseconds. */
const RETRY = 5000;

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
  /** When the file of a run that was read had last been changed. */
  private readonly read = new Map<RunId, number>();
  /** What could not be written yet, by run and name of the file. */
  private readonly unwritten = new Map<RunId, Map<string, string>>();
  private retry: NodeJS.Timeout | undefined;

  /**
   * @param folder undefined keeps everything in memory only
   * @param onFailure told once when nothing can be written any more; it is tried again until it can
   */
  constructor(
    private readonly folder: string | undefined,
    private readonly onFailure: (message: string) => void = () => undefined,
  ) {}

  /** Every run, the newest first. Runs of other windows are read anew. */
  async all(): Promise<StoredRun[]> {
    await this.load();
    return [...this.runs.values()].sort((a, b) => b.started - a.started);
  }

  async get(id: RunId): Promise<StoredRun | null> {
    await this.load();
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
    const result = this.results.get(id) ?? this.readResult(id);
    this.hold(id, result);
    return result;
  }

  /** Keeps a run that is new or has changed. */
  put(run: StoredRun): void {
    this.runs.set(run.id, run);
    this.write(run.id, RUN, JSON.stringify({ version: VERSION, ...run }));
  }

  /** A result is there before the run that has it says so. */
  putResult(run: StoredRun, result: AnalysisResult): void {
    this.hold(run.id, Promise.resolve(result));
    this.write(run.id, RESULT, JSON.stringify(result));
    this.put(run);
  }

  /** Where a run keeps its journal; undefined when there is no place for it. */
  journal(id: RunId): string | undefined {
    return this.folder === undefined ? undefined : join(this.folder, id, JOURNAL);
  }

  removeJournal(id: RunId): void {
    const path = this.journal(id);
    if (path !== undefined) this.discard(path);
  }

  async remove(id: RunId): Promise<void> {
    this.runs.delete(id);
    this.results.delete(id);
    this.unwritten.delete(id);
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

  /** Tries once more to write what could not be written; what still cannot is lost. */
  dispose(): void {
    clearInterval(this.retry);
    this.flush();
  }

  private async last(fits: (run: StoredRun) => boolean): Promise<StoredRun | null> {
    await this.load();
    let found: StoredRun | null = null;
    for (const run of this.runs.values()) {
      if (run.state === 'done' && fits(run) && (found === null || run.asked >= found.asked)) found = run;
    }
    return found;
  }

  private hold(id: RunId, result: Promise<AnalysisResult | null>): void {
    this.results.delete(id);
    this.results.set(id, result);
    const [oldest] = this.results.keys();
    if (this.results.size > MOST_RESULTS) this.results.delete(oldest!);
  }

  /** Reads what another window has written since it was read last. */
  private async load(): Promise<void> {
    const { folder } = this;
    if (folder === undefined) return;
    const found = await readdir(folder).catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? [] : null));
    if (found === null) return;
    const names = new Set(found);
    await Promise.all([...names].map((id) => this.loadRun(folder, id)));
    // Deleted in another window.
    for (const id of [...this.runs.keys()]) {
      if (!names.has(id) && !this.unwritten.has(id) && this.read.has(id)) this.forget(id);
    }
  }

  private async loadRun(folder: string, id: RunId): Promise<void> {
    const known = this.runs.get(id);
    if (this.unwritten.has(id) || (known?.state === 'running' && known.owner === process.pid)) return;
    try {
      const path = join(folder, id, RUN);
      const { mtimeMs } = await stat(path);
      if (this.read.get(id) === mtimeMs) return;
      const run = JSON.parse(await readFile(path, 'utf8')) as StoredRun & { version: number };
      // What was put meanwhile is newer.
      if (run.version !== VERSION || run.id !== id || this.runs.get(id) !== known) return;
      this.runs.set(id, run);
      if (run.state !== known?.state) this.results.delete(id);
      this.read.set(id, mtimeMs);
    } catch {
      // Being written for the first time, or damaged.
    }
  }

  private forget(id: RunId): void {
    this.runs.delete(id);
    this.results.delete(id);
    this.read.delete(id);
  }

  private async readResult(id: RunId): Promise<AnalysisResult | null> {
    if (this.folder === undefined) return null;
    try {
      const text = this.unwritten.get(id)?.get(RESULT) ?? (await readFile(join(this.folder, id, RESULT), 'utf8'));
      return JSON.parse(text) as AnalysisResult;
    } catch {
      return null;
    }
  }

  private write(id: RunId, name: string, text: string): void {
    if (this.folder === undefined) return;
    const waiting = this.unwritten.get(id) ?? new Map<string, string>();
    // Last, whatever waits: a run comes after the result that it says it has.
    waiting.delete(name);
    waiting.set(name, text);
    this.unwritten.set(id, waiting);
    this.flush();
  }

  /** Writes what is waiting, of each run in the order in which it came. */
  private flush(): void {
    let failure: string | undefined;
    for (const [id, files] of this.unwritten) {
      try {
        for (const [name, text] of files) {
          this.writeWhole(id, name, text);
          files.delete(name);
        }
        this.unwritten.delete(id);
        this.read.set(id, 0);
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        failure ??= `runs cannot be kept in ${this.folder}: ${code ?? message}; ${remedy(code)}, or they are lost when this window closes`;
      }
    }
    if (failure === undefined) {
      clearInterval(this.retry);
      this.retry = undefined;
    } else if (this.retry === undefined) {
      this.onFailure(failure);
      this.retry = setInterval(() => this.flush(), RETRY).unref();
    }
  }

  /** What cannot be removed now, held open by a process that is about to go or in a read-only folder, goes with its run. */
  private discard(path: string): void {
    try {
      rmSync(path, { force: true });
    } catch {
      // It stays.
    }
  }

  /** Another window may read at this moment: a file appears whole or not at all. */
  private writeWhole(id: RunId, name: string, text: string): void {
    const path = join(this.folder!, id, name);
    const temporary = `${path}.${process.pid}`;
    try {
      makeFolder(join(this.folder!, id));
      writeFileSync(temporary, text);
      renameSync(temporary, path);
    } catch (error) {
      this.discard(temporary);
      throw error;
    }
  }
}

/** Making folders above as well hides why the last one cannot be made. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') mkdirSync(path, { recursive: true });
    else if (code !== 'EEXIST') throw error;
  }
}

function remedy(code: string | undefined): string {
  return code === 'ENOSPC' || code === 'EDQUOT' ? 'free some space there' : 'make that folder writable';
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
