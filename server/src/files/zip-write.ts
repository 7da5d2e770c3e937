import { crc32, deflateRawSync } from 'node:zlib';

/** One file of an archive. */
export interface ZipFile {
  readonly name: string;
  readonly content: Uint8Array;
}

const LOCAL = 0x0403_4b50;
const CENTRAL = 0x0201_4b50;
const END = 0x0605_4b50;
/** Version 2.0: deflate. */
const VERSION = 20;
const DEFLATE = 8;
/** Names are UTF-8. */
const UTF8 = 0x0800;
/** 1 January 1980, midnight: the earliest that can be said, so that equal contents make equal archives. */
const DATE = 0x0021;
const LARGEST = 0xffff_ffff;
const MOST = 0xffff;

/**
 * A ZIP archive (PKWARE APPNOTE 6.3.10) of deflated files, without the 64-bit
 * extensions.
 *
 * @throws RangeError for more than 65,535 files or 4 GiB
 */
export function zipArchive(files: readonly ZipFile[]): Uint8Array {
  if (files.length > MOST) throw new RangeError(`too many files for an archive: ${files.length}`);
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let position = 0;
  for (const { name, content } of files) {
    const packed = deflateRawSync(content);
    const encodedName = Buffer.from(name);
    if (content.length > LARGEST || position > LARGEST) throw new RangeError('archive larger than 4 GiB');
    // What the local header and the directory have in common.
    const common = Buffer.alloc(26);
    common.writeUInt16LE(VERSION, 0);
    common.writeUInt16LE(UTF8, 2);
    common.writeUInt16LE(DEFLATE, 4);
    common.writeUInt16LE(DATE, 8);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(encodedName.length, 22);
    parts.push(uint32(LOCAL), common, encodedName, packed);
    const entry = Buffer.alloc(14);
    entry.writeUInt32LE(position, 10);
    directory.push(uint32(CENTRAL), uint16(VERSION), common, entry, encodedName);
    position += 30 + encodedName.length + packed.length;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  if (position + length > LARGEST) throw new RangeError('archive larger than 4 GiB');
  const end = Buffer.alloc(22);
  end.writeUInt32LE(END, 0);
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(length, 12);
  end.writeUInt32LE(position, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}
