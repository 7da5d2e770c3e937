import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { crc32, deflateRawSync } from 'node:zlib';

/**
 * Files made by hand for the tests of readers. Written independently of the
 * readers, byte by byte, and able to lie about sizes.
 */

/** Writes `files` (name → content) into a folder that is removed after the test, and returns the folder. */
export function temporaryFolder(t: TestContext, files: Readonly<Record<string, Uint8Array | string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'pruning-limit-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  return folder;
}

/** An idx file: type code, sizes as the header says them, content. */
export function idxBytes(type: number, sizes: readonly number[], content: Uint8Array | readonly number[]): Buffer {
  const header = Buffer.alloc(4 + 4 * sizes.length);
  header.set([0, 0, type, sizes.length]);
  sizes.forEach((size, axis) => header.writeUInt32BE(size, 4 + 4 * axis));
  return Buffer.concat([header, Buffer.from(content)]);
}

export interface NpyOptions {
  readonly fortran?: boolean;
  readonly version?: 1 | 2 | 3;
}

/** An npy file: dtype as numpy writes it (`<f4`), shape as the header says it, content. */
export function npyBytes(
  descr: string,
  shape: readonly number[],
  content: Uint8Array | readonly number[],
  { fortran = false, version = 1 }: NpyOptions = {},
): Buffer {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  return npyFile(
    `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': ${tuple}, }`,
    content,
    version,
  );
}

/** An npy file with any header text. */
export function npyFile(header: string, content: Uint8Array | readonly number[], version: 1 | 2 | 3 = 1): Buffer {
  const before = version === 1 ? 10 : 12;
  const length = Math.ceil((before + header.length + 1) / 64) * 64 - before;
  const start = Buffer.alloc(before);
  start.write('\x93NUMPY', 'latin1');
  start[6] = version;
  if (version === 1) start.writeUInt16LE(length, 8);
  else start.writeUInt32LE(length, 8);
  return Buffer.concat([start, Buffer.from(`${header.padEnd(length - 1)}\n`, 'latin1'), Buffer.from(content)]);
}

export interface ZipPart {
  readonly name: string;
  readonly content: Uint8Array;
  readonly deflate?: boolean;
  /** What the directory says instead of the truth. */
  readonly size?: number;
  readonly packed?: number;
  readonly crc?: number;
  readonly flags?: number;
  readonly method?: number;
  /** Sizes and position in a ZIP64 extra field, all ones in their places. */
  readonly zip64?: boolean;
  /** Of bytes, where the name is no text. */
  readonly rawName?: Uint8Array;
  /** Where the directory says that the entry begins. */
  readonly header?: number;
}

/** A zip archive; local headers leave the sizes out, as streaming writers do. */
export function zipBytes(parts: readonly ZipPart[]): Buffer {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let position = 0;
  for (const part of parts) {
    const name = Buffer.from(part.rawName ?? Buffer.from(part.name));
    const body = part.deflate === true ? deflateRawSync(part.content) : Buffer.from(part.content);
    const method = part.method ?? (part.deflate === true ? 8 : 0);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(method, 8);
    local.writeUInt16LE(name.length, 26);
    local.writeUInt16LE(4, 28);
    // An extra field that only the local header has.
    locals.push(local, name, Buffer.from([0xfe, 0xca, 0, 0]), body);

    const size = part.size ?? part.content.length;
    const packed = part.packed ?? body.length;
    const extra = Buffer.alloc(part.zip64 === true ? 28 : 0);
    if (part.zip64 === true) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      [size, packed, position].forEach((value, i) => extra.writeBigUInt64LE(BigInt(value), 4 + 8 * i));
    }
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(part.flags ?? 0, 8);
    central.writeUInt16LE(method, 10);
    central.writeUInt32LE(part.crc ?? crc32(part.content), 16);
    central.writeUInt32LE(part.zip64 === true ? 0xffffffff : packed, 20);
    central.writeUInt32LE(part.zip64 === true ? 0xffffffff : size, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt16LE(extra.length, 30);
    central.writeUInt32LE(part.zip64 === true ? 0xffffffff : (part.header ?? position), 42);
    centrals.push(central, name, extra);
    position += 30 + name.length + 4 + body.length;
  }
  const directory = Buffer.concat(centrals);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(parts.length, 8);
  end.writeUInt16LE(parts.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(position, 16);
  return Buffer.concat([...locals, directory, end]);
}

/** The bytes of float32 values, little-endian. */
export function float32Bytes(values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, i) => view.setFloat32(4 * i, value, true));
  return new Uint8Array(view.buffer);
}
