import { basename } from 'node:path';
import { InputError } from '../../errors';
import { elementCount, formatShape } from '../../graph/shapes';
import { elementInfo, type ElementType } from '../elements';
import { rawTensor, type StoredTensor } from '../stored-tensor';
import { onnx } from './generated/onnx';
import { storedTensor, toNumber } from './tensor';
import { lengthDelimited, rewriteMessage, varintBytes } from './wire';

/**
 * SparseTensorProto: the elements that are not zero and where they stand, either
 * by their place in row-major order or by one index per axis, in that order.
 */

/** Zeros take no room in a file, so a file may ask for any number of them: this many bytes, and … */
const MOST_BYTES = 2 ** 25;
/** … this many for each byte that is there. */
const MOST_EXPANSION = 4096;

/**
 * A sparse tensor as what it stands for.
 *
 * @param file path of the model, for messages and as the base of external data
 * @throws InputError when shapes make no sense; `read` does for indices that make none
 */
export function sparseTensor(proto: onnx.SparseTensorProto.$Properties, name: string, file: string): StoredTensor {
  const where = `tensor ${JSON.stringify(name)}, ${basename(file)}`;
  const damaged = (what: string): InputError =>
    new InputError(`sparse tensor damaged: ${what} (${where}); export the network again`);
  const shape = (proto.dims ?? []).map(toNumber);
  const count = elementCount(shape);
  if (!shape.every((size) => Number.isSafeInteger(size) && size > 0) || !Number.isSafeInteger(count)) {
    throw damaged(`shape ${formatShape(shape)}`);
  }
  const values = storedTensor(proto.values ?? {}, name, file);
  const indices = storedTensor(proto.indices ?? {}, `indices of ${name}`, file);
  const [stored = 0] = values.shape;
  const isLinear = indices.shape.length === 1;
  const isPlaced =
    indices.shape[0] === stored && (isLinear || (indices.shape.length === 2 && indices.shape[1] === shape.length));
  if (values.shape.length !== 1 || stored > count || (stored > 0 && !isPlaced) || indices.dtype !== 'int64') {
    throw damaged(
      `${formatShape(values.shape)} values at ${indices.dtype} ${formatShape(indices.shape)} of ${formatShape(shape)}`,
    );
  }
  /** Places in row-major order, each after the one before. */
  const places = (): Float64Array => {
    const result = new Float64Array(stored);
    if (stored === 0) return result;
    const axes = isLinear ? [count] : shape;
    const given = indices.read().values;
    let last = -1;
    for (let i = 0; i < stored; i++) {
      let place = 0;
      for (const [axis, size] of axes.entries()) {
        const index = given[i * axes.length + axis]!;
        if (!(index >= 0 && index < size)) throw damaged(`index ${index} of ${size}`);
        place = place * size + index;
      }
      if (place <= last) throw damaged(`index ${place} after ${last}`);
      last = place;
      result[i] = place;
    }
    return result;
  };
  const bytes = (): Uint8Array => {
    const packed = values.bytes();
    const width = stored === 0 ? elementInfo[values.dtype as ElementType].bytes : packed.length / stored;
    if (count * width > MOST_BYTES + MOST_EXPANSION * packed.length) {
      throw new InputError(
        `sparse tensor too large: ${formatShape(shape)} of ${stored} values (${where}); save it dense`,
      );
    }
    const dense = new Uint8Array(count * width);
    places().forEach((place, i) => dense.set(packed.subarray(i * width, (i + 1) * width), place * width));
    return dense;
  };
  return rawTensor(name, values.dtype, shape, where, bytes);
}

/** Fields of TensorProto that say what it holds: sizes, segment, values of all kinds, where they lie. */
const CONTENT_FIELDS = new Set([1, 3, 4, 5, 6, 7, 9, 10, 11, 13, 14]);
const DIMS = 1;
const DATA_TYPE = 2;
const INT64S = 7;
const RAW = 9;

/**
 * A tensor as a sparse one: elements of no bits but zeros are left out, so that
 * every other keeps its own. Places are numbers of as few bytes as they need.
 *
 * @param tensor the dense message, of which everything but the content stays: name, type, documentation
 * @param raw its elements, little-endian in row-major order
 */
export function sparseMessage(tensor: Uint8Array, shape: readonly number[], raw: Uint8Array): Uint8Array {
  const count = elementCount(shape);
  const width = raw.length / count;
  const isKept = (i: number): boolean => {
    for (let at = i * width; at < (i + 1) * width; at++) if (raw[at] !== 0) return true;
    return false;
  };
  let kept = 0;
  for (let i = 0; i < count; i++) if (isKept(i)) kept++;
  const values = new Uint8Array(kept * width);
  const places = new Uint8Array(kept * varintBytes(count).length);
  let length = 0;
  for (let i = 0, done = 0; i < count; i++) {
    if (!isKept(i)) continue;
    values.set(raw.subarray(i * width, (i + 1) * width), done++ * width);
    for (let rest = i; ; rest = Math.floor(rest / 128)) {
      places[length++] = rest < 128 ? rest : (rest % 128) | 128;
      if (rest < 128) break;
    }
  }
  const rest = rewriteMessage(tensor, ({ number }) => (CONTENT_FIELDS.has(number) ? new Uint8Array() : undefined));
  const size = number(DIMS, kept);
  const valuesMessage = Buffer.concat([rest ?? tensor, size, lengthDelimited(RAW, values)]);
  const indices = [size, number(DATA_TYPE, onnx.TensorProto.DataType.INT64)];
  const indicesMessage = Buffer.concat([...indices, lengthDelimited(INT64S, places.subarray(0, length))]);
  return Buffer.concat([
    lengthDelimited(1, valuesMessage),
    lengthDelimited(2, indicesMessage),
    ...shape.map((each) => number(3, each)),
  ]);
}

/** A field of type 0. */
export function number(field: number, value: number): Uint8Array {
  return Buffer.concat([varintBytes(8 * field), varintBytes(value)]);
}
