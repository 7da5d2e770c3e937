import { InputError } from '../../errors';
import { readEntry, readRange } from '../../files/ranges';
import { isBomb, LOCAL_HEADER, localDataStart, withZip, type ZipEntry } from '../../files/zip';
import type { Checkpoint } from '../checkpoint';
import type { StoredTensor } from '../stored-tensor';
import { isObject, parseModel, type Json, type KerasModel } from './config';
import { readHdf5, readHdf5Bytes, type Hdf5 } from './hdf5';
import type { LayerWeights } from './layer';
import { kerasNetwork } from './network';

/**
 * Models that Keras saved: `.h5` (model_config as an attribute, the weights of
 * a layer under its name) and `.keras` (a zip archive with config.json and
 * model.weights.h5, whose groups are numbered per class).
 */

/** @throws InputError when the file is damaged, or a layer is not supported */
export async function openH5(path: string): Promise<Checkpoint> {
  const file = await readHdf5(path);
  const config = file.attributes.get('model_config');
  const producer = producerOf(file.attributes.get('keras_version'), file.attributes.get('backend'));
  if (config === undefined) {
    if (file.tensors.size === 0) throw new InputError(`no tensors: ${path}; choose a file with a model or its weights`);
    return { kind: 'weights', container: 'hdf5', format: 'HDF5', path, producer, tensors: file.tensors };
  }
  const model = parseModel(parseJson(config, path), path);
  const prefix = file.names.has('model_weights') ? 'model_weights/' : '';
  const weightsOf = (layer: string): LayerWeights => {
    const group = `${prefix}${layer}`;
    const names = file.names.get(group) ?? [];
    return names.flatMap((name) => {
      const tensor = file.tensors.get(`${group}/${name}`);
      return tensor === undefined ? [] : [{ part: partOf(name), tensor }];
    });
  };
  const tensors = weightTensors(model, weightsOf);
  return kerasNetwork(model, { container: 'hdf5', format: 'Keras (HDF5)', path, producer, tensors, weightsOf });
}

/** The tensors that layers use; an optimiser's state is left out. */
function weightTensors(model: KerasModel, weightsOf: (layer: string) => LayerWeights): Map<string, StoredTensor> {
  const all = model.layers.flatMap(({ name }) => weightsOf(name).map(({ tensor }) => [tensor.name, tensor] as const));
  return new Map(all);
}

/** `conv2d/kernel:0` is the `kernel`. */
function partOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1).replace(/:\d+$/, '');
}

function producerOf(version: string | undefined, backend: string | undefined): string {
  return [version === undefined ? '' : `Keras ${version}`, backend ?? ''].filter((text) => text !== '').join(', ');
}

const WEIGHTS = 'model.weights.h5';
const LARGEST_CONFIG = 64 << 20;
const LARGEST_WEIGHTS = 2 ** 31;

export function isKerasArchive(entries: readonly ZipEntry[]): boolean {
  return entries.some(({ name }) => name === 'config.json') && entries.some(({ name }) => name === WEIGHTS);
}

/** @throws InputError when the archive is damaged, or a layer is not supported */
export async function openArchive(path: string): Promise<Checkpoint> {
  const entries = await withZip(path, (archive) => Promise.resolve(archive.entries));
  const entry = (name: string, largest: number): Uint8Array | null => {
    const found = entries.find((candidate) => candidate.name === name);
    if (found === undefined) return null;
    if (found.size > largest || isBomb(found))
      throw new InputError(`archive entry too large: ${name}, ${found.size} bytes (${path})`);
    return readEntry(path, found);
  };
  const text = (name: string): string => {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(entry(name, LARGEST_CONFIG) ?? new Uint8Array());
    } catch (error) {
      if (error instanceof InputError) throw error;
      throw new InputError(`Keras config is not UTF-8: ${name} in ${path}; save the model again`);
    }
  };
  const model = parseModel(parseJson(text('config.json'), path), path);
  const metadata = entries.some(({ name }) => name === 'metadata.json') ? parseJson(text('metadata.json'), path) : null;
  const version = isObject(metadata) && typeof metadata.keras_version === 'string' ? metadata.keras_version : undefined;
  const file = await weightsOfArchive(
    path,
    entries.find(({ name }) => name === WEIGHTS)!,
    () => entry(WEIGHTS, LARGEST_WEIGHTS)!,
  );
  const groups = numberedGroups(model, file);
  const weightsOf = (layer: string): LayerWeights => groups.get(layer) ?? [];
  const tensors = weightTensors(model, weightsOf);
  return kerasNetwork(model, {
    container: 'keras archive',
    format: 'Keras',
    path,
    producer: producerOf(version, undefined),
    tensors,
    weightsOf,
  });
}

/** Keras stores the weights as they are, so that they are read where they lie; others may have compressed them. */
async function weightsOfArchive(path: string, entry: ZipEntry, unpack: () => Uint8Array): Promise<Hdf5> {
  if (entry.method === 'deflate') return readHdf5Bytes(unpack());
  const start = localDataStart(readRange(path, entry.header, LOCAL_HEADER), entry, path);
  return readHdf5(path, { start, size: entry.size });
}

/**
 * Keras 3 numbers layers per class in the order of the model: the second
 * Conv2D is `layers/conv2d_1`, whatever its name (keras/src/saving/saving_lib.py).
 */
function numberedGroups({ layers }: KerasModel, { tensors }: Hdf5): Map<string, LayerWeights> {
  const counts = new Map<string, number>();
  const groups = new Map<string, LayerWeights>();
  const roots = ['layers', '_layer_checkpoint_dependencies'];
  const root = roots.find((name) => [...tensors.keys()].some((key) => key.startsWith(`${name}/`))) ?? roots[0]!;
  for (const { kind, name } of layers) {
    const snake = snakeCase(kind);
    const count = counts.get(snake) ?? 0;
    counts.set(snake, count + 1);
    const group = `${root}/${count === 0 ? snake : `${snake}_${count}`}/vars`;
    const weights: { part: string; tensor: StoredTensor }[] = [];
    for (let i = 0; ; i++) {
      const tensor = tensors.get(`${group}/${i}`);
      if (tensor === undefined) break;
      weights.push({ part: String(i), tensor });
    }
    groups.set(name, weights);
  }
  return groups;
}

/** Keras's own conversion (keras/src/utils/naming.py). */
function snakeCase(name: string): string {
  return name
    .replace(/\W+/g, '')
    .replace(/(.)([A-Z][a-z]+)/g, '$1_$2')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase();
}

function parseJson(text: string, path: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw new InputError(`Keras config is not JSON: ${path}; save the model again`);
  }
}
