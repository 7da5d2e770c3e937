import { createHash } from 'node:crypto';
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { JournalledOperator, Journal, JournalEntry } from '../analysis/journal';

/** Beginning of the file; another version of the format is another beginning. */
const MAGIC = 'pruning-limit journal 1\n';
/** Length of the description, its checksum, and the checksum of the products: three uint32. */
const HEAD = 12;
/** A description longer than this is damage. */
const LONGEST_DESCRIPTION = 10_000;
/** What is longer than this is not kept any further: the disk is the user's. */
const LARGEST_FILE = 4 * 2 ** 30;

interface Description {
  readonly kind: JournalledOperator;
  /** SHA-256 of the vectors. */
  readonly vectors: string;
  readonly count: number;
  readonly dimension: number;
  readonly seconds: number;
  readonly at: number;
}

interface Place extends Description {
  readonly start: number;
  readonly checksum: number;
}

/**
 * A journal in a file, which only grows. A record is written in one piece and
 * carries checksums, and what a process that was killed left unfinished at the
 * end is cut off when the file is opened again.
 */
export class JournalFile implements Journal {
  private readonly places = new Map<string, Place>();
  private end = 0;
  private failed = false;

  private constructor(
    private readonly descriptor: number,
    private readonly onFailure: (reason: string) => void,
    private readonly largest: number,
  ) {}

  /**
   * Opens the journal at `path`. One that answers another question, as `key`
   * tells, is begun anew. A journal that cannot be written is no reason to fail:
   * `onFailure` is told once, and nothing is kept from there on.
   *
   * @returns null when the file cannot be opened
   */
  static open(
    path: string,
    key: string,
    onFailure: (reason: string) => void = () => undefined,
    largest = LARGEST_FILE,
  ): JournalFile | null {
    try {
      const journal = new JournalFile(openSync(path, 'a+', 0o600), onFailure, largest);
      journal.begin(`${MAGIC}${key}\n`);
      return journal;
    } catch (error) {
      onFailure((error as Error).message);
      return null;
    }
  }

  /** Records that can be recalled. */
  get length(): number {
    return this.places.size;
  }

  recall(kind: JournalledOperator, vectors: readonly Float32Array[]): JournalEntry | null {
    if (this.places.size === 0) return null;
    const place = this.places.get(nameOf(kind, digest(vectors)));
    if (!place) return null;
    const bytes = this.read(place.start, 4 * place.count * place.dimension);
    if (bytes === null || crc32(bytes) !== place.checksum) return null;
    const all = new Float32Array(bytes.buffer, bytes.byteOffset, place.count * place.dimension);
    const products = Array.from({ length: place.count }, (_, i) =>
      all.slice(i * place.dimension, (i + 1) * place.dimension),
    );
    return { products, seconds: place.seconds, at: place.at };
  }

  keep(kind: JournalledOperator, vectors: readonly Float32Array[], { products, seconds, at }: JournalEntry): void {
    if (this.failed) return;
    const dimension = products[0]!.length;
    const description: Description = {
      kind,
      vectors: digest(vectors),
      count: products.length,
      dimension,
      seconds,
      at,
    };
    const text = Buffer.from(JSON.stringify(description));
    const content = Buffer.concat(products.map((product) => bytesOf(product)));
    const head = Buffer.alloc(HEAD);
    const checksum = crc32(content);
    head.writeUInt32LE(text.length, 0);
    head.writeUInt32LE(crc32(text), 4);
    head.writeUInt32LE(checksum, 8);
    const record = Buffer.concat([head, text, content]);
    if (this.end + record.length > this.largest) return this.fail('the journal has become too large');
    try {
      this.append(record);
      this.places.set(nameOf(kind, description.vectors), {
        ...description,
        start: this.end - content.length,
        checksum,
      });
    } catch (error) {
      this.fail((error as Error).message);
    }
  }

  close(): void {
    this.failed = true;
    closeSync(this.descriptor);
  }

  private begin(header: string): void {
    const expected = Buffer.from(header);
    const found = this.read(0, expected.length);
    if (found === null || !found.equals(expected)) {
      ftruncateSync(this.descriptor, 0);
      this.append(expected);
      return;
    }
    this.end = expected.length;
    const { size } = fstatSync(this.descriptor);
    for (;;) {
      const place = this.placeAt(this.end, size);
      if (place === null) break;
      this.places.set(nameOf(place.kind, place.vectors), place);
      this.end = place.start + 4 * place.count * place.dimension;
    }
    // Whatever follows is what was being written when the process ended.
    if (this.end < size) ftruncateSync(this.descriptor, this.end);
  }

  private placeAt(position: number, size: number): Place | null {
    const head = this.read(position, HEAD);
    if (head === null) return null;
    const length = head.readUInt32LE(0);
    if (length > LONGEST_DESCRIPTION) return null;
    const text = this.read(position + HEAD, length);
    if (text === null || crc32(text) !== head.readUInt32LE(4)) return null;
    const description = JSON.parse(text.toString('utf8')) as Description;
    const start = position + HEAD + length;
    if (start + 4 * description.count * description.dimension > size) return null;
    return { ...description, start, checksum: head.readUInt32LE(8) };
  }

  private append(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) done += writeSync(this.descriptor, bytes, done);
    this.end += bytes.length;
  }

  /** Null when the file ends before. */
  private read(position: number, length: number): Buffer | null {
    // Of its own: a slice of the pool need not be aligned for numbers.
    const bytes = Buffer.from(new ArrayBuffer(length));
    for (let done = 0; done < length;) {
      const got = readSync(this.descriptor, bytes, done, Math.min(length - done, 2 ** 30), position + done);
      if (got === 0) return null;
      done += got;
    }
    return bytes;
  }

  private fail(reason: string): void {
    this.failed = true;
    // A record that was half written would hide those after it; there are none.
    this.onFailure(reason);
  }
}

function nameOf(kind: JournalledOperator, vectors: string): string {
  return `${kind} ${vectors}`;
}

function digest(vectors: readonly Float32Array[]): string {
  const hash = createHash('sha256');
  for (const vector of vectors) hash.update(bytesOf(vector));
  return hash.digest('hex');
}

function bytesOf(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}
