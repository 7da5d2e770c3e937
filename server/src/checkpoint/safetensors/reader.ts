import { readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { InputError } from '../../errors';
import { readRange } from '../../files/ranges';
import { elementCount } from '../../graph/shapes';
import type { WeightsFile } from '../checkpoint';
import { elementBytes, rawTensor, type StoredTensor } from '../stored-tensor';

/**
 * safetensors (huggingface/safetensors, README "Format"): eight bytes with the
 * length of a JSON header, the header, then the tensors without gaps. And
 * `*.safetensors.index.json`, which says which of several files has a tensor.
 */

const LARGEST_HEADER = 100_000_000;
const LENGTH_BYTES = 8;

const dtypes: Readonly<Record<string, string>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U64: 'uint64',
  U32: 'uint32',
  U16: 'uint16',
  U8: 'uint8',
  BOOL: 'bool',
  C64: 'complex64',
  F8_E4M3: 'float8e4m3fn',
  F8_E4M3FNUZ: 'float8e4m3fnuz',
  F8_E5M2: 'float8e5m2',
  F8_E5M2FNUZ: 'float8e5m2fnuz',
  F8_E8M0: 'float8e8m0',
};

/** Eight bytes of length, then an object, perhaps after white space. */
export function match(head: Uint8Array): boolean {
  let at = LENGTH_BYTES;
  while (head[at] === 0x20 || head[at] === 0x0a || head[at] === 0x09 || head[at] === 0x0d) at++;
  return head[6] === 0 && head[7] === 0 && head[at] === 0x7b;
}

/** @throws InputError when the file is not what its header says */
export async function open(path: string): Promise<WeightsFile> {
  const { size } = await stat(path);
  const { tensors, producer } = readHeader(path, size);
  return { kind: 'weights', container: 'safetensors', format: 'safetensors', path, producer, tensors };
}

function readHeader(path: string, size: number): { tensors: Map<string, StoredTensor>; producer: string } {
  const place = basename(path);
  if (size < LENGTH_BYTES) throw damaged('header too small', `${size} bytes`, place);
  const first = readRange(path, 0, LENGTH_BYTES);
  const length = Number(new DataView(first.buffer).getBigUint64(0, true));
  if (length > LARGEST_HEADER) throw damaged('header too large', `${length} bytes`, place);
  if (LENGTH_BYTES + length > size) throw damaged('header length', `${length} bytes in a file of ${size}`, place);
  const header = parseHeader(readRange(path, LENGTH_BYTES, length), place);
  const start = LENGTH_BYTES + length;
  const entries: { tensor: StoredTensor; begin: number; end: number }[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name !== '__metadata__') entries.push(tensorEntry(name, value, path, start));
  }
  // The tensors fill what follows the header, each byte once.
  let reached = 0;
  for (const { tensor, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== reached) throw damaged('gap or overlap before tensor', JSON.stringify(tensor.name), place);
    reached = end;
  }
  if (start + reached !== size) {
    throw damaged('tensors incomplete', `they need ${reached} bytes and ${size - start} follow the header`, place);
  }
  const metadata = header.__metadata__;
  const format = isObject(metadata) && typeof metadata.format === 'string' ? metadata.format : '';
  return { tensors: new Map(entries.map(({ tensor }) => [tensor.name, tensor])), producer: format };
}

function parseHeader(bytes: Uint8Array, place: string): Record<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw damaged('header is not UTF-8', `${bytes.length} bytes`, place);
  }
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    throw damaged('header is not JSON', (error as Error).message.split('\n', 1)[0]!, place);
  }
  if (!isObject(header)) throw damaged('header is no object', text.slice(0, 40), place);
  return header;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function tensorEntry(
  name: string,
  value: unknown,
  path: string,
  start: number,
): { tensor: StoredTensor; begin: number; end: number } {
  const place = basename(path);
  const where = `tensor ${JSON.stringify(name)}, ${place}`;
  const entry = isObject(value) ? value : {};
  const { dtype, shape, data_offsets: offsets } = entry;
  const isSizes = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
  const isIntegers = (list: unknown): boolean => Array.isArray(list) && list.some((size) => Number(size) > 2 ** 53);
  if (typeof dtype !== 'string' || !isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
    if (isIntegers(shape) || isIntegers(offsets)) throw damaged('shape overflows', `sizes of ${where}`, place);
    throw damaged('tensor without dtype, shape or offsets', JSON.stringify(name), place);
  }
  const [begin, end] = offsets as [number, number];
  const type = dtypes[dtype] ?? dtype;
  const width = elementBytes(type);
  const count = elementCount(shape);
  if (!Number.isSafeInteger(count) || !Number.isSafeInteger(count * (width ?? 1))) {
    throw damaged('shape overflows', `[${shape.join(', ')}] of ${where}`, place);
  }
  if (end < begin || (width !== undefined && end - begin !== count * width)) {
    throw damaged('tensor info', `${end - begin} bytes for ${type} [${shape.join(', ')}] of ${where}`, place);
  }
  const run = { file: path, start: start + begin, length: end - begin };
  const bytes = (): Uint8Array => readRange(path, run.start, run.length);
  const tensor = rawTensor(name, type, shape, where, bytes, { kind: 'bytes', runs: [run] });
  return { tensor, begin, end };
}

function damaged(what: string, detail: string, place: string): InputError {
  return new InputError(`safetensors ${what}: ${detail} (${place}); the file is truncated or damaged, copy it again`);
}

/** Whether JSON is an index of shards. */
export function isIndex(json: unknown): boolean {
  return isObject(json) && isObject(json.weight_map);
}

const LARGEST_INDEX = 64 << 20;

/** @throws InputError when a shard is missing, outside the folder, or lacks a tensor */
export async function openIndex(path: string): Promise<WeightsFile> {
  const place = basename(path);
  if ((await stat(path)).size > LARGEST_INDEX) throw damaged('index too large', 'more than 64 MiB', place);
  const json = JSON.parse(await readFile(path, 'utf8')) as { weight_map: Record<string, unknown> };
  const folder = await realpath(dirname(path));
  const shards = new Map<string, Map<string, StoredTensor>>();
  const tensors = new Map<string, StoredTensor>();
  for (const [name, shard] of Object.entries(json.weight_map)) {
    if (typeof shard !== 'string' || shard === '' || shard !== basename(shard) || shard.includes('\0')) {
      throw damaged('shard name', `${JSON.stringify(shard)} is no file beside the index`, place);
    }
    let held = shards.get(shard);
    if (held === undefined) {
      const file = join(folder, shard);
      const real = await realpath(file).catch(() => {
        throw new InputError(`shard missing: ${shard} (${path}); copy all files of the checkpoint into one folder`);
      });
      if (dirname(real) !== folder) {
        throw new InputError(`shard outside its folder: ${shard} (${path}); copy the file itself, not a link`);
      }
      held = readHeader(real, (await stat(real)).size).tensors;
      shards.set(shard, held);
    }
    const tensor = held.get(name);
    if (tensor === undefined) throw damaged('shard incomplete', `${shard} lacks ${JSON.stringify(name)}`, place);
    tensors.set(name, tensor);
  }
  return {
    kind: 'weights',
    container: 'safetensors index',
    format: `safetensors (${shards.size} shards)`,
    path,
    producer: '',
    tensors,
  };
}
