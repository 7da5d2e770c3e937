import { readFile, stat } from 'node:fs/promises';
import { InputError } from '../errors';
import { DEFLATE_RATIO } from '../files/source';

/** A decoded image: rows of pixels, channels together. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  /** height × width × channels */
  readonly pixels: Uint8Array;
}

/** What a file's header says before anything is decoded. */
interface Header {
  readonly width: number;
  readonly height: number;
  readonly gray: boolean;
}

interface Codec {
  readonly name: string;
  /** Pixels that a byte of a plain image can stand for; Infinity where none has to. */
  readonly densest: (bytes: Buffer) => number;
  readonly match: (bytes: Buffer) => boolean;
  readonly header: (bytes: Buffer) => Header | null;
  /** Loads the decoder at its first use: each compiles WebAssembly. */
  readonly load: () => Promise<{ readonly decode: (bytes: Uint8Array) => { readonly data: Uint8ClampedArray } }>;
}

const codecs: readonly Codec[] = [
  {
    name: 'PNG',
    // Eight to a byte, and what DEFLATE makes of equal ones.
    densest: () => 8 * DEFLATE_RATIO,
    match: (bytes) => bytes.readUInt32BE(0) === 0x89504e47,
    header: pngHeader,
    load: () => import('@cwasm/lodepng'),
  },
  {
    name: 'JPEG',
    // A bit for each block of 64 at least.
    densest: () => 1024,
    match: (bytes) => bytes.readUInt16BE(0) === 0xffd8,
    header: jpegHeader,
    load: () => import('@cwasm/jpeg-turbo'),
  },
  {
    name: 'WebP',
    // A block of 256 takes two bits and more; pixels of one colour that are stored without loss, none.
    densest: (bytes) => (isLossless(bytes) ? Infinity : 1024),
    match: (bytes) => bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WEBP',
    header: webpHeader,
    load: () => import('@cwasm/webp'),
  },
];

const LARGEST_FILE = 256 << 20;
const MOST_PIXELS = 1 << 26;
/** Pixels that any file may have: decoded they take less than 32 MiB. */
const ALWAYS = 1 << 22;

/**
 * Decodes a PNG, JPEG or WebP file, by its content. Transparency is dropped;
 * an image stored in gray has one channel.
 *
 * @throws InputError when it is none of them, damaged, larger than 64 megapixels, or than its bytes can fill
 */
export async function readImage(path: string): Promise<Image> {
  if ((await stat(path)).size > LARGEST_FILE) throw new InputError(`image too large: ${path}; leave it out`);
  const bytes = await readFile(path);
  const codec = bytes.length < 16 ? undefined : codecs.find(({ match }) => match(bytes));
  if (codec === undefined) throw new InputError(`not an image: ${path}; PNG, JPEG and WebP files are read`);
  const damaged = new InputError(`image damaged: ${path} (${codec.name}); fetch it again or leave it out`);
  let header: Header | null;
  try {
    header = codec.header(bytes);
  } catch {
    throw damaged;
  }
  if (header === null || !(header.width > 0 && header.height > 0)) throw damaged;
  const { width, height, gray } = header;
  if (width * height > MOST_PIXELS) {
    throw new InputError(`image too large: ${width}×${height} (${path}); shrink it or leave it out`);
  }
  if (width * height > ALWAYS + codec.densest(bytes) * bytes.length) {
    throw new InputError(
      `image damaged: ${width}×${height} in ${bytes.length} bytes (${path}); fetch it again or leave it out`,
    );
  }
  const { decode } = await codec.load();
  let data: Uint8ClampedArray;
  try {
    data = decode(bytes).data;
  } catch {
    throw damaged;
  }
  if (data.length !== 4 * width * height) throw damaged;
  const channels = gray ? 1 : 3;
  const pixels = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < channels; c++) pixels[i * channels + c] = data[4 * i + c]!;
  }
  return { width, height, channels, pixels };
}

/** IHDR is the first chunk; colour types 0 and 4 are gray. */
function pngHeader(bytes: Buffer): Header | null {
  if (bytes.length < 33) return null;
  return {
    width: bytes.readUInt32BE(16),
    height: bytes.readUInt32BE(20),
    gray: bytes[25] === 0 || bytes[25] === 4,
  };
}

/** The first frame header (SOF0 … SOF15, without DHT, JPG and DAC). */
function jpegHeader(bytes: Buffer): Header | null {
  for (let at = 2; at + 9 < bytes.length;) {
    if (bytes[at] !== 0xff) return null;
    const marker = bytes[at + 1]!;
    if (marker === 0xff) at++;
    else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7), gray: bytes[at + 9] === 1 };
    } else at += 2 + bytes.readUInt16BE(at + 2);
  }
  return null;
}

/** Whether a WebP file has an image without loss, at once or behind the chunks that VP8X announces. */
function isLossless(bytes: Buffer): boolean {
  for (let at = 12; at + 8 <= bytes.length;) {
    const kind = bytes.toString('latin1', at, at + 4);
    if (kind === 'VP8L' || kind === 'VP8 ') return kind === 'VP8L';
    const size = bytes.readUInt32LE(at + 4);
    at += 8 + size + (size % 2);
  }
  return false;
}

/** VP8 (lossy), VP8L (lossless) or VP8X (extended). */
function webpHeader(bytes: Buffer): Header | null {
  if (bytes.length < 30) return null;
  const kind = bytes.toString('latin1', 12, 16);
  if (kind === 'VP8 ')
    return { width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff, gray: false };
  if (kind === 'VP8L') {
    const bits = bytes.readUInt32LE(21);
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1, gray: false };
  }
  if (kind !== 'VP8X') return null;
  return { width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1, gray: false };
}
