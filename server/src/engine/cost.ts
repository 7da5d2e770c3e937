import type { AnyNode, Graph } from '../graph/ir';
import { elementCount } from '../graph/shapes';
import { graphNodes } from '../graph/traversal';

/** Floating-point operations of the products of a graph (two per multiply-add); element-wise work is not counted. */
export function productFlops(graph: Graph): number {
  let total = 0;
  for (const { op, inputs, shape, attributes } of graphNodes(graph)) {
    const [first, second] = inputs;
    if (op === 'matmul') {
      const inner = attributes.transposeA ? first!.shape.at(-2)! : first!.shape.at(-1)!;
      total += 2 * elementCount(shape) * inner;
    } else if (op === 'conv') {
      total += 2 * elementCount(shape) * elementCount(second!.shape.slice(1));
    } else if (op === 'convInputGrad') {
      total += 2 * elementCount(first!.shape) * elementCount(second!.shape.slice(1));
    } else if (op === 'convWeightGrad') {
      total += 2 * elementCount(second!.shape) * elementCount(shape.slice(1));
    }
  }
  return total;
}

/** Bytes of a float32. */
const FLOAT = 4;

/**
 * Bytes that all values take which are alive at once when the graph is run in
 * its order, at most. A reshape shares its input's memory. What a runtime needs
 * for itself, and what a formulation of an op needs within it, comes on top.
 */
export function peakBytes(graph: Graph): number {
  const nodes = graphNodes(graph);
  const owner = new Map<AnyNode, AnyNode>();
  const uses = new Map<AnyNode, number>();
  for (const node of nodes) {
    owner.set(node, node.op === 'reshape' ? owner.get(node.inputs[0]!)! : node);
    for (const input of node.inputs) uses.set(owner.get(input)!, (uses.get(owner.get(input)!) ?? 0) + 1);
  }
  for (const { node } of graph.outputs) uses.set(owner.get(node)!, Infinity);
  let alive = 0;
  let peak = 0;
  for (const node of nodes) {
    if (owner.get(node) === node) alive += FLOAT * elementCount(node.shape);
    peak = Math.max(peak, alive);
    for (const input of node.inputs) {
      const held = owner.get(input)!;
      const left = uses.get(held)! - 1;
      uses.set(held, left);
      // Sources are there for as long as the graph is.
      if (left === 0 && held.inputs.length > 0) alive -= FLOAT * elementCount(held.shape);
    }
  }
  return peak;
}

/**
 * The largest single value that grows with the batch, in bytes: what a limit on
 * the size of a binding is compared with. What has as many elements as a
 * parameter does not: weights, directions, products.
 */
export function largestBytes(graph: Graph): number {
  const nodes = graphNodes(graph);
  const sizes = new Set(nodes.flatMap(({ op, shape }) => (op === 'parameter' ? [elementCount(shape)] : [])));
  return nodes.reduce((most, { shape }) => {
    const size = elementCount(shape);
    return sizes.has(size) ? most : Math.max(most, FLOAT * size);
  }, 0);
}
