import type { PrunableLayer } from '../../graph/model';
import { isElementType, isFloat } from '../elements';
import { orderedNodes, producersOf, type Producers } from './order';
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

/**
 * Prunable layers in order of first use; a tensor that is used twice counts once.
 * @throws InputError where `orderedNodes` does
 */
export function storedLayers(file: OnnxFile): StoredLayer[] {
  const producers = producersOf(file);
  return layersOf(orderedNodes(file, producers), file, producers);
}

/** The same for nodes that are ordered already. */
export function layersOf(nodes: readonly OnnxNode[], file: OnnxFile, producers: Producers): StoredLayer[] {
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
  file: OnnxFile,
  producers: Producers,
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
