import type { Graph } from '../server/src/graph/ir';
import { elementCount } from '../server/src/graph/shapes';
import { graphNodes } from '../server/src/graph/traversal';

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
