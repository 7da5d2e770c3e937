import fs from 'node:fs';
import { resolve } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type * as h5 from 'h5wasm/node';
import type { Dataset, File, Group } from 'h5wasm/node';
import {
  PROGRESS,
  REPLIES,
  type Extent,
  type Hdf5Reply,
  type Hdf5Request,
  type Listing,
  type WorkerData,
} from './hdf5-messages';

/**
 * The thread that the HDF5 library runs in: a hostile file can keep the library
 * busy for ever, and what it leaves behind goes with the thread.
 */

type H5Module = Awaited<typeof h5.ready>;

const MOST_OBJECTS = 100_000;
const DEEPEST = 64;
const PAGE = 1 << 16;
/** What the library starts with. */
const FIRST_MEMORY = 16 << 20;

/** What the types of Node leave out. */
interface GrowingMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}
interface Compiler {
  compile(source: Uint8Array): Promise<WebAssembly.Module>;
  instantiate(module: WebAssembly.Module, imports: object): Promise<object>;
}

const { library, state, port, compiled } = workerData as WorkerData;

// What one thread has compiled, function by function as they are called, the next one uses.
const compiler = WebAssembly as unknown as Compiler;
const { instantiate } = compiler;
Object.assign(WebAssembly, {
  instantiate: async (source: Uint8Array, imports: object) => {
    const module = compiled ?? (await compiler.compile(source));
    if (compiled === null) parentPort!.postMessage(module);
    return { module, instance: await instantiate(module, imports) };
  },
});

/** Bytes of WebAssembly's memory that may be in use: a damaged file asks for any number. */
let most = Infinity;
const memories = WebAssembly.Memory.prototype as unknown as GrowingMemory;
const { grow } = memories;
memories.grow = function (pages) {
  if (this.buffer.byteLength + pages * PAGE > most) throw new RangeError('memory used up');
  return grow.call(this, pages);
};

/** The part of a file that is read, and another file that it led to: by an external link, external or virtual data. */
let opened: Extent = { path: '', start: 0, size: null };
let descriptor: number | null = null;
let led: string | null = null;
/** Where the library looks for filters that it does not have. */
const PLUGINS = /\/lib\/plugin$/;

/** How many files were opened: what the library is told is the number of each. */
let files = 0;

/** From then on files are the library's; before, Node loads it, since version 24 through these functions too. */
let loaded = false;

const NEW = fs.constants.O_CREAT | fs.constants.O_EXCL;
const { openSync, fstatSync, readSync } = fs;
fs.openSync = (path, flags, mode) => {
  if (!loaded) return openSync(path, flags, mode);
  // The library writes what failed into a new file before it throws that.
  const isNew = typeof flags === 'number' && (flags & NEW) === NEW && /^\/tmp\/tmpfile_\w+$/.test(String(path));
  if (isNew) {
    const other = openSync(path, flags, mode);
    // The number of a file that the library has closed.
    if (other === descriptor) descriptor = null;
    return other;
  }
  if (resolve(String(path)) === resolve(opened.path)) {
    files++;
    return (descriptor = openSync(path, flags, mode));
  }
  if (!PLUGINS.test(String(path))) led = String(path);
  throw Object.assign(new Error(`not opened: ${String(path)}`), { code: 'EACCES' });
};
// Files of the library, which knows these forms alone.
fs.fstatSync = ((file: number) => {
  const stat = fstatSync(file);
  if (file !== descriptor) return stat;
  // A failure leaves a file open inside, and the library answers from that one where the number is the same.
  stat.ino = files;
  if (opened.size !== null) stat.size = opened.size;
  return stat;
}) as typeof fs.fstatSync;
fs.readSync = ((file: number, buffer: Uint8Array, offset: number, length: number, position: number) => {
  if (file !== descriptor || opened.size === null) return readSync(file, buffer, offset, length, position);
  const there = Math.max(0, Math.min(length, opened.size - position));
  return readSync(file, buffer, offset, there, opened.start + position);
}) as typeof fs.readSync;

// What the library says it throws too.
console.error = console.warn = () => undefined;

const ready = import(library).then(async (h5wasm: typeof h5) => {
  const module = await h5wasm.ready;
  // A failure is thrown, and nothing is printed.
  module.activate_throwing_error_handler();
  loaded = true;
  Atomics.add(state, PROGRESS, 1);
  return h5wasm;
});

port.on('message', (request: Hdf5Request) => void answer(request));

async function answer({ id, extent, memory, dataset, content }: Hdf5Request): Promise<void> {
  let reply: Hdf5Reply;
  try {
    const h5wasm = await ready;
    most = FIRST_MEMORY + memory;
    opened = extent;
    led = null;
    const file = new h5wasm.File(extent.path, content === undefined ? 'r' : 'a');
    try {
      if (content !== undefined) reply = write(await h5wasm.ready, file, dataset!, content, id);
      else if (dataset === undefined) reply = { id, listing: list(h5wasm, file) };
      else reply = { id, bytes: bytesOf(file.get(dataset) as Dataset) };
    } finally {
      file.close();
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : 'the HDF5 library failed';
    // What the library itself reports leaves it usable; a trap of the machine it runs in does not.
    reply = { id, failure: cause(message), fatal: !/HDF5|^too many objects/.test(message) };
  }
  if (led !== null) {
    reply = { id, failure: `it leads to another file, ${JSON.stringify(led)}`, fatal: reply.fatal ?? false };
  }
  port.postMessage(reply, reply.bytes === undefined ? [] : [reply.bytes.buffer as ArrayBuffer]);
  Atomics.add(state, REPLIES, 1);
  Atomics.notify(state, REPLIES);
}

/**
 * The library lists the functions that gave up, from the outside in. The innermost
 * knows what is wrong, but for those that looked for a plugin.
 */
function cause(message: string): string {
  const calls = [...message.matchAll(/^ *#\d+: .* in (?!H5PL)\w+\(\): (.*)$/gm)];
  // It may quote what is in the file.
  return (calls.at(-1)?.[1] ?? message.split('\n', 1)[0]!).replace(/\p{Cc}/gu, '?').slice(0, 200);
}

function write(module: H5Module, file: File, dataset: string, content: Uint8Array, id: number): Hdf5Reply {
  const pointer = module._malloc(content.length);
  try {
    module.HEAPU8.set(content, Number(pointer));
    module.set_dataset_data(file.file_id, dataset, null, null, null, BigInt(pointer));
  } finally {
    module._free(pointer);
  }
  return { id };
}

function list(h5wasm: typeof h5, file: File): Listing {
  const datasets: Listing['datasets'][number][] = [];
  const names: [string, string[]][] = [];
  let objects = 0;
  const visit = (group: Group, prefix: string, depth: number): void => {
    for (const key of group.keys()) {
      if (++objects > MOST_OBJECTS || depth > DEEPEST) throw new Error('too many objects in each other');
      Atomics.add(state, PROGRESS, 1);
      const at = prefix === '' ? key : `${prefix}/${key}`;
      // A link that leads nowhere, or to another file, is none of the file's objects.
      const item = group.get(key);
      if (item instanceof h5wasm.Group) {
        const listed = textList(item, 'weight_names') ?? textList(item, 'layer_names');
        if (listed !== null) names.push([at, listed]);
        visit(item, at, depth + 1);
      } else if (item instanceof h5wasm.Dataset) {
        const { dtype, metadata } = item;
        // Texts and compounds are no tensors.
        if (typeof dtype !== 'string') continue;
        datasets.push({
          path: at,
          format: dtype,
          shape: item.shape ?? [],
          width: metadata.size,
          chunked: metadata.chunks !== null,
        });
      }
    }
  };
  visit(file, '', 0);
  const attributes: [string, string][] = [];
  for (const key of Object.keys(file.attrs)) {
    const value = file.attrs[key]!.value;
    if (typeof value === 'string') attributes.push([key, value]);
    else if (value instanceof Uint8Array) attributes.push([key, Buffer.from(value).toString()]);
  }
  return { datasets, attributes, names };
}

function textList(group: Group, name: string): string[] | null {
  const value = group.attrs[name]?.value;
  return Array.isArray(value) && value.every((item) => typeof item === 'string') ? (value as string[]) : null;
}

function bytesOf({ value }: Dataset): Uint8Array {
  const view = typedValue(value);
  return new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer);
}

function typedValue(value: unknown): ArrayBufferView {
  if (ArrayBuffer.isView(value)) return value;
  if (typeof value === 'number') return Float32Array.of(value);
  if (typeof value === 'bigint') return BigInt64Array.of(value);
  throw new Error('a dataset has no numbers');
}
