import type { Shape } from '../graph/ir';

/** Element types whose values the reader can decode. */
export type ElementType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'bool';

export type ElementArray =
  Float32Array | Float64Array | Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array;

/**
 * A tensor whose values are at hand. Storing into `values` rounds and wraps as
 * the element type does, with two exceptions: 64-bit integers are held as
 * doubles (exact up to 2^53, which shape arithmetic does not leave), and
 * float16 and bfloat16 are held, and computed, as float32.
 */
export interface KnownTensor {
  readonly type: ElementType;
  readonly shape: Shape;
  readonly values: ElementArray;
}

interface ElementInfo {
  /** Bytes per element in `raw_data`. */
  readonly bytes: number;
  /** A zeroed array that holds `length` values of the type. */
  readonly allocate: (length: number) => ElementArray;
}

const f32 = (length: number): ElementArray => new Float32Array(length);
const f64 = (length: number): ElementArray => new Float64Array(length);

export const elementInfo: { readonly [T in ElementType]: ElementInfo } = {
  float32: { bytes: 4, allocate: f32 },
  float64: { bytes: 8, allocate: f64 },
  float16: { bytes: 2, allocate: f32 },
  bfloat16: { bytes: 2, allocate: f32 },
  int8: { bytes: 1, allocate: (length) => new Int8Array(length) },
  int16: { bytes: 2, allocate: (length) => new Int16Array(length) },
  int32: { bytes: 4, allocate: (length) => new Int32Array(length) },
  int64: { bytes: 8, allocate: f64 },
  uint8: { bytes: 1, allocate: (length) => new Uint8Array(length) },
  uint16: { bytes: 2, allocate: (length) => new Uint16Array(length) },
  uint32: { bytes: 4, allocate: (length) => new Uint32Array(length) },
  uint64: { bytes: 8, allocate: f64 },
  bool: { bytes: 1, allocate: (length) => new Uint8Array(length) },
};

/** Names of `TensorProto.DataType`, by its value; those that are an `ElementType` can be decoded. */
const dataTypeNames: readonly string[] = [
  'undefined',
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'string',
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
  'complex64',
  'complex128',
  'bfloat16',
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'uint4',
  'int4',
  'float4e2m1',
  'float8e8m0',
  'uint2',
  'int2',
  'float6e2m3',
  'float6e3m2',
];

/** Name of a `TensorProto.DataType` value, `type 99` when ONNX knows none. */
export function dataTypeName(code: number): string {
  return dataTypeNames[code] ?? `type ${code}`;
}

/** The `TensorProto.DataType` value of a name; 0, undefined, when there is none. */
export function dataTypeCode(name: string): number {
  return Math.max(0, dataTypeNames.indexOf(name));
}

export function isElementType(name: string): name is ElementType {
  return Object.hasOwn(elementInfo, name);
}

export function isFloat(type: ElementType): boolean {
  return type === 'float32' || type === 'float64' || type === 'float16' || type === 'bfloat16';
}

/** IEEE 754 binary16, exactly. */
export function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const bits32 = new Uint32Array(1);
const value32 = new Float32Array(bits32.buffer);

/** The upper half of an IEEE 754 binary32, exactly. */
export function bfloat16ToNumber(bits: number): number {
  bits32[0] = bits << 16;
  return value32[0]!;
}

/** The values as float32; the array itself when it is one already. */
export function toFloat32(tensor: KnownTensor): Float32Array {
  return tensor.values instanceof Float32Array ? tensor.values : Float32Array.from(tensor.values);
}

/** The nearest IEEE 754 binary16, ties to even. */
export function numberToFloat16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65_520) return sign | 0x7c00;
  // Below the smallest normal number the spacing stays that of subnormals.
  const exponent = Math.max(-14, Math.floor(Math.log2(size)));
  const fraction = roundToEven(size / 2 ** (exponent - 10));
  // A fraction that rounds up to the next power of two carries into the exponent by itself.
  return sign | (fraction + (exponent + 14) * 1024);
}

/** The nearest bfloat16, ties to even, of a number that float32 holds. */
export function numberToBfloat16(value: number): number {
  value32[0] = value;
  const bits = bits32[0]!;
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

function roundToEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
}
