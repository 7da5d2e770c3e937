import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { InputError } from '../errors';
import { DEFLATE_RATIO, fileSource, inflateSource, readAt } from './source';
import type { ByteSource } from './source';

/**
 * ZIP archives (PKWARE APPNOTE 6.3.10), read through their central directory:
 * stored and deflated entries, ZIP64 included. Encrypted and multi-disk
 * archives are refused.
 *
 * A size is believed only as far as the archive's own bytes allow: an entry
 * has to lie inside the file, and one which says that it unpacks to more than
 * deflate can reach is refused when the directory is read.
 */
export interface ZipEntry {
  readonly name: string;
  readonly method: 'stored' | 'deflate';
  /** Bytes in the archive. */
  readonly packed: number;
  /** Bytes it says it unpacks to. */
  readonly size: number;
  /** Of the unpacked bytes. */
  readonly crc32: number;
  /** Where its local header starts. */
  readonly header: number;
}

export interface ZipArchive {
  readonly path: string;
  readonly entries: readonly ZipEntry[];
  /** The bytes of an entry; its `limit` is what the entry says it unpacks to. */
  source(entry: ZipEntry): Promise<ByteSource>;
}

/** Whether an entry unpacks to much more than anything that is worth a file: it is not to be unpacked into memory. */
export function isBomb({ method, packed, size }: ZipEntry): boolean {
  return method === 'deflate' && size > (16 << 20) + 100 * packed;
}

/** Where the directory of an archive lies, and what leads to it. */
export interface ZipDirectory {
  readonly start: number;
  readonly length: number;
  readonly count: number;
  /** Position of the end record. */
  readonly end: number;
  /** Position of the 64-bit end record; null where there is none. */
  readonly end64: number | null;
}

const LOCAL = 0x0403_4b50;
const CENTRAL = 0x0201_4b50;
const END = 0x0605_4b50;
const END64 = 0x0606_4b50;
const LOCATOR64 = 0x0706_4b50;
const END_BYTES = 22;
const MAX_COMMENT = 0xffff;
/** A directory is held in memory; archives of a data set or a checkpoint have at most thousands of entries. */
const MAX_DIRECTORY = 64 << 20;

/** What names of entries are: paths, which must stay inside, or any texts, such as the names of arrays. */
type EntryNames = 'paths' | 'texts';

/** Opens the archive at `path` for `use` and closes it afterwards. */
export async function withZip<T>(
  path: string,
  use: (archive: ZipArchive) => Promise<T>,
  names: EntryNames = 'paths',
): Promise<T> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const { entries } = await readDirectory(handle, path, size, names);
    return await use({ path, entries, source: (entry) => entrySource(handle, path, size, entry) });
  } finally {
    await handle.close();
  }
}

/** @throws InputError when the archive is damaged, or not supported */
export async function readDirectory(
  handle: FileHandle,
  path: string,
  size: number,
  names: EntryNames = 'paths',
): Promise<{ readonly entries: ZipEntry[]; readonly directory: ZipDirectory }> {
  const tailStart = Math.max(0, size - END_BYTES - MAX_COMMENT);
  const tail = await view(handle, path, size, tailStart, size - tailStart);
  let at = tail.byteLength - END_BYTES;
  while (at >= 0 && tail.getUint32(at, true) !== END) at--;
  if (at < 0) throw new InputError(`archive damaged: ${path} has no zip directory; fetch the file again`);
  let disk = tail.getUint16(at + 4, true);
  let count = tail.getUint16(at + 10, true);
  let length = tail.getUint32(at + 12, true);
  let start = tail.getUint32(at + 16, true);
  let end64: number | null = null;
  if (count === 0xffff || length === 0xffff_ffff || start === 0xffff_ffff) {
    const locator = await view(handle, path, size, tailStart + at - 20, 20);
    if (locator.getUint32(0, true) === LOCATOR64) {
      end64 = uint64(locator, 8, path);
      const end = await view(handle, path, size, end64, 56);
      if (end.getUint32(0, true) !== END64) throw damaged(path, 'ZIP64 directory end not found');
      disk = end.getUint32(16, true);
      count = uint64(end, 32, path);
      length = uint64(end, 40, path);
      start = uint64(end, 48, path);
    }
  }
  if (disk !== 0) throw new InputError(`archive unsupported: ${path} is one disk of several; join them first`);
  if (length > MAX_DIRECTORY || count * 46 > length)
    throw damaged(path, `directory of ${length} bytes, ${count} entries`);
  const entries = parseDirectory(await view(handle, path, size, start, length), count, path, size);
  if (names === 'paths') refuseOutside(entries, path);
  return { entries, directory: { start, length, count, end: tailStart + at, end64 } };
}

function parseDirectory(directory: DataView, count: number, path: string, fileSize: number): ZipEntry[] {
  const entries: ZipEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > directory.byteLength || directory.getUint32(at, true) !== CENTRAL) {
      throw damaged(path, `directory entry ${i} not found`);
    }
    const flags = directory.getUint16(at + 8, true);
    const method = directory.getUint16(at + 10, true);
    const nameLength = directory.getUint16(at + 28, true);
    const extraLength = directory.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + directory.getUint16(at + 32, true);
    if (next > directory.byteLength) throw damaged(path, `directory entry ${i} is cut off`);
    const bytes = new Uint8Array(directory.buffer, directory.byteOffset + at + 46, nameLength);
    const name = entryName(bytes, path);
    const extra = new DataView(directory.buffer, directory.byteOffset + at + 46 + nameLength, extraLength);
    const [size, packed, header] = sizes(directory, at, extra, path);
    if ((flags & 1) !== 0)
      throw new InputError(`archive unsupported: ${name} in ${path} is encrypted; unlock it first`);
    if (method !== 0 && method !== 8) {
      throw new InputError(
        `compression unsupported: method ${method} of ${name} in ${path}; save it stored or deflated`,
      );
    }
    if (header + 30 + packed > fileSize) {
      throw damaged(path, `${name} says ${packed} bytes, more than there are`);
    }
    if (method === 0 ? size !== packed : size > packed * DEFLATE_RATIO) {
      throw damaged(path, `${name} says that ${packed} bytes unpack to ${size}`);
    }
    const crc32 = directory.getUint32(at + 16, true);
    entries.push({ name, method: method === 0 ? 'stored' : 'deflate', packed, size, crc32, header });
    at = next;
  }
  refuseOverlap(entries, path);
  return entries;
}

function entryName(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw damaged(path, `an entry's name is not UTF-8: ${Buffer.from(bytes).toString('latin1')}`);
  }
}

/** Nothing is unpacked to disk here, but what is written might be elsewhere. */
function refuseOutside(entries: readonly ZipEntry[], path: string): void {
  const outside = entries.find(({ name }) => /^[/\\]|^[a-z]:|\0|(^|[/\\])\.\.([/\\]|$)/i.test(name));
  if (outside !== undefined) throw damaged(path, `entry ${JSON.stringify(outside.name)} leads out of it`);
}

/** Entries that share bytes: a few kilobytes of them can unpack to any size. */
function refuseOverlap(entries: readonly ZipEntry[], path: string): void {
  const sorted = [...entries].sort((a, b) => a.header - b.header);
  sorted.forEach((entry, i) => {
    const next = sorted[i + 1];
    if (next !== undefined && entry.header + LOCAL_HEADER + entry.packed > next.header) {
      throw damaged(path, `${entry.name} reaches into the next entry`);
    }
  });
}

/** Unpacked size, packed size and header position: 32 bits, or where those are all ones, 64 in the extra field. */
function sizes(directory: DataView, at: number, extra: DataView, path: string): [number, number, number] {
  const fields: [number, number, number] = [
    directory.getUint32(at + 24, true),
    directory.getUint32(at + 20, true),
    directory.getUint32(at + 42, true),
  ];
  if (!fields.includes(0xffff_ffff)) return fields;
  for (let p = 0; p + 4 <= extra.byteLength;) {
    const id = extra.getUint16(p, true);
    const end = p + 4 + extra.getUint16(p + 2, true);
    if (end > extra.byteLength) break;
    if (id === 1) {
      let field = p + 4;
      return fields.map((value) => {
        if (value !== 0xffff_ffff) return value;
        if (field + 8 > end) throw damaged(path, 'ZIP64 sizes are cut off');
        field += 8;
        return uint64(extra, field - 8, path);
      }) as [number, number, number];
    }
    p = end;
  }
  return fields;
}

async function entrySource(handle: FileHandle, path: string, size: number, entry: ZipEntry): Promise<ByteSource> {
  const name = `${entry.name} in ${path}`;
  const local = await view(handle, path, size, entry.header, LOCAL_HEADER);
  const start = localDataStart(new Uint8Array(local.buffer), entry, path);
  if (start + entry.packed > size) throw damaged(path, `${entry.name} reaches beyond the end`);
  const source =
    entry.method === 'stored'
      ? fileSource(handle, name, start, entry.packed)
      : inflateSource(path, name, start, entry.packed, entry.size);
  return withChecksum(source, entry.crc32);
}

/** Bytes of the fixed part of an entry's local header. */
export const LOCAL_HEADER = 30;

/** Where the packed bytes of an entry begin, from its local header. */
export function localDataStart(header: Uint8Array, entry: ZipEntry, path: string): number {
  const local = new DataView(header.buffer, header.byteOffset, LOCAL_HEADER);
  if (local.getUint32(0, true) !== LOCAL) throw damaged(path, `${entry.name} has no header`);
  // Only these two are read here: many writers leave the local sizes empty.
  return entry.header + LOCAL_HEADER + local.getUint16(26, true) + local.getUint16(28, true);
}

/** `source`, whose end is reached only by the bytes that `expected` is the checksum of. */
function withChecksum(source: ByteSource, expected: number): ByteSource {
  let sum = 0;
  return {
    name: source.name,
    limit: source.limit,
    async read(target) {
      await source.read(target);
      sum = crc32(target, sum);
    },
    async atEnd() {
      const end = await source.atEnd();
      if (end && sum !== expected) throw new InputError(`checksum wrong: ${source.name}; fetch the file again`);
      return end;
    },
    close: () => source.close(),
  };
}

async function view(handle: FileHandle, path: string, size: number, start: number, length: number): Promise<DataView> {
  if (start < 0 || start + length > size) throw damaged(path, 'a position lies outside the file');
  const bytes = new Uint8Array(length);
  await readAt(handle, bytes, start, path);
  return new DataView(bytes.buffer);
}

function uint64(from: DataView, at: number, path: string): number {
  const value = from.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged(path, `size ${value} is no size`);
  return Number(value);
}

function damaged(path: string, detail: string): InputError {
  return new InputError(`archive damaged: ${path} (${detail}); fetch the file again`);
}
