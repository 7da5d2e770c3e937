import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { constants } from 'node:buffer';
import { pipeline } from 'node:stream';
import type { Transform } from 'node:stream';
import { createGunzip, createInflateRaw } from 'node:zlib';
import { InputError } from '../errors';

/**
 * Bytes read from front to back, from a file, a part of one, or what a
 * compressed part unpacks to. A reader asks for exactly the bytes it wants and
 * never holds the rest.
 */
export interface ByteSource {
  /** For messages. */
  readonly name: string;
  /**
   * No more bytes than this can follow, whatever a header says: the length of
   * a plain file, the best possible ratio of a compressed one. Claims are
   * compared with it before anything is allocated.
   */
  readonly limit: number;
  /**
   * Fills `target`.
   * @throws InputError when the source ends before, or its compressed form is damaged
   */
  read(target: Uint8Array): Promise<void>;
  /** Whether every byte was read; checks the checksum of a compressed source. */
  atEnd(): Promise<boolean>;
  close(): Promise<void>;
}

/** A match of 258 bytes takes at least two bits, so one byte unpacks to at most 1032. */
export const DEFLATE_RATIO = 1032;

/**
 * Opens `path` for `use` and closes it afterwards. A file which starts with
 * gzip's magic number is unpacked while it is read, whatever its name is:
 * downloads often lose or keep `.gz` wrongly.
 */
export async function withSource<T>(path: string, use: (source: ByteSource) => Promise<T>): Promise<T> {
  const handle = await open(path, 'r');
  let source: ByteSource;
  try {
    const { size } = await handle.stat();
    const head = new Uint8Array(2);
    const { bytesRead } = await handle.read(head, 0, 2, 0);
    const zipped = bytesRead === 2 && head[0] === 0x1f && head[1] === 0x8b;
    source = zipped ? gunzip(path, size) : fileSource(handle, path, 0, size);
  } catch (error) {
    await handle.close();
    throw error;
  }
  try {
    return await use(source);
  } finally {
    await source.close();
    await handle.close();
  }
}

/** The `length` bytes of an open file from `start`; closing it leaves the handle open. */
export function fileSource(handle: FileHandle, name: string, start: number, length: number): ByteSource {
  let position = start;
  const end = start + length;
  return {
    name,
    limit: length,
    async read(target) {
      if (target.length > end - position) throw truncated(name);
      await readAt(handle, target, position, name);
      position += target.length;
    },
    atEnd: () => Promise.resolve(position === end),
    close: () => Promise.resolve(),
  };
}

/** Fills `target` from `position`. Reads of more than 2 GiB are made in pieces. */
export async function readAt(handle: FileHandle, target: Uint8Array, position: number, name: string): Promise<void> {
  const piece = 1 << 30;
  let done = 0;
  while (done < target.length) {
    const length = Math.min(piece, target.length - done);
    const { bytesRead } = await handle.read(target, done, length, position + done);
    if (bytesRead === 0) throw truncated(name);
    done += bytesRead;
  }
}

/** A raw deflate stream of `length` bytes from `start` which ought to unpack to `expected` bytes. */
export function inflateSource(path: string, name: string, start: number, length: number, expected: number): ByteSource {
  if (length === 0) return unpacked(name, 0, undefined);
  const input = createReadStream(path, { start, end: start + length - 1 });
  const inflate = createInflateRaw({ chunkSize: 1 << 18 });
  // The callback has nothing to do: a failure of either stream reaches the iterator.
  pipeline(input, inflate, () => undefined);
  return unpacked(name, Math.min(expected, length * DEFLATE_RATIO), inflate);
}

function gunzip(path: string, size: number): ByteSource {
  const output = createGunzip({ chunkSize: 1 << 18 });
  pipeline(createReadStream(path), output, () => undefined);
  return unpacked(path, size * DEFLATE_RATIO, output);
}

function unpacked(name: string, limit: number, stream: Transform | undefined): ByteSource {
  const chunks = stream?.[Symbol.asyncIterator]() as AsyncIterator<Uint8Array> | undefined;
  let chunk: Uint8Array = new Uint8Array(0);
  let offset = 0;
  /** Makes the next chunk current; false at the end. */
  const advance = async (): Promise<boolean> => {
    while (offset === chunk.length) {
      let next: IteratorResult<Uint8Array> | undefined;
      try {
        next = await chunks?.next();
      } catch (error) {
        throw unpackError(name, error);
      }
      if (next === undefined || next.done === true) return false;
      chunk = next.value;
      offset = 0;
    }
    return true;
  };
  return {
    name,
    limit,
    async read(target) {
      let done = 0;
      while (done < target.length) {
        if (!(await advance())) throw truncated(name);
        const length = Math.min(chunk.length - offset, target.length - done);
        target.set(chunk.subarray(offset, offset + length), done);
        offset += length;
        done += length;
      }
    },
    atEnd: async () => !(await advance()),
    close() {
      stream?.destroy();
      return Promise.resolve();
    },
  };
}

function unpackError(name: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'Z_BUF_ERROR') return truncated(name);
  if (code?.startsWith('Z_') !== true) return error;
  const reason = error instanceof Error ? error.message : code;
  return new InputError(`compressed data damaged: ${name} (${reason}); fetch the file again`);
}

export function truncated(name: string): InputError {
  return new InputError(`file truncated: ${name} ends before its data do; fetch the file again`);
}

/**
 * Memory for values whose number a file names; the caller has compared it with
 * the bytes that are there.
 * @throws InputError when it is more than one array can hold or memory has
 */
export function allocate<A>(make: new (length: number) => A, length: number, bytesEach: number, name: string): A {
  const error = (): InputError =>
    new InputError(`data too large: ${name} needs ${Math.ceil((length * bytesEach) / 2 ** 20)} MiB; use fewer samples`);
  if (length * bytesEach > constants.MAX_LENGTH) throw error();
  try {
    return new make(length);
  } catch (cause) {
    if (cause instanceof RangeError) throw error();
    throw cause;
  }
}
