import { basename } from 'node:path';
import { InputError } from '../../errors';
import { ByteCursor, readEntry, readRange } from '../../files/ranges';
import { isBomb, withZip, type ZipEntry } from '../../files/zip';
import { readPickle } from '../../pickle/machine';
import type { PickleValue } from '../../pickle/values';
import type { Container, WeightsFile } from '../checkpoint';
import { elementBytes, type StoredTensor } from '../stored-tensor';
import { collectTensors } from './collect';
import { storageReferences, torchTable } from './functions';
import { TorchStorage } from './storage';

/**
 * Files of torch.save and torch.jit.save (torch/serialization.py). Since
 * PyTorch 1.6 a zip archive: `data.pkl` with the object, `data/KEY` with the
 * bytes of every storage. Before: three pickles that describe the file, the
 * object, the keys of its storages, then every storage with its length.
 */

/** A pickle begins with its protocol, except in protocols 0 and 1. */
export function matchPickle(head: Uint8Array): boolean {
  return head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5;
}

/** More than the object itself has: tensors are not in it. */
const MOST_PICKLE = 2 ** 28;

/** The entry of an archive that holds the object; archives of other programs have none. */
export function pickleEntry(entries: readonly ZipEntry[]): ZipEntry | undefined {
  return entries.find(({ name }) => /^[^/]*\/?data\.pkl$/.test(name));
}

/** @throws InputError when the archive is damaged, or its pickle is refused */
export async function openArchive(path: string): Promise<WeightsFile> {
  const entries = await withZip(path, (archive) => Promise.resolve(archive.entries));
  const pickle = pickleEntry(entries);
  if (pickle === undefined) throw new InputError(`archive without data.pkl: ${path}; save the network with torch.save`);
  const prefix = pickle.name.slice(0, -'data.pkl'.length);
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  if (byName.size !== entries.length) {
    throw new InputError(`archive damaged: ${path} (two entries of one name); copy the file again`);
  }
  const order = byName.get(`${prefix}byteorder`);
  const swapped = order !== undefined && order.size < 64 && Buffer.from(readEntry(path, order)).toString() === 'big';
  const { persistent } = storageReferences((key, dtype, length) => {
    const storage = new TorchStorage(key, dtype, length);
    const entry = byName.get(`${prefix}data/${key}`) ?? byName.get(`${prefix}tensors/${key}`);
    const width = elementBytes(dtype);
    if (entry === undefined || (width !== undefined && entry.size < length * width)) {
      const found = entry === undefined ? 'it is missing' : `${entry.size} bytes where ${length * width!} are needed`;
      throw new InputError(
        `tensor data: ${prefix}data/${key}, ${found} (${path}); the file is truncated or damaged, copy or save it again`,
      );
    }
    storage.fetch = (start, count) => {
      const bytes = readEntry(path, entry, start, count);
      return swapped && width !== undefined ? byteSwapped(bytes, width) : bytes;
    };
    storage.place = { file: path, entry, start: 0, length: entry.size };
    if (swapped && width !== undefined) storage.encode = (elements) => byteSwapped(elements, width);
    return storage;
  });
  if (pickle.size > MOST_PICKLE || isBomb(pickle))
    throw new InputError(`pickle too large: ${pickle.size} bytes (${path})`);
  const input = ByteCursor.of(readEntry(path, pickle), basename(path));
  const root = readPickle(input, torchTable(persistent));
  const script = byName.has(`${prefix}constants.pkl`);
  return weights(path, 'pytorch archive', script ? 'TorchScript' : 'PyTorch', root);
}

function byteSwapped(bytes: Uint8Array, width: number): Uint8Array {
  const swapped = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) swapped[i] = bytes[i - (i % width) + width - 1 - (i % width)]!;
  return swapped;
}

/** What the first pickle of a legacy file is. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;

/** @throws InputError when the file is damaged, or one of its pickles is refused */
export function openLegacy(path: string, size: number): WeightsFile {
  const place = basename(path);
  const input = new ByteCursor(size, (start, length) => readRange(path, start, length), place);
  const { storages, persistent } = storageReferences((key, dtype, length) => new TorchStorage(key, dtype, length));
  const table = torchTable(persistent);
  const first = readPickle(input, table);
  if (first !== MAGIC) {
    // A plain pickle, as Python itself writes it.
    return weights(path, 'pytorch legacy', 'pickle', first);
  }
  const protocol = readPickle(input, table);
  if (protocol !== LEGACY_PROTOCOL) throw damaged(place, `protocol ${String(protocol)}`);
  const system = readPickle(input, table);
  if (system instanceof Map && system.get('little_endian') === false) {
    throw new InputError(`big-endian file not supported: ${place}; load and save it again with a current PyTorch`);
  }
  const root = readPickle(input, table);
  const keys = readPickle(input, table);
  if (!Array.isArray(keys)) throw damaged(place, 'no list of storages');
  for (const key of keys) {
    const storage = storages.get(String(key as string));
    if (storage === undefined) throw damaged(place, `storage ${String(key as string)} belongs to no tensor`);
    const count = Number(input.view(8).getBigInt64(0, true));
    const width = elementBytes(storage.dtype);
    if (width === undefined) {
      throw new InputError(`element type not supported: ${storage.dtype} (${place}); save it with float32 weights`);
    }
    if (count < storage.length) throw damaged(place, `${count} elements where ${storage.length} are needed`);
    const start = input.position;
    input.skip(count * width);
    storage.fetch = (from, length) => readRange(path, start + from, length);
    storage.place = { file: path, start, length: count * width };
  }
  return weights(path, 'pytorch legacy', 'PyTorch (legacy)', root);
}

function weights(path: string, container: Container, format: string, root: PickleValue): WeightsFile {
  const tensors: ReadonlyMap<string, StoredTensor> = collectTensors(root, basename(path));
  if (tensors.size === 0) {
    throw new InputError(`no tensors: ${path}; choose a file with the weights of a network`);
  }
  return { kind: 'weights', container, format, path, producer: '', tensors };
}

function damaged(place: string, detail: string): InputError {
  return new InputError(`PyTorch file damaged: ${detail} (${place}); copy the file again or save it anew`);
}
