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
  type ElementArray,
  type ElementType,
  type KnownTensor,
} from './elements';
import { readExternalData } from './external';
import { onnx } from './generated/onnx';

/** A tensor in the file. Its values are decoded when they are asked for. */
export interface StoredTensor {
  readonly name: string;
  /** Element type as ONNX names it, decodable or not. */
  readonly dtype: string;
  readonly shape: Shape;
  /**
   * Decodes the values: a fresh array at every call.
   * @throws InputError when the type is not supported, or when the data do not fill the shape.
   */
  read(): KnownTensor;
}

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
  return { name, dtype, shape, read: () => readTensor(proto, dtype, shape, where, file) };
}

function readTensor(
  proto: onnx.TensorProto.$Properties,
  dtype: string,
  shape: Shape,
  where: string,
  file: string,
): KnownTensor {
  if (!isElementType(dtype)) {
    throw new InputError(`element type not supported: ${dtype} (${where}); export the network with float32 weights`);
  }
  if (proto.segment) {
    throw new InputError(`segmented tensor not supported (${where}); save the model again with a current ONNX version`);
  }
  const count = elementCount(shape);
  const { bytes } = elementInfo[dtype];
  const external = proto.dataLocation === onnx.TensorProto.DataLocation.EXTERNAL;
  const raw = external ? readExternalData(proto, count * bytes, where, file) : proto.rawData;
  // An absent field decodes as an empty one, so presence is judged by length.
  if (raw && (raw.length > 0 || external)) {
    if (raw.length !== count * bytes) throw lengthError(raw.length, count * bytes, 'bytes', dtype, shape, where);
    return { type: dtype, shape, values: decodeRaw(dtype, raw, count) };
  }
  const typed = typedField(proto, dtype);
  if (typed.length !== count) throw lengthError(typed.length, count, 'values', dtype, shape, where);
  const values = elementInfo[dtype].allocate(count);
  const decode = dtype === 'float16' ? float16ToNumber : dtype === 'bfloat16' ? bfloat16ToNumber : null;
  for (let i = 0; i < count; i++) {
    const value = toNumber(typed[i]!);
    values[i] = decode === null ? value : decode(value & 0xffff);
  }
  return { type: dtype, shape, values };
}

function lengthError(got: number, expected: number, unit: string, dtype: string, shape: Shape, where: string): Error {
  return new InputError(
    `tensor data: ${got} ${unit} where ${dtype} ${formatShape(shape)} needs ${expected} (${where}); the file is truncated or damaged, export it again`,
  );
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

/** Little-endian values; `bytes.length` is already known to fit. */
function decodeRaw(type: ElementType, bytes: Uint8Array, count: number): ElementArray {
  const values = elementInfo[type].allocate(count);
  if (values.BYTES_PER_ELEMENT === elementInfo[type].bytes && type !== 'int64' && type !== 'uint64') {
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
