import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { InputError } from '../../errors';
import { readRange } from '../../files/ranges';
import { elementCount } from '../../graph/shapes';
import { isObject, type Json } from '../keras/config';
import { decodeRaw, elementBytes, rawTensor, type StoredTensor } from '../stored-tensor';
import { isElementType } from '../elements';

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
  const read = (): Uint8Array => readAcross(shards, offset, bytes);
  if (packed === null || type === 'float16') return { tensor: rawTensor(name, type, dims, where, read), bytes };
  const { scale, min } = packed;
  if (typeof scale !== 'number' || typeof min !== 'number' || !isElementType(type)) {
    throw damaged(`${name} is quantised without scale or min`, path);
  }
  const restored = (): Uint8Array => {
    const codes = decodeRaw(type, read(), elementCount(dims));
    return new Uint8Array(Float32Array.from(codes, (code) => code * scale + min).buffer);
  };
  return { tensor: rawTensor(name, 'float32', dims, where, restored), bytes };
}

function readAcross(shards: readonly Shard[], offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (const { path, start, size } of shards) {
    const [from, to] = [Math.max(offset, start), Math.min(offset + length, start + size)];
    if (from < to) bytes.set(readRange(path, from - start, to - from), from - offset);
  }
  return bytes;
}

export function damaged(what: string, path: string): InputError {
  return new InputError(`TensorFlow.js model damaged: ${what} (${path}); copy it again or convert it anew`);
}
