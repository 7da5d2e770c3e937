import { renameSync, rmSync } from 'node:fs';
import { copyFile, link, lstat, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { InputError } from '../errors';
import { notWritten } from './write';

/**
 * Files that belong together and appear whole or not at all: they are written
 * into a temporary folder beside their places, looked at there under their
 * final names, and moved only when all of them are there. What was in their
 * places before stays until then.
 */
export class Staging {
  /** By folder of the targets: a file can be moved inside its file system only. */
  private readonly folders = new Map<string, string>();
  private readonly targets: { readonly staged: string; readonly target: string }[] = [];
  /** What has been moved, or is being, and what was there before: null for nothing. */
  private readonly moved: { readonly target: string; readonly old: string | null }[] = [];

  /**
   * Writes files by `write`, which places them, and moves them. When it fails,
   * or a file cannot be moved, everything is as it was before.
   *
   * @throws InputError when a folder is missing or not writable, or the disk is full
   */
  static async run<T>(write: (staging: Staging) => Promise<T>): Promise<T> {
    const staging = new Staging();
    // A process whose starter is gone ends in the middle.
    const clean = (): void => {
      staging.undo();
      staging.folders.forEach(removeNow);
    };
    process.once('exit', clean);
    try {
      const result = await write(staging);
      await staging.commit();
      return result;
    } catch (error) {
      const { code, path } = error as NodeJS.ErrnoException;
      if (error instanceof InputError || code === undefined || !/^E[A-Z]+$/.test(code)) throw error;
      const target =
        staging.targets.find(({ staged, target }) => staged === path || target === path)?.target ??
        staging.targets[0]?.target ??
        path;
      throw notWritten(target ?? 'the files', code);
    } finally {
      staging.undo();
      process.off('exit', clean);
      for (const folder of staging.folders.values())
        await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    }
  }

  /** Where to write what is to go to `target`. Targets are moved in the order in which they were placed. */
  async place(target: string): Promise<string> {
    const parent = dirname(target);
    let folder = this.folders.get(parent);
    if (folder === undefined) {
      try {
        folder = await mkdtemp(join(parent, `.${basename(target)}.${process.pid}-`));
      } catch (error) {
        throw notWritten(target, (error as NodeJS.ErrnoException).code ?? String(error));
      }
      this.folders.set(parent, folder);
    }
    const staged = join(folder, basename(target));
    this.targets.push({ staged, target });
    return staged;
  }

  private async commit(): Promise<void> {
    const [first, ...more] = this.targets;
    if (first === undefined) return;
    // One file takes its place at once or not at all.
    if (more.length === 0) return rename(first.staged, first.target);
    const old: (string | null)[] = [];
    for (const [i, { staged, target }] of this.targets.entries()) {
      old.push(await kept(target, join(dirname(staged), `.old-${i}`)));
    }
    for (const [i, { staged, target }] of this.targets.entries()) {
      this.moved.push({ target, old: old[i]! });
      await rename(staged, target);
    }
    this.moved.length = 0;
  }

  /** Puts back what was there before. */
  private undo(): void {
    for (const { target, old } of this.moved.splice(0).reverse()) {
      try {
        if (old === null) rmSync(target, { force: true });
        else renameSync(old, target);
      } catch {
        // It is a folder, or the disk has gone.
      }
    }
  }
}

/** At the end of the process, whose threads may still make files in the folder while it is emptied. */
function removeNow(folder: string): void {
  for (let attempt = 0; attempt < 100; attempt++) {
    try {
      return rmSync(folder, { recursive: true, force: true });
    } catch {
      // Not empty after all: what has come is seen by the next one. `maxRetries` looks no second time.
    }
  }
}

/** A file under a second name; null where there is none. A link takes neither time nor room, and not every disk has them. */
async function kept(path: string, name: string): Promise<string | null> {
  const status = await lstat(path).catch(() => undefined);
  if (status === undefined || status.isDirectory()) return null;
  await link(path, name).catch(() => copyFile(path, name));
  return name;
}

/**
 * Removes what a process that was killed while it staged files has left beside their places.
 *
 * @param pid of that process, which must be gone
 */
export async function removeStaged(targets: readonly string[], pid: number): Promise<void> {
  for (const parent of new Set(targets.map((target) => dirname(target)))) {
    const names = await readdir(parent).catch(() => []);
    for (const name of names.filter((name) => /^\..*\.(\d+)-[^.]{6}$/.exec(name)?.[1] === String(pid)))
      await rm(join(parent, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

/** @throws InputError when something is at `path` already */
export async function expectFree(path: string, how: string): Promise<void> {
  if (await isThere(path)) throw new InputError(`file exists: ${path}; choose another name, or ${how}`);
}

export async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
