import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { CheckpointSummary, LayerSummary, TensorSummary } from '../../../protocol/analysis';
import { InputError } from '../errors';
import { elementCount } from '../graph/shapes';
import type { Checkpoint, NetworkFile } from './checkpoint';
import type { ElementArray } from './elements';
import { identify } from './identify';
import { modelWeights } from './model-weights';
import { layersOf, storedLayers, type StoredLayer } from './onnx/layers';
import { FORMAT, type OnnxFile, type OnnxNode, type ValueInfo } from './onnx/reader';
import { ruleOf } from './onnx/rules/table';
import { openCheckpoint } from './open';
import { elementBytes, valuesInPlace, type StoredTensor } from './stored-tensor';

/** Weights of more bytes than this are not read to count their zeros. */
const MOST_READ = 2 ** 30;

/**
 * What a checkpoint holds, from its header and weights alone. Whatever can be
 * listed is: unsupported operators, symbolic shapes and damaged connections
 * are no errors here. The event loop gets its turn between tensors.
 *
 * @param path absolute, as it is to be shown
 * @param hash whether every tensor is read for its SHA-256
 * @throws InputError when the file cannot be read, or a layer's weights cannot
 */
export async function inspectCheckpoint(path: string, hash = false): Promise<CheckpointSummary> {
  return summarizeCheckpoint(await openCheckpoint(path), hash);
}

/** The same for a checkpoint that is open; it is shown under the path it was opened with. */
export async function summarizeCheckpoint(file: Checkpoint, hash = false): Promise<CheckpointSummary> {
  const { network, architecture, weights } = structureOf(file);
  const stored = network === null ? [] : listedLayers(network);
  const bytes = stored.reduce((sum, { shape, tensor }) => sum + elementCount(shape) * elementBytes(tensor.dtype)!, 0);
  const layers: LayerSummary[] = [];
  for (const layer of stored) {
    layers.push(summarize(layer, bytes <= MOST_READ));
    await setImmediate();
  }
  const tensors: TensorSummary[] = [];
  for (const tensor of file.tensors.values()) {
    tensors.push(describedTensor(tensor, hash));
    if (hash) await setImmediate();
  }
  const known = network === null ? weights : network.tensors;
  for (const { name, tensor } of stored) {
    // Weights that an exporter wrote as Constant nodes.
    if (!known.has(name)) tensors.push({ ...describedTensor(tensor, hash), name });
  }
  const counted = [...weights.values(), ...stored.filter(({ name }) => !known.has(name)).map(({ tensor }) => tensor)];
  const floats = counted.filter(({ dtype }) => dtype.includes('float'));
  return {
    checkpoint: file.path,
    format: file.format,
    producer: file.producer,
    opset: file.kind === 'network' && file.format === FORMAT ? file.opset : null,
    inputs: network?.inputs.map(described) ?? [],
    outputs: network?.outputs.map(described) ?? [],
    parameters: {
      total: floats.reduce((sum, { shape }) => sum + elementCount(shape), 0),
      prunable: layers.reduce((sum, layer) => sum + layer.weights, 0),
    },
    architecture,
    layers,
    tensors,
    operators: operatorCounts(network?.nodes ?? []),
    unsupported: network === null ? [] : unsupportedOperators(network),
  };
}

interface Structure {
  /** Null where it is not known. */
  readonly network: NetworkFile | null;
  readonly architecture: CheckpointSummary['architecture'];
  /** The network's own tensors. */
  readonly weights: ReadonlyMap<string, StoredTensor>;
}

/** The graph of a file, or the first that fits weights alone. */
function structureOf(file: Checkpoint): Structure {
  if (file.kind === 'network') return { network: file, architecture: null, weights: file.tensors };
  const { found, advice } = identify(file);
  const names = found.map(({ name }) => name);
  const reason =
    found.length < 2
      ? (found[0]?.reason ?? advice)
      : `several architectures fit: ${names.join(', ')}; the data or --architecture NAME decide`;
  return { network: found[0]?.network ?? null, architecture: { names, reason }, weights: modelWeights(file) };
}

function describedTensor(tensor: StoredTensor, hash: boolean): TensorSummary {
  const { name, dtype, shape } = tensor;
  // Texts have no bytes in an order that all programs agree on.
  if (!hash || dtype === 'string') return { name, dtype, shape };
  return { name, dtype, shape, sha256: createHash('sha256').update(tensor.bytes()).digest('hex') };
}

function described({ name, shape }: ValueInfo): { name: string; shape: readonly (number | string)[] } {
  return { name, shape: shape ?? ['?'] };
}

/** Layers that the outputs need; where the graph is damaged, those of all nodes in file order. */
function listedLayers(file: OnnxFile): StoredLayer[] {
  try {
    return storedLayers(file);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const producers = new Map(file.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
    return layersOf(file.nodes, file, producers);
  }
}

function summarize({ name, op, shape, tensor }: StoredLayer, read: boolean): LayerSummary {
  const layer = { name, op, shape, dtype: tensor.dtype, weights: elementCount(shape) };
  if (!read) return { ...layer, zeros: null, nonFinite: null, constant: null };
  return { ...layer, ...statistics(valuesInPlace(tensor)) };
}

/** A hundred megabytes are awaited, so these are plain loops: an iterator takes four times as long. */
function statistics(values: ElementArray): Pick<LayerSummary, 'zeros' | 'nonFinite' | 'constant'> {
  const first = values[0];
  let same = 1;
  while (same < values.length && values[same] === first) same++;
  const constant = values.length > 1 && same === values.length;
  return { ...(values instanceof Float32Array ? countBits(values) : countValues(values)), constant };
}

function countValues(values: ElementArray): Pick<LayerSummary, 'zeros' | 'nonFinite'> {
  let zeros = 0;
  let nonFinite = 0;
  for (let i = 0; i < values.length; i++) {
    if (values[i] === 0) zeros++;
    else if (!Number.isFinite(values[i])) nonFinite++;
  }
  return { zeros, nonFinite };
}

/** The same from the bits of float32, without a conversion to double each. */
function countBits({ buffer, byteOffset, length }: Float32Array): Pick<LayerSummary, 'zeros' | 'nonFinite'> {
  const bits = new Int32Array(buffer, byteOffset, length);
  let zeros = 0;
  let nonFinite = 0;
  for (let i = 0; i < length; i++) {
    const magnitude = bits[i]! & 0x7fff_ffff;
    if (magnitude === 0) zeros++;
    else if (magnitude >= INFINITE) nonFinite++;
  }
  return { zeros, nonFinite };
}

/** Bits of the infinite float32; those of NaN are above. */
const INFINITE = 0x7f80_0000;

function operatorCounts(nodes: readonly OnnxNode[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { op } of nodes) counts.set(op, (counts.get(op) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function unsupportedOperators({ nodes }: OnnxFile): { op: string; node: string }[] {
  const first = new Map<string, string>();
  for (const { op, name, index } of nodes) {
    if (first.has(op) || ruleOf(op) !== undefined) continue;
    first.set(op, name === '' ? `node ${index}` : name);
  }
  return [...first].map(([op, node]) => ({ op, node }));
}
