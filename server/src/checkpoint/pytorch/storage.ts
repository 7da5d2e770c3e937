import { InputError } from '../../errors';
import type { Shape } from '../../graph/ir';
import { elementCount, formatShape, rowMajorStrides } from '../../graph/shapes';
import { PickleObject } from '../../pickle/values';
import { elementBytes, rawTensor, type ByteRun, type Place, type StoredTensor } from '../stored-tensor';

/** The typed storages of PyTorch, and its dtypes, by their names in a file. */
const storageTypes: Readonly<Record<string, string>> = {
  FloatStorage: 'float32',
  DoubleStorage: 'float64',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
  ComplexFloatStorage: 'complex64',
  ComplexDoubleStorage: 'complex128',
  UntypedStorage: 'uint8',
};

const dtypes: Readonly<Record<string, string>> = {
  float: 'float32',
  double: 'float64',
  half: 'float16',
  long: 'int64',
  int: 'int32',
  short: 'int16',
  float8_e4m3fn: 'float8e4m3fn',
  float8_e4m3fnuz: 'float8e4m3fnuz',
  float8_e5m2: 'float8e5m2',
  float8_e5m2fnuz: 'float8e5m2fnuz',
  float8_e8m0fnu: 'float8e8m0',
};

/** Element type of `torch.<name>`, whether that is a storage class or a dtype. */
export function elementTypeOf(name: string): string {
  return storageTypes[name] ?? dtypes[name] ?? name;
}

/** What a state adds to a tensor, such as hooks, is left out. */
class TorchObject extends PickleObject {
  override build(): void {}
}

/** Memory that tensors are views of. */
export class TorchStorage extends TorchObject {
  /** Reads bytes of it; known once the file says where it lies. */
  fetch: ((start: number, length: number) => Uint8Array) | null = null;
  /** All of it; known then too. */
  place: ByteRun | null = null;
  /** What is stored for little-endian elements, where that is something else. */
  encode: ((elements: Uint8Array) => Uint8Array) | null = null;

  constructor(
    readonly key: string,
    readonly dtype: string,
    /** Elements that the file says it has. */
    readonly length: number,
  ) {
    super();
  }
}

/** A view of a storage. Sizes and strides are in elements. */
export class TorchTensor extends TorchObject {
  constructor(
    readonly storage: TorchStorage,
    /** Of the elements, which an untyped storage does not say. */
    readonly dtype: string,
    readonly offset: number,
    readonly shape: Shape,
    readonly strides: readonly number[],
  ) {
    super();
  }
}

/** Elements that a view may repeat beyond those of its storage. */
const MOST_REPEATED = 1 << 20;

/**
 * A view as a tensor of a checkpoint, its elements in row-major order.
 *
 * @param file path of the checkpoint
 * @throws InputError when the view reaches outside its storage
 */
export function viewedTensor(name: string, view: TorchTensor, place: string): StoredTensor {
  const { storage, dtype, offset, shape, strides } = view;
  const where = `tensor ${JSON.stringify(name)}, ${place}`;
  const width = elementBytes(dtype);
  const count = elementCount(shape);
  const isSize = (size: number): boolean => Number.isSafeInteger(size) && size >= 0;
  if (![offset, ...shape, ...strides, count].every(isSize) || strides.length !== shape.length) {
    throw new InputError(
      `impossible shape: ${formatShape(shape)} (${where}); the file is damaged, copy or save it again`,
    );
  }
  const unsized = (): never => {
    throw new InputError(`element type not supported: ${dtype} (${where}); save the network with float32 weights`);
  };
  if (width === undefined) return { name, dtype, shape, read: unsized, bytes: unsized };
  const available = Math.floor((storage.length * (elementBytes(storage.dtype) ?? width)) / width);
  const last = shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, offset);
  if (count > 0 && last >= available) {
    throw new InputError(
      `tensor outside its storage: element ${last} of ${available} (${where}); the file is damaged, copy or save it again`,
    );
  }
  if (count > available && count > MOST_REPEATED) {
    throw new InputError(
      `tensor larger than its storage: ${formatShape(shape)} of ${available} elements (${where}); save a copy of it with .contiguous()`,
    );
  }
  const bytes = (): Uint8Array => gathered(view, width, count, last, where);
  return rawTensor(name, dtype, shape, where, bytes, count === 0 ? undefined : placeOf(view, width, last));
}

function placeOf({ storage, offset, strides }: TorchTensor, width: number, last: number): Place | undefined {
  const { place, encode } = storage;
  if (place === null) return undefined;
  const run = { ...place, start: place.start + offset * width, length: (last - offset + 1) * width };
  return { kind: 'bytes', runs: [run], strides, ...(encode !== null && { encode }) };
}

function gathered(view: TorchTensor, width: number, count: number, last: number, where: string): Uint8Array {
  const { storage, offset, shape, strides } = view;
  if (count === 0) return new Uint8Array(0);
  if (storage.fetch === null) {
    throw new InputError(`tensor data missing (${where}); the file is damaged, copy or save it again`);
  }
  const source = storage.fetch(offset * width, (last - offset + 1) * width);
  const dense = rowMajorStrides(shape);
  if (shape.every((size, axis) => size === 1 || strides[axis] === dense[axis])) return source;
  const target = new Uint8Array(count * width);
  const position = new Array<number>(shape.length).fill(0);
  for (let i = 0, at = 0; i < count; i++) {
    for (let byte = 0; byte < width; byte++) target[i * width + byte] = source[at * width + byte]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++position[axis]! < shape[axis]!) break;
      at -= strides[axis]! * shape[axis]!;
      position[axis] = 0;
    }
  }
  return target;
}
