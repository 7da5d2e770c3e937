import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type * as h5 from 'h5wasm/node';
import type { Dataset, File, Group } from 'h5wasm/node';
import { InputError } from '../../errors';
import { DEFLATE_RATIO } from '../../files/source';
import type { Shape } from '../../graph/ir';
import { elementCount } from '../../graph/shapes';
import { rawTensor, type StoredTensor } from '../stored-tensor';

/**
 * HDF5 files through h5wasm, the HDF5 library compiled to WebAssembly: it reads
 * hostile files in memory of its own. What is kept is names, shapes and
 * attributes; a tensor opens the file again for its values.
 */
export interface Hdf5 {
  /** Datasets of numbers by their path, without a slash in front. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Text attributes of the root: a single text, or a list. */
  readonly attributes: ReadonlyMap<string, string>;
  /** `weight_names` and `layer_names` of groups, by path. */
  readonly names: ReadonlyMap<string, readonly string[]>;
}

const MOST_OBJECTS = 100_000;
const DEEPEST = 64;

/** Loaded when the first HDF5 file is opened: it is four megabytes. */
async function library(): Promise<typeof h5> {
  const h5wasm = await import('h5wasm/node');
  const module = await h5wasm.ready;
  // A failure is thrown, and nothing is printed.
  module.activate_throwing_error_handler();
  return h5wasm;
}

/** @throws InputError when the file is damaged, or claims more than it has */
export async function readHdf5(path: string): Promise<Hdf5> {
  const h5wasm = await library();
  const size = (await stat(path)).size;
  const within = <T>(use: (file: File) => T): T => guarded(path, () => withFile(h5wasm, path, use));
  return within((file) => {
    const tensors = new Map<string, StoredTensor>();
    const names = new Map<string, readonly string[]>();
    let objects = 0;
    const visit = (group: Group, prefix: string, depth: number): void => {
      for (const key of group.keys()) {
        if (++objects > MOST_OBJECTS || depth > DEEPEST) throw damaged(path, 'too many objects in each other');
        const at = prefix === '' ? key : `${prefix}/${key}`;
        // A link that leads nowhere, or to another file, is none of the file's objects.
        const item = group.get(key);
        if (item instanceof h5wasm.Group) {
          const listed = textList(item, 'weight_names') ?? textList(item, 'layer_names');
          if (listed !== null) names.set(at, listed);
          visit(item, at, depth + 1);
        } else if (item instanceof h5wasm.Dataset) {
          const tensor = datasetTensor(item, at, path, size, within);
          if (tensor !== null) tensors.set(at, tensor);
        }
      }
    };
    visit(file, '', 0);
    const attributes = new Map<string, string>();
    for (const key of Object.keys(file.attrs)) {
      const value = file.attrs[key]!.value;
      if (typeof value === 'string') attributes.set(key, value);
      else if (value instanceof Uint8Array) attributes.set(key, Buffer.from(value).toString());
    }
    return { tensors, attributes, names };
  });
}

function withFile<T>(h5wasm: typeof h5, path: string, use: (file: File) => T): T {
  const file = new h5wasm.File(path, 'r');
  try {
    return use(file);
  } finally {
    file.close();
  }
}

/**
 * Puts other elements into datasets of a file, as they are to be in it. Those
 * that lie in one piece are written there; those in compressed chunks are
 * compressed again, and the library finds room for them.
 *
 * @param shown path of the file in messages
 * @param contents by path of the dataset
 */
export async function writeHdf5(
  path: string,
  shown: string,
  contents: ReadonlyMap<string, () => Uint8Array>,
): Promise<void> {
  const h5wasm = await library();
  const module = await h5wasm.ready;
  try {
    const file = new h5wasm.File(path, 'a');
    try {
      for (const [dataset, content] of contents) {
        const bytes = content();
        const pointer = module._malloc(bytes.length);
        try {
          module.HEAPU8.set(bytes, Number(pointer));
          module.set_dataset_data(file.file_id, dataset, null, null, null, BigInt(pointer));
        } finally {
          module._free(pointer);
        }
      }
    } finally {
      file.close();
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    const detail = error instanceof Error ? error.message.split('\n', 1)[0]! : 'the HDF5 library failed';
    throw new InputError(`file not written: ${shown} (${detail}); choose another place`);
  }
}

/** The library's own failures are those of the file. */
function guarded<T>(path: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw damaged(path, error instanceof Error ? error.message.split('\n', 1)[0]! : 'the HDF5 library failed');
  }
}

function damaged(path: string, detail: string): InputError {
  return new InputError(`HDF5 file damaged: ${path} (${detail}); copy it again or save the model anew`);
}

function textList(group: Group, name: string): readonly string[] | null {
  const value = group.attrs[name]?.value;
  return Array.isArray(value) && value.every((item) => typeof item === 'string') ? (value as string[]) : null;
}

/** Formats of h5wasm, those of Python's struct module, as element types. */
const types: Readonly<Record<string, string>> = {
  '<e': 'float16',
  '<f': 'float32',
  '<d': 'float64',
  '<b': 'int8',
  '<h': 'int16',
  '<i': 'int32',
  '<q': 'int64',
  '<B': 'uint8',
  '<H': 'uint16',
  '<I': 'uint32',
  '<Q': 'uint64',
};

function datasetTensor(
  dataset: Dataset,
  name: string,
  path: string,
  size: number,
  within: <T>(use: (file: File) => T) => T,
): StoredTensor | null {
  const { dtype, metadata } = dataset;
  const type = typeof dtype === 'string' ? types[dtype] : undefined;
  const shape = (dataset.shape ?? []) as Shape;
  // Texts and compounds are no tensors.
  if (type === undefined) return null;
  const bytes = elementCount(shape) * metadata.size;
  const most = metadata.chunks === null ? size : size * DEFLATE_RATIO;
  if (!(bytes <= most)) throw damaged(path, `${name} claims ${bytes} bytes in a file of ${size}`);
  const where = `tensor ${JSON.stringify(name)}, ${basename(path)}`;
  const read = (): Uint8Array =>
    within((file) => {
      const found = file.get(name) as Dataset;
      const { buffer, byteOffset, byteLength } = typedValue(found.value);
      return new Uint8Array(buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer);
    });
  return rawTensor(name, type, shape, where, read, { kind: 'dataset', path: name });
}

function typedValue(value: unknown): ArrayBufferView {
  if (ArrayBuffer.isView(value)) return value;
  if (typeof value === 'number') return Float32Array.of(value);
  if (typeof value === 'bigint') return BigInt64Array.of(value);
  throw new Error('a dataset has no numbers');
}

/**
 * The same for a file that is an entry of an archive. The library reads files
 * alone, so the bytes are written to one for as long as that takes, and the
 * tensors are held in memory.
 */
export async function readHdf5Bytes(bytes: Uint8Array): Promise<Hdf5> {
  return withTemporary(bytes, async (path) => {
    const { tensors, attributes, names } = await readHdf5(path);
    const held = [...tensors].map(([name, tensor]) => {
      const content = tensor.bytes();
      const where = `tensor ${JSON.stringify(name)}`;
      return [name, rawTensor(name, tensor.dtype, tensor.shape, where, () => content, tensor.place)] as const;
    });
    return { tensors: new Map(held), attributes, names };
  });
}

/**
 * Puts bytes into a file for as long as it is used.
 * @throws InputError when there is no room for it
 */
export async function withTemporary<T>(bytes: Uint8Array, use: (path: string) => Promise<T>): Promise<T> {
  let folder: string | undefined;
  try {
    folder = await mkdtemp(join(tmpdir(), 'pruning-limit-'));
    const path = join(folder, 'model.weights.h5');
    await writeFile(path, bytes).catch((error: NodeJS.ErrnoException) => {
      throw new InputError(
        `file not written: ${path} (${error.code ?? error.message}); make room there, or set TMPDIR to choose another place`,
      );
    });
    return await use(path);
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}
