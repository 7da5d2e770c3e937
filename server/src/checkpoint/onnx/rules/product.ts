import type { AnyNode } from '../../../graph/ir';
import { formatShape } from '../../../graph/shapes';
import { DAMAGED, type NodeView } from '../node-view';
import { compute, type Rule } from './rule';

/** Matrix products. */

/** numpy's matmul: a vector is a row on the left, a column on the right, and leaves the result's rank. */
function matMul(node: NodeView): AnyNode {
  const b = node.builder;
  const [left, right] = [node.x(0), node.x(1)];
  if (left.shape.length === 0 || right.shape.length === 0) {
    throw node.error(`product of ${formatShape(left.shape)} and ${formatShape(right.shape)}`, DAMAGED);
  }
  const row = left.shape.length === 1;
  const column = right.shape.length === 1;
  const product = b.matmul(
    row ? b.reshape(left, [1, ...left.shape]) : left,
    column ? b.reshape(right, [...right.shape, 1]) : right,
  );
  const shape = [...product.shape];
  if (column) shape.pop();
  if (row) shape.splice(column ? -1 : -2, 1);
  return b.reshape(product, shape);
}

/** α A′B′ + β C. */
function gemm(node: NodeView): AnyNode {
  const b = node.builder;
  const [left, right] = [node.x(0), node.x(1)];
  if (left.shape.length !== 2 || right.shape.length !== 2) {
    throw node.error(`product of ${formatShape(left.shape)} and ${formatShape(right.shape)}`, DAMAGED);
  }
  const product = b.matmul(left, right, node.int('transA', 0) !== 0, node.int('transB', 0) !== 0);
  const scaled = b.mul(product, b.scalar(node.float('alpha', 1)));
  if (!node.has(2)) return scaled;
  return b.add(scaled, b.mul(node.x(2), b.scalar(node.float('beta', 1))));
}

export const productRules = {
  MatMul: compute(matMul),
  Gemm: compute(gemm),
} satisfies Record<string, Rule>;
