import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { InputError } from '../errors';

/**
 * Whether `writeAtomically` could write there, found out before the work whose
 * result is to go there. Nothing is written.
 *
 * @param inputs paths that must not be overwritten
 * @throws InputError when the folder is missing or not writable, or `path` is a folder or one of `inputs`
 */
export async function checkTarget(path: string, inputs: readonly string[] = []): Promise<void> {
  const folder = dirname(path);
  const folderStatus = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new InputError(`folder not found: ${folder} (for ${path}); create it first`);
    throw notWritten(path, codeOf(error));
  });
  if (!folderStatus.isDirectory()) throw new InputError(`not a folder: ${folder} (for ${path}); choose another place`);
  const status = await stat(path).catch(() => undefined);
  if (status?.isDirectory()) {
    throw new InputError(`folder, not a file: ${path}; name a file in it, such as ${join(path, 'report.html')}`);
  }
  if (status !== undefined) {
    const real = await realpath(path);
    for (const input of inputs) {
      if ((await realpath(input).catch(() => input)) === real) {
        throw new InputError(`file is an input: ${path}; choose another place, it would be overwritten`);
      }
    }
  }
  await access(folder, constants.W_OK).catch((error: unknown) => {
    throw notWritten(path, codeOf(error));
  });
}

/**
 * Writes a whole file or none: into a temporary neighbour, which then takes
 * its place. What was there before stays until then.
 *
 * @throws InputError when the folder is missing or not writable, or the disk is full
 */
export async function writeAtomically(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}`);
  try {
    await writeFile(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw notWritten(path, codeOf(error));
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

/** @param code of the system's error */
export function notWritten(path: string, code: string): InputError {
  const full = code === 'ENOSPC' || code === 'EDQUOT' ? 'free some space there, or ' : '';
  return new InputError(`file not written: ${path} (${code}); ${full}choose another place`);
}
