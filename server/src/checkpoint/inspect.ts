import { setImmediate } from 'node:timers/promises';
import type { CheckpointSummary, LayerSummary } from '../../../protocol/analysis';
import { InputError } from '../errors';
import { elementCount } from '../graph/shapes';
import { layersOf, storedLayers, type StoredLayer } from './onnx/layers';
import type { OnnxFile, OnnxNode, ValueInfo } from './onnx/reader';
import { ruleOf } from './onnx/rules/table';
import { openCheckpoint } from './open';

/**
 * What a checkpoint holds, from its header and weights alone. Whatever can be
 * listed is: unsupported operators, symbolic shapes and damaged connections
 * are no errors here. The event loop gets its turn between tensors.
 *
 * @param path absolute, as it is to be shown
 * @throws InputError when the file cannot be read, or a layer's weights cannot
 */
export async function inspectCheckpoint(path: string): Promise<CheckpointSummary> {
  const file = await openCheckpoint(path);
  const layers: LayerSummary[] = [];
  for (const layer of listedLayers(file)) {
    layers.push(summarize(layer));
    await setImmediate();
  }
  const tensors = [...file.tensors.values()].map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  for (const { name, dtype, shape } of layers) {
    // Weights that an exporter wrote as Constant nodes.
    if (!file.tensors.has(name)) tensors.push({ name, dtype, shape });
  }
  const floats = tensors.filter(({ dtype }) => dtype.includes('float'));
  return {
    checkpoint: path,
    format: file.format,
    producer: file.producer,
    opset: file.opset,
    inputs: file.inputs.map(described),
    outputs: file.outputs.map(described),
    parameters: {
      total: floats.reduce((sum, { shape }) => sum + elementCount(shape), 0),
      prunable: layers.reduce((sum, { weights }) => sum + weights, 0),
    },
    layers,
    tensors,
    operators: operatorCounts(file.nodes),
    unsupported: unsupportedOperators(file),
  };
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

function summarize({ name, op, shape, tensor }: StoredLayer): LayerSummary {
  let zeros = 0;
  let nonFinite = 0;
  for (const value of tensor.read().values) {
    if (value === 0) zeros++;
    else if (!Number.isFinite(value)) nonFinite++;
  }
  return { name, op, shape, dtype: tensor.dtype, weights: elementCount(shape), zeros, nonFinite };
}

function operatorCounts(nodes: readonly OnnxNode[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { op } of nodes) counts.set(op, (counts.get(op) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function unsupportedOperators({ nodes, functions }: OnnxFile): { op: string; node: string }[] {
  const first = new Map<string, string>();
  for (const { op, name, index } of nodes) {
    if (first.has(op) || (ruleOf(op) !== undefined && !functions.has(op))) continue;
    first.set(op, name === '' ? `node ${index}` : name);
  }
  return [...first].map(([op, node]) => ({ op, node }));
}
