import type { PrunableLayer } from '../../graph/model';
import { isElementType, isFloat } from '../elements';
import { orderedNodes, producersOf } from './order';
import type { OnnxFile, OnnxNode } from './reader';
import type { StoredTensor } from './tensor';

/**
 * Which tensors pruning may zero: the weights of convolutions and matrix
 * products, and neither biases nor normalisation parameters. Found from the
 * nodes alone, without shapes.
 */

export interface StoredLayer extends PrunableLayer {
  readonly tensor: StoredTensor;
}

/** Inputs of an operator that can be weights. */
const weightInputs: { readonly [Op in PrunableLayer['op']]: readonly number[] } = {
  Conv: [1],
  ConvTranspose: [1],
  Gemm: [0, 1],
  MatMul: [0, 1],
};

/** Operators that hand a weight on without computing. */
const passing = new Set(['Identity', 'Transpose', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Cast', 'CastLike']);

function isWeighted(op: string): op is PrunableLayer['op'] {
  return Object.hasOwn(weightInputs, op);
}

/** Finds things by their names. */
interface Lookup<T> {
  get(name: string): T | undefined;
}

/**
 * Prunable layers in order of first use, those in branches behind the others, whichever
 * branch is taken; a tensor that is used twice counts once.
 * @throws InputError where `orderedNodes` does
 */
export function storedLayers(file: OnnxFile): StoredLayer[] {
  const producers = producersOf(file);
  return withBranches(orderedNodes(file, producers, true), file, producers);
}

function withBranches(
  nodes: readonly OnnxNode[],
  file: { readonly tensors: Lookup<StoredTensor> },
  producers: Lookup<OnnxNode>,
): StoredLayer[] {
  const layers = new Map(layersOf(nodes, file, producers).map((layer) => [layer.name, layer]));
  for (const attribute of nodes.flatMap(({ attributes }) => [...attributes.values()])) {
    if (attribute.kind !== 'graph') continue;
    const { nodes: inner, tensors } = attribute.value;
    const made = new Map(inner.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
    // What lies around a branch is seen from within it.
    const around = { tensors: { get: (name: string) => tensors.get(name) ?? file.tensors.get(name) } };
    const from = { get: (name: string) => made.get(name) ?? producers.get(name) };
    for (const layer of withBranches(inner, around, from)) {
      if (!layers.has(layer.name)) layers.set(layer.name, layer);
    }
  }
  return [...layers.values()];
}

/** Those of nodes that are ordered already, without their branches. */
export function layersOf(
  nodes: readonly OnnxNode[],
  file: { readonly tensors: Lookup<StoredTensor> },
  producers: Lookup<OnnxNode>,
): StoredLayer[] {
  const layers = new Map<string, StoredLayer>();
  for (const { op, inputs } of nodes) {
    if (!isWeighted(op)) continue;
    for (const index of weightInputs[op]) {
      const found = weightBehind(inputs[index] ?? '', file, producers);
      if (found === null || layers.has(found.name)) continue;
      layers.set(found.name, { name: found.name, op, shape: found.tensor.shape, tensor: found.tensor });
    }
  }
  return [...layers.values()];
}

function weightBehind(
  start: string,
  file: { readonly tensors: Lookup<StoredTensor> },
  producers: Lookup<OnnxNode>,
): { name: string; tensor: StoredTensor } | null {
  const passed = new Set<OnnxNode>();
  for (let name = start; ;) {
    const stored = file.tensors.get(name);
    const node = producers.get(name);
    const tensor = stored ?? (node === undefined ? undefined : constantTensor(node));
    if (tensor !== undefined) return isElementType(tensor.dtype) && isFloat(tensor.dtype) ? { name, tensor } : null;
    // A damaged graph may go round in circles.
    if (node === undefined || !passing.has(node.op) || passed.has(node)) return null;
    passed.add(node);
    name = node.inputs[0] ?? '';
  }
}

/** Some exporters write weights as Constant nodes. */
function constantTensor(node: OnnxNode): StoredTensor | undefined {
  const value = node.op === 'Constant' ? node.attributes.get('value') : undefined;
  return value?.kind === 'tensor' ? value.value : undefined;
}
