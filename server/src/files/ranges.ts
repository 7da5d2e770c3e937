import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { inflateRawSync } from 'node:zlib';
import { InputError } from '../errors';
import { truncated } from './source';
import { LOCAL_HEADER, localDataStart, type ZipEntry } from './zip';

/**
 * Bytes of a file by position, read when they are asked for: tensors of a
 * checkpoint are fetched one at a time, so the file is opened for each and
 * none of it is kept.
 */

/**
 * @throws InputError when the file ends before, or cannot be read
 */
export function readRange(path: string, start: number, length: number): Uint8Array {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    throw new InputError(`file not readable: ${path}; ${(error as Error).message}`);
  }
  try {
    // Compared before anything is allocated: a header may claim any length.
    if (!(start >= 0 && length >= 0 && start + length <= fstatSync(descriptor).size)) throw truncated(path);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const got = readSync(descriptor, bytes, done, Math.min(length - done, 2 ** 30), start + done);
      if (got === 0) throw truncated(path);
      done += got;
    }
    return bytes;
  } finally {
    closeSync(descriptor);
  }
}

/** The bytes `start` … `start + length` of an unpacked entry; a stored one is read there and nowhere else. */
export function readEntry(path: string, entry: ZipEntry, start = 0, length = entry.size - start): Uint8Array {
  if (!(start >= 0 && length >= 0 && start + length <= entry.size)) throw truncated(`${entry.name} in ${path}`);
  const data = localDataStart(readRange(path, entry.header, LOCAL_HEADER), entry, path);
  if (entry.method === 'stored') return readRange(path, data + start, length);
  const packed = readRange(path, data, entry.packed);
  let unpacked: Uint8Array;
  try {
    unpacked = inflateRawSync(packed, { maxOutputLength: Math.max(1, entry.size) });
  } catch (error) {
    throw new InputError(
      `compressed data damaged: ${entry.name} in ${path} (${(error as Error).message}); copy the file again`,
    );
  }
  if (unpacked.length !== entry.size) throw truncated(`${entry.name} in ${path}`);
  return unpacked.subarray(start, start + length);
}

/** A place in bytes that are read from front to back, of which a window is in memory. */
export class ByteCursor {
  private window: Uint8Array = new Uint8Array(0);
  private start = 0;
  private at = 0;

  /**
   * @param size bytes there are
   * @param fetch reads a range of them
   * @param name for messages
   */
  constructor(
    readonly size: number,
    private readonly fetch: (start: number, length: number) => Uint8Array,
    readonly name: string,
  ) {}

  static of(bytes: Uint8Array, name: string): ByteCursor {
    return new ByteCursor(bytes.length, (start, length) => bytes.subarray(start, start + length), name);
  }

  get position(): number {
    return this.start + this.at;
  }

  get remaining(): number {
    return this.size - this.position;
  }

  byte(): number {
    if (this.at >= this.window.length) this.load(1);
    return this.window[this.at++]!;
  }

  /** The next `length` bytes; valid until they change, which is never. */
  take(length: number): Uint8Array {
    if (this.at + length > this.window.length) this.load(length);
    this.at += length;
    return this.window.subarray(this.at - length, this.at);
  }

  skip(length: number): void {
    if (!(length >= 0 && length <= this.remaining)) throw truncated(this.name);
    if (this.at + length <= this.window.length) {
      this.at += length;
      return;
    }
    this.start = this.position + length;
    this.at = 0;
    this.window = new Uint8Array(0);
  }

  view(length: number): DataView {
    const bytes = this.take(length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  private load(length: number): void {
    if (!(length >= 0 && length <= this.remaining)) throw truncated(this.name);
    this.start = this.position;
    this.at = 0;
    this.window = this.fetch(this.start, Math.min(this.remaining, Math.max(length, WINDOW)));
  }
}

const WINDOW = 1 << 16;
