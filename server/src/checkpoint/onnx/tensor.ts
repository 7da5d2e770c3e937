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
import { decodeRaw, lengthError, unsupportedType, type StoredTensor } from '../stored-tensor';
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
  dtype: ElementType,
  shape: Shape,
  where: string,
  file: string,
): Uint8Array | null {
  if (proto.segment) {
    throw new InputError(`segmented tensor not supported (${where}); save the model again with a current ONNX version`);
  }
  const length = elementCount(shape) * elementInfo[dtype].bytes;
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
  if (!isElementType(dtype)) throw unsupportedType(dtype, where);
  const raw = rawBytes(proto, dtype, shape, where, file);
  if (raw !== null) return raw;
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
