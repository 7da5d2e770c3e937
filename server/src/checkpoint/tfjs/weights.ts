import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { InputError } from '../../errors';
import { readRange } from '../../files/ranges';
import { elementCount } from '../../graph/shapes';
import { isObject, type Json } from '../keras/config';
import { decodeRaw, elementBytes, rawTensor, type ByteRun, type StoredTensor } from '../stored-tensor';
import { elementInfo } from '../elements';

/**
 * The weights of a TensorFlow.js model: groups of tensors, one behind the
 * other, in files that are cut anywhere (tfjs-core/src/io/types.ts). Quantised
 * tensors are stored as q and mean scale·q + min.
 */

interface Shard {
  readonly path: string;
  /** Where it begins in its group, in bytes. */
  readonly start: number;
  readonly size: number;
}

const bytesOf: Readonly<Record<string, string>> = {
  float32: 'float32',
  int32: 'int32',
  bool: 'bool',
  complex64: 'complex64',
};

/** @throws InputError when a shard is missing, outside the folder, or too short */
export async function readManifest(manifest: Json | undefined, path: string): Promise<Map<string, StoredTensor>> {
  const tensors = new Map<string, StoredTensor>();
  if (!Array.isArray(manifest)) throw damaged('weightsManifest is missing', path);
  for (const group of manifest as readonly Json[]) {
    if (!isObject(group) || !Array.isArray(group.paths) || !Array.isArray(group.weights)) {
      throw damaged('a group of weights has no paths', path);
    }
    const shards = await findShards(group.paths as readonly Json[], path);
    let offset = 0;
    for (const entry of group.weights as readonly Json[]) {
      const { tensor, bytes } = stored(entry, shards, offset, path);
      tensors.set(tensor.name, tensor);
      offset += bytes;
    }
    const size = shards.reduce((sum, shard) => sum + shard.size, 0);
    if (offset > size) throw damaged(`weights need ${offset} bytes and the shards have ${size}`, path);
  }
  return tensors;
}

async function findShards(names: readonly Json[], path: string): Promise<Shard[]> {
  const folder = await realpath(dirname(path));
  const shards: Shard[] = [];
  let start = 0;
  for (const name of names) {
    if (typeof name !== 'string' || name === '' || name !== basename(name) || name.includes('\0')) {
      throw damaged(`shard ${JSON.stringify(name)} is no file beside the model`, path);
    }
    const real = await realpath(join(folder, name)).catch(() => {
      throw new InputError(`shard missing: ${name} (${path}); copy all files of the model into one folder`);
    });
    if (dirname(real) !== folder) {
      throw new InputError(`shard outside its folder: ${name} (${path}); copy the file itself, not a link`);
    }
    const { size } = await stat(real);
    shards.push({ path: real, start, size });
    start += size;
  }
  return shards;
}

function stored(entry: Json, shards: readonly Shard[], offset: number, path: string) {
  const { name, shape, dtype, quantization } = isObject(entry) ? entry : {};
  const sizes = Array.isArray(shape) ? (shape as readonly Json[]) : null;
  const isShape = sizes !== null && sizes.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
  if (typeof name !== 'string' || !isShape || typeof dtype !== 'string') {
    throw damaged('a tensor has no name, shape or dtype', path);
  }
  const where = `tensor ${JSON.stringify(name)}, ${basename(path)}`;
  const dims = sizes as number[];
  const packed = isObject(quantization) ? quantization : null;
  const type = packed !== null && typeof packed.dtype === 'string' ? packed.dtype : (bytesOf[dtype] ?? dtype);
  const width = elementBytes(type);
  if (width === undefined) {
    throw new InputError(`element type not supported: ${dtype} (${where}); convert the model with float32 weights`);
  }
  const bytes = elementCount(dims) * width;
  if (!Number.isSafeInteger(bytes)) throw damaged(`${name} has an impossible shape`, path);
  const runs = runsAcross(shards, offset, bytes);
  const read = (): Uint8Array => Buffer.concat(runs.map(({ file, start, length }) => readRange(file, start, length)));
  if (packed === null || type === 'float16') {
    return { tensor: rawTensor(name, type, dims, where, read, { kind: 'bytes', runs }), bytes };
  }
  const { scale, min } = packed;
  if (typeof scale !== 'number' || typeof min !== 'number' || (type !== 'uint8' && type !== 'uint16')) {
    throw damaged(`${name} is quantised without scale or min, or to ${type}`, path);
  }
  const restored = (): Uint8Array => {
    const codes = decodeRaw(type, read(), elementCount(dims));
    return new Uint8Array(Float32Array.from(codes, (code) => code * scale + min).buffer);
  };
  const encode = (elements: Uint8Array): Uint8Array => quantized(elements, type, scale, min, where);
  return { tensor: rawTensor(name, 'float32', dims, where, restored, { kind: 'bytes', runs, encode }), bytes };
}

/** The codes q of float32 values, each of which must be scale·q + min. */
function quantized(
  elements: Uint8Array,
  type: 'uint8' | 'uint16',
  scale: number,
  min: number,
  where: string,
): Uint8Array {
  const values = decodeRaw('float32', elements, elements.length / 4);
  const codes = elementInfo[type].allocate(values.length);
  values.forEach((value, i) => {
    codes[i] = Math.round((value - min) / scale);
    if (Math.fround(codes[i]! * scale + min) === value) return;
    throw new InputError(
      `value not representable: ${value} in a tensor quantised to ${scale}·q + ${min} (${where}); convert the model without quantisation`,
    );
  });
  return new Uint8Array(codes.buffer);
}

/** The parts of the shards that hold the bytes from `offset` of their group. */
function runsAcross(shards: readonly Shard[], offset: number, length: number): ByteRun[] {
  return shards.flatMap(({ path, start, size }) => {
    const [from, to] = [Math.max(offset, start), Math.min(offset + length, start + size)];
    return from < to ? [{ file: path, start: from - start, length: to - from }] : [];
  });
}

export function damaged(what: string, path: string): InputError {
  return new InputError(`TensorFlow.js model damaged: ${what} (${path}); copy it again or convert it anew`);
}
