import { InputError } from '../../errors';
import { ByteCursor, readRange } from '../../files/ranges';
import type { onnx } from './generated/onnx';
import { varintBytes } from './wire';

/**
 * A model file without the values of its large tensors, which are read when
 * they are asked for. What is left is a message of the same schema: where values
 * were left out stands one byte of `raw_data`, and its place tells where they lie.
 *
 * Source of the wire format: protobuf.dev/programming-guides/encoding.
 */

/** Values of fewer bytes stay: a read of their own would take longer. */
const SMALL = 1024;
/** Texts and the like, of which a model has kilobytes. */
const LARGEST_FIELD = 64 << 20;
/** Graphs in graphs; protobufjs stops at a hundred messages. */
const DEEPEST = 64;

interface Range {
  readonly path: string;
  readonly start: number;
  readonly length: number;
}

/** By the memory of a skeleton, and the place in it of the byte that stands for the values. */
const left = new WeakMap<ArrayBufferLike, ReadonlyMap<number, Range>>();

/** Length of a tensor's `raw_data`, read or not. */
export function rawLength({ rawData }: onnx.TensorProto.$Properties): number {
  if (!rawData) return 0;
  return left.get(rawData.buffer)?.get(rawData.byteOffset)?.length ?? rawData.length;
}

/** A tensor's `raw_data`, read now where it was left out. */
export function rawDataOf({ rawData }: onnx.TensorProto.$Properties): Uint8Array {
  if (!rawData) return new Uint8Array();
  const range = left.get(rawData.buffer)?.get(rawData.byteOffset);
  return range === undefined ? rawData : readRange(range.path, range.start, range.length);
}

/** What is in a field: another message, or the values of a tensor. */
interface Message {
  readonly [field: number]: Message;
  readonly isTensor?: true;
}

/** Fields that lead to tensors (onnx.proto). */
const tensor: Message = { isTensor: true };
const sparse: Message = { 1: tensor, 2: tensor };
const attribute: Record<number, Message> = { 5: tensor, 10: tensor, 22: sparse, 23: sparse };
const node: Message = { 5: attribute };
const graph: Message = { 1: node, 5: tensor, 15: sparse };
Object.assign(attribute, { 6: graph, 11: graph });
const model: Message = { 7: graph, 20: { 1: graph, 2: graph }, 25: { 7: node } };

const DATA_TYPE = 2;
const RAW = 9;
/** Packed fields whose bytes are those of `raw_data`, by the type that they belong to. */
const PACKED: Readonly<Record<number, number>> = { 4: 1, 10: 11 };

/**
 * @param size of the file
 * @throws InputError when the file is no message, or a length is not that of bytes there
 */
export function readSkeleton(path: string, size: number): Uint8Array {
  try {
    return new Skeleton(path, size).run();
  } catch (error) {
    if (!(error instanceof InParts)) throw error;
    return readRange(path, 0, size);
  }
}

/** What is kept: bytes of the file, from start to end, or others in their place. */
type Piece = { readonly start: number; readonly end: number } | Uint8Array;

const lengthOf = (piece: Piece): number => (piece instanceof Uint8Array ? piece.length : piece.end - piece.start);

/** A tensor's values come in several fields, which raw data cannot stand for. */
class InParts extends Error {}

class Skeleton {
  private readonly input: ByteCursor;
  /** The bytes that stand for values, and where those are. */
  private readonly marks = new Map<Piece, Range>();

  constructor(
    private readonly path: string,
    private readonly size: number,
  ) {
    this.input = new ByteCursor(size, (start, length) => readRange(path, start, length), path);
  }

  run(): Uint8Array {
    const pieces = this.message(this.size, model, 0) ?? [{ start: 0, end: this.size }];
    // Memory of its own: the ranges are found by its identity.
    const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + lengthOf(piece), 0));
    const ranges = new Map<number, Range>();
    let at = 0;
    for (const piece of pieces) {
      const range = this.marks.get(piece);
      if (range !== undefined) ranges.set(at, range);
      bytes.set(piece instanceof Uint8Array ? piece : readRange(this.path, piece.start, lengthOf(piece)), at);
      at += lengthOf(piece);
    }
    left.set(bytes.buffer, ranges);
    return bytes;
  }

  /** What is kept of the message from here to `end`; null for all of it. */
  private message(end: number, kind: Message, depth: number): Piece[] | null {
    if (depth > DEEPEST) throw this.damaged(`more than ${DEEPEST} messages in each other`);
    let kept: Piece[] | null = null;
    let start = this.input.position;
    const replace = (from: number, pieces: readonly Piece[]): void => {
      kept ??= [];
      if (from > start) kept.push({ start, end: from });
      kept.push(...pieces);
      start = this.input.position;
    };
    let dataType = 0;
    let values = 0;
    while (this.input.position < end) {
      const at = this.input.position;
      const { number, type, length, value } = this.field(end);
      const inner = type === 2 ? kind[number] : undefined;
      if (inner !== undefined) {
        const content = this.message(this.input.position + length, inner, depth + 1);
        if (content === null) continue;
        const total = content.reduce((sum, piece) => sum + lengthOf(piece), 0);
        replace(at, [varintBytes(8 * number + 2), varintBytes(total), ...content]);
        continue;
      }
      if (kind.isTensor && number === DATA_TYPE) dataType = value;
      const isValues = kind.isTensor && type === 2 && (number === RAW || PACKED[number] !== undefined);
      if (isValues && values++ > 0) throw new InParts();
      const isRaw = isValues && length >= SMALL && (number === RAW || PACKED[number] === dataType);
      if (!kind.isTensor && length > LARGEST_FIELD) throw this.damaged(`field of ${length} bytes at ${at}`);
      const from = this.input.position;
      this.input.skip(length);
      if (!isRaw) continue;
      const mark = new Uint8Array(1);
      this.marks.set(mark, { path: this.path, start: from, length });
      replace(at, [varintBytes(8 * RAW + 2), varintBytes(1), mark]);
    }
    if (kept !== null) replace(end, []);
    return kept;
  }

  /** The next field, up to its content; of a varint that is its value. */
  private field(end: number): { number: number; type: number; length: number; value: number } {
    const start = this.input.position;
    const tag = this.varint();
    const type = tag % 8;
    if (tag < 8) throw this.damaged(`field number 0 at ${start}`);
    if (![0, 1, 2, 5].includes(type)) throw this.damaged(`wire type ${type} at ${start}`);
    const value = type === 0 || type === 2 ? this.varint() : 0;
    const length = type === 0 ? 0 : type === 1 ? 8 : type === 5 ? 4 : value;
    if (this.input.position + length > end) {
      throw this.damaged(`field at ${start} ends at ${this.input.position + length}, behind ${end}`);
    }
    return { number: Math.floor(tag / 8), type, length, value };
  }

  private varint(): number {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = this.input.byte();
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw this.damaged(`number before ${this.input.position} does not end`);
  }

  private damaged(detail: string): InputError {
    return new InputError(
      `ONNX file not readable: ${this.path} (${detail}); it is truncated or no ONNX model, copy or export it again`,
    );
  }
}
