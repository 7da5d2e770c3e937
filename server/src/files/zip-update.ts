import { open, type FileHandle } from 'node:fs/promises';
import { crc32, deflateRawSync } from 'node:zlib';
import { InputError } from '../errors';
import { copyRange, writeAt } from './copy';
import { readAt } from './source';
import { LOCAL_HEADER, localDataStart, readDirectory, type ZipDirectory, type ZipEntry } from './zip';

/**
 * Archives with other contents in some entries, and everything else byte for
 * byte as it was: names, times, extra fields, comments, the order of entries.
 */

/** What an archive says of the bytes of an entry. */
interface Description {
  readonly crc32: number;
  readonly packed: number;
  readonly size: number;
}

const DESCRIPTOR = 0x0807_4b50;
/** A descriptor with its signature and 64-bit sizes. */
const LONGEST_DESCRIPTOR = 24;
const CENTRAL_BYTES = 46;
const ONES = 0xffff_ffff;
/** PyTorch puts tensors at multiples of this, so that they can be mapped into memory; they stay there. */
const ALIGNMENT = 64;
/** What may follow the directory: the end records and a comment. */
const MOST_AFTER = 1 << 20;

/**
 * Writes a copy of an archive in which some entries have other contents, stored
 * or deflated as they were. What follows a deflated entry moves by a multiple
 * of 64 bytes.
 *
 * @param contents by name
 * @throws InputError when the archive is damaged
 */
export async function replaceEntries(
  source: string,
  target: string,
  contents: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const input = await open(source, 'r');
  const output = await open(target, 'w').catch(async (error: unknown) => {
    await input.close();
    throw error;
  });
  try {
    const { size } = await input.stat();
    const { entries, directory } = await readDirectory(input, source, size);
    const described = new Map<ZipEntry, Description & { readonly header: number }>();
    let copied = 0;
    let written = 0;
    const copy = async (end: number): Promise<void> => {
      await copyRange(input, copied, end, output, written);
      written += end - copied;
      copied = end;
    };
    const append = async (bytes: Uint8Array): Promise<void> => {
      await writeAt(output, bytes, written);
      written += bytes.length;
    };
    const order = [...entries].sort((a, b) => a.header - b.header);
    for (const [i, entry] of order.entries()) {
      const header = written + entry.header - copied;
      const content = contents.get(entry.name);
      if (content === undefined) {
        described.set(entry, { ...entry, header });
        continue;
      }
      const next = order[i + 1]?.header ?? directory.start;
      const { local, tail } = await around(input, entry, next, source);
      const packed = entry.method === 'stored' ? content : deflateRawSync(content);
      const now = { crc32: crc32(content), packed: packed.length, size: content.length, header };
      described.set(entry, now);
      await copy(entry.header);
      await append(describeLocal(local, entry, now));
      await append(packed);
      await append(describeAfter(tail, entry, now));
      copied = entry.header + local.length + entry.packed + tail.length;
      await copy(next);
      await append(new Uint8Array((((copied - written) % ALIGNMENT) + ALIGNMENT) % ALIGNMENT));
    }
    await copy(directory.start);
    const shift = written - copied;
    const records = Buffer.alloc(directory.length);
    await readAt(input, records, directory.start, source);
    eachRecord(records, entries, (record, entry) => describeCentral(record, described.get(entry)!, source));
    await append(records);
    await append(movedEnd(await bytesAfter(input, directory, size, source), directory, shift, source));
  } finally {
    await input.close();
    await output.close();
  }
}

/**
 * Makes the checksums of stored entries whose bytes were changed in place true.
 *
 * @throws InputError when the archive is damaged
 */
export async function updateChecksums(path: string, names: ReadonlySet<string>): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    const { size } = await handle.stat();
    const { entries, directory } = await readDirectory(handle, path, size);
    const order = [...entries].sort((a, b) => a.header - b.header);
    const sums = new Map<ZipEntry, number>();
    for (const [i, entry] of order.entries()) {
      if (!names.has(entry.name)) continue;
      const { local, tail } = await around(handle, entry, order[i + 1]?.header ?? directory.start, path);
      const start = entry.header + local.length;
      const now = { ...entry, crc32: await checksum(handle, start, entry.size, path) };
      sums.set(entry, now.crc32);
      await writeAt(handle, describeLocal(local, entry, now), entry.header);
      await writeAt(handle, describeAfter(tail, entry, now), start + entry.packed);
    }
    const records = Buffer.alloc(directory.length);
    await readAt(handle, records, directory.start, path);
    eachRecord(records, entries, (record, entry) => record.writeUInt32LE(sums.get(entry) ?? entry.crc32, 16));
    await writeAt(handle, records, directory.start);
  } finally {
    await handle.close();
  }
}

/** The local header of an entry, and the beginning of what follows its bytes: there may be a descriptor. */
async function around(
  handle: FileHandle,
  entry: ZipEntry,
  next: number,
  path: string,
): Promise<{ readonly local: Buffer; readonly tail: Buffer }> {
  const fixed = Buffer.alloc(LOCAL_HEADER);
  await readAt(handle, fixed, entry.header, path);
  const start = localDataStart(fixed, entry, path);
  const end = start + entry.packed;
  if (end > next) {
    throw new InputError(`archive damaged: ${entry.name} reaches into the next entry (${path}); fetch the file again`);
  }
  const local = Buffer.alloc(start - entry.header);
  await readAt(handle, local, entry.header, path);
  const tail = Buffer.alloc(Math.min(LONGEST_DESCRIPTOR, next - end));
  await readAt(handle, tail, end, path);
  return { local, tail };
}

async function checksum(handle: FileHandle, start: number, length: number, path: string): Promise<number> {
  const chunk = Buffer.alloc(Math.min(length, 1 << 20));
  let sum = 0;
  for (let done = 0; done < length;) {
    const piece = chunk.subarray(0, Math.min(chunk.length, length - done));
    await readAt(handle, piece, start + done, path);
    sum = crc32(piece, sum);
    done += piece.length;
  }
  return sum;
}

/** Numbers are replaced where the old ones stand: many writers leave them empty here. */
function describeLocal(local: Buffer, old: Description, now: Description): Buffer {
  const written = Buffer.from(local);
  swap32(written, 14, old.crc32, now.crc32);
  const wide = extraField(written, LOCAL_HEADER + written.readUInt16LE(26), written.readUInt16LE(28), 1);
  if (written.readUInt32LE(18) === ONES && wide !== null && wide.length >= 16) {
    swap64(wide, 0, old.size, now.size);
    swap64(wide, 8, old.packed, now.packed);
  } else {
    swap32(written, 18, old.packed, now.packed);
    swap32(written, 22, old.size, now.size);
  }
  return written;
}

/** A descriptor holds checksum and sizes, of 32 or 64 bits, perhaps after a signature. */
function describeAfter(tail: Buffer, old: Description, now: Description): Buffer {
  const written = Buffer.from(tail);
  const at = written.length >= 16 && written.readUInt32LE(0) === DESCRIPTOR ? 4 : 0;
  const is32 = (p: number, value: number): boolean => p + 4 <= written.length && written.readUInt32LE(p) === value;
  const is64 = (p: number, value: number): boolean =>
    p + 8 <= written.length && written.readBigUInt64LE(p) === BigInt(value);
  if (!is32(at, old.crc32)) return written;
  if (is64(at + 4, old.packed) && is64(at + 12, old.size)) {
    swap64(written, at + 4, old.packed, now.packed);
    swap64(written, at + 12, old.size, now.size);
  } else if (is32(at + 4, old.packed) && is32(at + 8, old.size)) {
    swap32(written, at + 4, old.packed, now.packed);
    swap32(written, at + 8, old.size, now.size);
  } else return written;
  written.writeUInt32LE(now.crc32, at);
  return written;
}

function describeCentral(record: Buffer, now: Description & { readonly header: number }, path: string): void {
  record.writeUInt32LE(now.crc32, 16);
  const wide = extraField(record, CENTRAL_BYTES + record.readUInt16LE(28), record.readUInt16LE(30), 1);
  let at = 0;
  // In the order in which the extra field has them.
  for (const [offset, value] of [[24, now.size] as const, [20, now.packed] as const, [42, now.header] as const]) {
    if (record.readUInt32LE(offset) !== ONES) {
      if (value >= ONES) throw new InputError(`archive larger than 4 GiB: ${path}; save it anew with 64-bit sizes`);
      record.writeUInt32LE(value, offset);
    } else if (wide !== null && at + 8 <= wide.length) {
      wide.writeBigUInt64LE(BigInt(value), at);
      at += 8;
    }
  }
}

function eachRecord(
  records: Buffer,
  entries: readonly ZipEntry[],
  use: (record: Buffer, entry: ZipEntry) => void,
): void {
  let at = 0;
  for (const entry of entries) {
    const rest = records.subarray(at);
    const length = CENTRAL_BYTES + rest.readUInt16LE(28) + rest.readUInt16LE(30) + rest.readUInt16LE(32);
    use(rest.subarray(0, length), entry);
    at += length;
  }
}

/** The content of an extra field, in place; null where there is none of the kind. */
function extraField(bytes: Buffer, start: number, length: number, kind: number): Buffer | null {
  const end = Math.min(bytes.length, start + length);
  for (let at = start; at + 4 <= end;) {
    const size = bytes.readUInt16LE(at + 2);
    if (at + 4 + size > end) return null;
    if (bytes.readUInt16LE(at) === kind) return bytes.subarray(at + 4, at + 4 + size);
    at += 4 + size;
  }
  return null;
}

async function bytesAfter(
  handle: FileHandle,
  { start, length }: ZipDirectory,
  size: number,
  path: string,
): Promise<Buffer> {
  const rest = size - start - length;
  if (rest < 0 || rest > MOST_AFTER) {
    throw new InputError(`archive damaged: ${rest} bytes after the directory (${path}); fetch the file again`);
  }
  const bytes = Buffer.alloc(rest);
  await readAt(handle, bytes, start + length, path);
  return bytes;
}

/** The end records, with the directory `shift` bytes further on. */
function movedEnd(bytes: Buffer, { start, length, end, end64 }: ZipDirectory, shift: number, path: string): Buffer {
  const base = start + length;
  if (end64 !== null) {
    if (end64 < base) throw new InputError(`archive damaged: its end comes before it (${path}); fetch the file again`);
    bytes.writeBigUInt64LE(BigInt(start + shift), end64 - base + 48);
    bytes.writeBigUInt64LE(BigInt(end64 + shift), end - base - 20 + 8);
  }
  const at = end - base + 16;
  if (bytes.readUInt32LE(at) !== ONES) {
    if (start + shift >= ONES) throw new InputError(`archive larger than 4 GiB: ${path}; save it anew`);
    bytes.writeUInt32LE(start + shift, at);
  }
  return bytes;
}

function swap32(bytes: Buffer, at: number, old: number, now: number): void {
  if (bytes.readUInt32LE(at) === old) bytes.writeUInt32LE(now, at);
}

function swap64(bytes: Buffer, at: number, old: number, now: number): void {
  if (bytes.readBigUInt64LE(at) === BigInt(old)) bytes.writeBigUInt64LE(BigInt(now), at);
}
