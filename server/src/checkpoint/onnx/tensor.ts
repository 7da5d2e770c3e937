import { basename } from 'node:path';
import { InputError } from '../../errors';
import type { Shape } from '../../graph/ir';
import { elementCount, formatShape } from '../../graph/shapes';
import {
  bfloat16ToNumber,
  dataTypeName,
  elementInfo,
  float16ToNumber,
  isElementType,
  type ElementType,
  type KnownTensor,
} from '../elements';
import { decodeRaw, elementBytes, lengthError, unsupportedType, type StoredTensor } from '../stored-tensor';
import { readExternalData } from './external';
import { onnx } from './generated/onnx';
import { rawDataOf, rawLength } from './skeleton';

export type { StoredTensor } from '../stored-tensor';

/** int64 of the schema as a number; beyond 2^53 it is rounded. */
export function toNumber(value: { toNumber(): number } | number): number {
  return typeof value === 'number' ? value : value.toNumber();
}

/**
 * @param file path of the model, for messages and as the base of external data
 * @throws InputError when the dimensions make no sense
 */
export function storedTensor(proto: onnx.TensorProto.$Properties, name: string, file: string): StoredTensor {
  const shape = (proto.dims ?? []).map(toNumber);
  const dtype = dataTypeName(proto.dataType ?? 0);
  const where = `tensor ${JSON.stringify(name)}, ${basename(file)}`;
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0) || !Number.isSafeInteger(elementCount(shape))) {
    throw new InputError(`impossible shape: ${formatShape(shape)} (${where}); the file is damaged, export it again`);
  }
  const read = (): KnownTensor => readTensor(proto, dtype, shape, where, file);
  return { name, dtype, shape, read, bytes: () => tensorBytes(proto, dtype, shape, where, file) };
}

function readTensor(
  proto: onnx.TensorProto.$Properties,
  dtype: string,
  shape: Shape,
  where: string,
  file: string,
): KnownTensor {
  if (!isElementType(dtype)) throw unsupportedType(dtype, where);
  const count = elementCount(shape);
  const raw = rawBytes(proto, dtype, shape, where, file);
  if (raw !== null) return { type: dtype, shape, values: decodeRaw(dtype, raw, count) };
  const typed = typedValues(proto, dtype, shape, where);
  const values = elementInfo[dtype].allocate(count);
  const decode = dtype === 'float16' ? float16ToNumber : dtype === 'bfloat16' ? bfloat16ToNumber : null;
  for (let i = 0; i < count; i++) {
    const value = toNumber(typed[i]!);
    values[i] = decode === null ? value : decode(value & 0xffff);
  }
  return { type: dtype, shape, values };
}

/** The bytes of `raw_data` or of the external file; null where a typed field holds the values. */
function rawBytes(
  proto: onnx.TensorProto.$Properties,
  dtype: string,
  shape: Shape,
  where: string,
  file: string,
): Uint8Array | null {
  if (proto.segment) {
    throw new InputError(`segmented tensor not supported (${where}); save the model again with a current ONNX version`);
  }
  const length = Math.ceil((elementCount(shape) * bitsOf(dtype, where)) / 8);
  const external = proto.dataLocation === onnx.TensorProto.DataLocation.EXTERNAL;
  if (external) return readExternalData(proto, length, where, file);
  const there = rawLength(proto);
  // An absent field decodes as an empty one, so presence is judged by length.
  if (there === 0) return null;
  if (there !== length) throw lengthError(there, length, 'bytes', dtype, shape, where);
  return rawDataOf(proto);
}

function typedValues(
  proto: onnx.TensorProto.$Properties,
  dtype: ElementType,
  shape: Shape,
  where: string,
): TypedValues {
  const typed = typedField(proto, dtype);
  const count = elementCount(shape);
  if (typed.length !== count) throw lengthError(typed.length, count, 'values', dtype, shape, where);
  return typed;
}

function tensorBytes(
  proto: onnx.TensorProto.$Properties,
  dtype: string,
  shape: Shape,
  where: string,
  file: string,
): Uint8Array {
  const raw = rawBytes(proto, dtype, shape, where, file);
  if (raw !== null) return raw;
  if (!isElementType(dtype)) return opaqueBytes(proto, dtype, shape, where, file);
  const typed = typedValues(proto, dtype, shape, where);
  const width = elementInfo[dtype].bytes;
  const bytes = new Uint8Array(elementCount(shape) * width);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < typed.length; i++) {
    const value = typed[i]!;
    if (dtype === 'float32') view.setFloat32(4 * i, Number(value), true);
    else if (dtype === 'float64') view.setFloat64(8 * i, Number(value), true);
    else view64(value).forEach((byte, at) => at < width && view.setUint8(i * width + at, byte));
  }
  return bytes;
}

/** Bits of an element of types that are packed. */
const packedBits: Readonly<Record<string, number>> = {
  float4e2m1: 4,
  float6e2m3: 6,
  float6e3m2: 6,
  int2: 2,
  int4: 4,
  uint2: 2,
  uint4: 4,
};

function bitsOf(dtype: string, where: string): number {
  const bits = packedBits[dtype] ?? 8 * (elementBytes(dtype) ?? 0);
  if (bits === 0) throw unsupportedType(dtype, where);
  return bits;
}

/** What a typed field holds of a type that is not computed with. */
function opaqueBytes(
  proto: onnx.TensorProto.$Properties,
  dtype: string,
  shape: Shape,
  where: string,
  file: string,
): Uint8Array {
  const count = elementCount(shape);
  if (dtype === 'complex64' || dtype === 'complex128') {
    const parts = dtype === 'complex64' ? 'float32' : 'float64';
    return tensorBytes(proto, parts, [...shape, 2], where, file);
  }
  const bits = bitsOf(dtype, where);
  const length = Math.ceil((count * bits) / 8);
  const values = proto.int32Data ?? [];
  // Numbers of six bits come one by one, smaller ones as the bytes that they are packed into.
  const expected = bits === 6 ? count : length;
  if (values.length !== expected) throw lengthError(values.length, expected, 'values', dtype, shape, where);
  if (bits !== 6) return Uint8Array.from(values);
  const bytes = new Uint8Array(length);
  values.forEach((value, i) => {
    const shifted = (value & 0x3f) << ((6 * i) % 8);
    const at = Math.floor((6 * i) / 8);
    bytes[at]! |= shifted & 0xff;
    if (shifted > 0xff) bytes[at + 1]! |= shifted >> 8;
  });
  return bytes;
}

/** The eight bytes of an integer field, two's complement. */
function view64(value: number | { toNumber(): number }): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setBigInt64(0, BigInt(value.toString()), true);
  return new Uint8Array(bytes.buffer);
}

type TypedValues = ArrayLike<number | { toNumber(): number }>;

/** The field of `TensorProto` that holds values of the type when `raw_data` does not. */
function typedField(proto: onnx.TensorProto.$Properties, type: ElementType): TypedValues {
  switch (type) {
    case 'float32':
      return proto.floatData ?? [];
    case 'float64':
      return proto.doubleData ?? [];
    case 'int64':
      return proto.int64Data ?? [];
    case 'uint32':
    case 'uint64':
      return proto.uint64Data ?? [];
    default:
      return proto.int32Data ?? [];
  }
}
