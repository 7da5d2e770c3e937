import { constants } from 'node:fs';
import { chmod, copyFile, stat, type FileHandle } from 'node:fs/promises';
import { readAt } from './source';

/** Copies a file so that its copy can be changed, whatever the original's permissions are. */
export async function copyWritable(source: string, target: string): Promise<void> {
  await copyFile(source, target, constants.COPYFILE_FICLONE);
  const { mode } = await stat(target);
  if ((mode & 0o200) === 0) await chmod(target, (mode & 0o777) | 0o200);
}

/** Copies the bytes from `start` to `end` of an open file to `position` of another. */
export async function copyRange(
  input: FileHandle,
  start: number,
  end: number,
  output: FileHandle,
  position: number,
): Promise<void> {
  const chunk = Buffer.alloc(Math.min(1 << 20, Math.max(0, end - start)));
  for (let at = start; at < end;) {
    const piece = chunk.subarray(0, Math.min(chunk.length, end - at));
    await readAt(input, piece, at, 'the source');
    await writeAt(output, piece, position + at - start);
    at += piece.length;
  }
}

/** Writes all of `bytes` at `position`. */
export async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const length = Math.min(bytes.length - done, 1 << 30);
    done += (await handle.write(bytes, done, length, position + done)).bytesWritten;
  }
}
