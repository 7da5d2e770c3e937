import { InputError } from '../errors';
import { elementInfo, numberToBfloat16, numberToFloat16, type ElementType, type KnownTensor } from './elements';
import type { StoredTensor } from './stored-tensor';

/** Other contents for a tensor: little-endian bytes in row-major order, of the tensor's own type. */
export type Edit = (tensor: StoredTensor) => Uint8Array;

/**
 * Zeros where the mask has them, and every other element's own bits. The bytes
 * of zero are zero in every float type.
 */
export function withZeros(tensor: StoredTensor, mask: Uint8Array): Uint8Array {
  // A copy: some readers hold what they give.
  const bytes = Uint8Array.from(tensor.bytes());
  const width = bytes.length / mask.length;
  if (!Number.isInteger(width)) throw doesNotFit(tensor, mask.length);
  for (let i = 0; i < mask.length; i++) if (mask[i] === 0) bytes.fill(0, i * width, (i + 1) * width);
  return bytes;
}

/** Values; those that float32 cannot tell from the tensor's own leave its bits as they are. */
export function withValues(tensor: StoredTensor, values: Float32Array): Uint8Array {
  const { type, values: own }: KnownTensor = tensor.read();
  if (own.length !== values.length) throw doesNotFit(tensor, values.length);
  return encode(
    type,
    Float64Array.from(own, (x, i) => (Math.fround(x) === values[i] ? x : values[i]!)),
  );
}

function doesNotFit({ name }: StoredTensor, count: number): InputError {
  return new InputError(`weights do not fit: ${name} does not have ${count} values`);
}

/** Little-endian. */
function encode(type: ElementType, values: ArrayLike<number>): Uint8Array {
  const { bytes } = elementInfo[type];
  const view = new DataView(new ArrayBuffer(values.length * bytes));
  for (let i = 0; i < values.length; i++) {
    const at = i * bytes;
    if (type === 'float32') view.setFloat32(at, values[i]!, true);
    else if (type === 'float64') view.setFloat64(at, values[i]!, true);
    else if (type === 'float16') view.setUint16(at, numberToFloat16(values[i]!), true);
    else if (type === 'bfloat16') view.setUint16(at, numberToBfloat16(values[i]!), true);
    else throw new InputError(`weights of type ${type} cannot be written; only those of floating point can`);
  }
  return new Uint8Array(view.buffer);
}
