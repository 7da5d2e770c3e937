import { InputError } from '../errors';
import { allocate } from '../files/source';
import type { ByteSource } from '../files/source';
import type { Shape } from '../graph/ir';

/** Number types of array files, by numpy's letters and bytes. */
export type ElementType = 'u1' | 'i1' | 'u2' | 'i2' | 'u4' | 'i4' | 'u8' | 'i8' | 'f2' | 'f4' | 'f8';

/** Bytes stay bytes, everything else becomes float: a network reads no more than that. */
export type Values = Uint8Array | Float32Array;

export interface NumberFormat {
  readonly type: ElementType;
  readonly littleEndian: boolean;
}

/** An array as a file holds it, last axis fastest. */
export interface NumberArray {
  readonly shape: Shape;
  readonly values: Values;
}

type Getter = (view: DataView, at: number, littleEndian: boolean) => number;

const GETTERS: Record<ElementType, Getter> = {
  u1: (view, at) => view.getUint8(at),
  i1: (view, at) => view.getInt8(at),
  u2: (view, at, little) => view.getUint16(at, little),
  i2: (view, at, little) => view.getInt16(at, little),
  u4: (view, at, little) => view.getUint32(at, little),
  i4: (view, at, little) => view.getInt32(at, little),
  u8: (view, at, little) => Number(view.getBigUint64(at, little)),
  i8: (view, at, little) => Number(view.getBigInt64(at, little)),
  f2: (view, at, little) => half(view.getUint16(at, little)),
  f4: (view, at, little) => view.getFloat32(at, little),
  f8: (view, at, little) => view.getFloat64(at, little),
};

export function isElementType(name: string): name is ElementType {
  return Object.hasOwn(GETTERS, name);
}

export function elementBytes(type: ElementType): number {
  return Number(type[1]);
}

/**
 * The next product(shape) numbers of `source`, which have to be its last.
 *
 * The shape is compared with `source.limit` before memory is taken, and the
 * bytes are decoded in pieces, so that the file's form and ours are never both
 * in memory.
 *
 * @param used bytes of the source read so far
 * @throws InputError when the shape says more or fewer bytes than there are
 */
export async function readNumbers(
  source: ByteSource,
  used: number,
  format: NumberFormat,
  shape: Shape,
): Promise<NumberArray> {
  const count = shape.reduce((product, size) => product * size, 1);
  const each = elementBytes(format.type);
  // The negation also catches a product beyond what a number can hold.
  if (!(count * each + used <= source.limit)) {
    throw new InputError(
      `array size wrong: ${source.name} says ${showShape(shape)}, ${count * each} bytes, which it cannot hold; fetch the file again`,
    );
  }
  const values = await decode(source, format, count);
  if (!(await source.atEnd())) {
    throw new InputError(
      `array size wrong: ${source.name} says ${showShape(shape)} and holds more; fetch the file again`,
    );
  }
  return { shape, values };
}

async function decode(source: ByteSource, format: NumberFormat, count: number): Promise<Values> {
  if (format.type === 'u1') {
    const bytes = allocate(Uint8Array, count, 1, source.name);
    await source.read(bytes);
    return bytes;
  }
  const values = allocate(Float32Array, count, 4, source.name);
  const each = elementBytes(format.type);
  const get = GETTERS[format.type];
  const piece = new Uint8Array(Math.min(count, 1 << 16) * each);
  for (let done = 0; done < count;) {
    const length = Math.min(count - done, piece.length / each);
    const bytes = piece.subarray(0, length * each);
    await source.read(bytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < length; i++) values[done + i] = get(view, i * each, format.littleEndian);
    done += length;
  }
  return values;
}

/** IEEE 754 binary16. */
export function half(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Fortran order (first axis fastest) to C order (last axis fastest). */
export function fromFortran({ shape, values }: NumberArray): NumberArray {
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, size) => product * size, 1));
  return { shape, values: gather(values, shape, strides) };
}

/** Each sample of [N, H, W, C] to [C, H, W]. */
export function channelsFirst({ shape, values }: NumberArray): NumberArray {
  const [n, h, w, c] = shape as [number, number, number, number];
  const result = [n, c, h, w];
  return { shape: result, values: c === 1 ? values : gather(values, result, [h * w * c, 1, w * c, c]) };
}

/** The elements at Σ index·stride, for every index of `shape`, last axis fastest. */
function gather(values: Values, shape: Shape, strides: readonly number[]): Values {
  const result = new (values.constructor as typeof Float32Array | typeof Uint8Array)(values.length);
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < result.length; to++) {
    result[to] = values[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      index[axis]! += 1;
      if (index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}

/** A shape as messages show it: `[1, 28, 28]`. */
export function showShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}
