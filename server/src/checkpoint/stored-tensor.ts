import { InputError } from '../errors';
import type { ZipEntry } from '../files/zip';
import type { Shape } from '../graph/ir';
import { elementCount, formatShape } from '../graph/shapes';
import {
  bfloat16ToNumber,
  elementInfo,
  float16ToNumber,
  isElementType,
  type ElementArray,
  type ElementType,
  type KnownTensor,
} from './elements';

/** A stretch of a file, or of what an entry of an archive unpacks to. */
export interface ByteRun {
  readonly file: string;
  readonly entry?: ZipEntry;
  readonly start: number;
  readonly length: number;
}

/** Where the elements of a tensor lie, for whoever changes them in a copy of the file. */
export type Place =
  | {
      readonly kind: 'bytes';
      /** One behind the other they reach from the first element to the last. */
      readonly runs: readonly ByteRun[];
      /** Per axis, in elements; row-major without gaps when absent. */
      readonly strides?: readonly number[];
      /** What is stored for elements that `StoredTensor.bytes` has as these; the same when absent. */
      readonly encode?: (elements: Uint8Array) => Uint8Array;
    }
  /** A dataset of an HDF5 file, by its path. */
  | { readonly kind: 'dataset'; readonly path: string };

/** A tensor in the file. Its values are read and decoded when they are asked for. */
export interface StoredTensor {
  readonly name: string;
  /** Element type by its ONNX name where it has one, decodable or not. */
  readonly dtype: string;
  readonly shape: Shape;
  /**
   * Decodes the values: a fresh array at every call.
   * @throws InputError when the type is not supported, or when the data do not fill the shape.
   */
  read(): KnownTensor;
  /**
   * The elements as bytes, little-endian and in row-major order, whatever the type.
   * @throws InputError when they are not there
   */
  bytes(): Uint8Array;
  /** Absent where the writer of the format finds it by name. */
  readonly place?: Place;
}

/** Bytes of an element of types that can be stored and not computed with. */
const otherWidths: Readonly<Record<string, number>> = {
  complex32: 4,
  complex64: 8,
  complex128: 16,
  float8e4m3fn: 1,
  float8e4m3fnuz: 1,
  float8e5m2: 1,
  float8e5m2fnuz: 1,
  float8e8m0: 1,
  // PyTorch's two numbers in one.
  float4_e2m1fn_x2: 1,
};

/** Bytes of an element of a type; undefined where it is unknown or no whole number. */
export function elementBytes(dtype: string): number | undefined {
  return isElementType(dtype) ? elementInfo[dtype].bytes : otherWidths[dtype];
}

/**
 * A tensor whose bytes lie in a file as they are.
 *
 * @param where names tensor and file, for messages
 * @param bytes reads them; as many as the shape needs
 * @param place where they lie
 */
export function rawTensor(
  name: string,
  dtype: string,
  shape: Shape,
  where: string,
  bytes: () => Uint8Array,
  place?: Place,
): StoredTensor {
  const read = (): KnownTensor => {
    if (!isElementType(dtype)) throw unsupportedType(dtype, where);
    const raw = bytes();
    const count = elementCount(shape);
    if (raw.length !== count * elementInfo[dtype].bytes) {
      throw lengthError(raw.length, count * elementInfo[dtype].bytes, 'bytes', dtype, shape, where);
    }
    return { type: dtype, shape, values: decodeRaw(dtype, raw, count) };
  };
  return { name, dtype, shape, read, bytes, ...(place !== undefined && { place }) };
}

/**
 * The values to look at, and neither to keep nor to change: those of float32 are
 * not copied where the bytes can be read as they lie.
 *
 * @throws InputError as `read` does
 */
export function valuesInPlace(tensor: StoredTensor): ElementArray {
  if (tensor.dtype !== 'float32') return tensor.read().values;
  const { buffer, byteOffset, length } = tensor.bytes();
  const count = elementCount(tensor.shape);
  if (byteOffset % 4 !== 0 || length !== 4 * count) return tensor.read().values;
  return new Float32Array(buffer, byteOffset, count);
}

export function unsupportedType(dtype: string, where: string): InputError {
  return new InputError(`element type not supported: ${dtype} (${where}); save the network with float32 weights`);
}

export function lengthError(
  got: number,
  expected: number,
  unit: string,
  dtype: string,
  shape: Shape,
  where: string,
): InputError {
  return new InputError(
    `tensor data: ${got} ${unit} where ${dtype} ${formatShape(shape)} needs ${expected} (${where}); the file is truncated or damaged, copy or export it again`,
  );
}

/** Little-endian values; `bytes.length` is already known to fit. */
export function decodeRaw(type: ElementType, bytes: Uint8Array, count: number): ElementArray {
  const values = elementInfo[type].allocate(count);
  if (isHeldAsStored(type, values)) {
    // Every machine Node runs on is little-endian. Copied, so that the file can be released.
    new Uint8Array(values.buffer).set(bytes);
    return values;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < count; i++) {
    if (type === 'float16') values[i] = float16ToNumber(view.getUint16(2 * i, true));
    else if (type === 'bfloat16') values[i] = bfloat16ToNumber(view.getUint16(2 * i, true));
    else if (type === 'int64') values[i] = Number(view.getBigInt64(8 * i, true));
    else values[i] = Number(view.getBigUint64(8 * i, true));
  }
  return values;
}

function isHeldAsStored(type: ElementType, values: ElementArray): boolean {
  return values.BYTES_PER_ELEMENT === elementInfo[type].bytes && type !== 'int64' && type !== 'uint64';
}
