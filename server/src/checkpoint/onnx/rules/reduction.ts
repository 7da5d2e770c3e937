import type { GraphBuilder } from '../../../graph/builder';
import type { AnyNode } from '../../../graph/ir';
import { elementCount } from '../../../graph/shapes';
import type { KnownTensor } from '../../elements';
import { knownAlgebra, reduceKnown, tensorOf } from '../known';
import type { NodeView } from '../node-view';
import { compute, knownOnly, type Rule } from './rule';

/** Sums and other folds over axes. */

/** Axes to fold, ascending; null when the node leaves its input as it is. */
function foldedAxes(node: NodeView, axesInputSince: number): number[] | null {
  const rank = node.shape(0).length;
  const asked = node.axesOrInput('axes', 1, axesInputSince) ?? [];
  if (asked.length > 0) return node.axes(asked, rank).sort((a, b) => a - b);
  return node.int('noop_with_empty_axes', 0) !== 0 ? null : node.shape(0).map((_, axis) => axis);
}

const keepsAxes = (node: NodeView): boolean => node.int('keepdims', 1) !== 0;

interface Reduction {
  readonly axesInputSince?: number;
  /** Applied to every element first, also where no axis is folded. */
  readonly before?: (b: GraphBuilder, x: AnyNode) => AnyNode;
  /** Applied to every sum; `count` elements went into it. */
  readonly after?: (b: GraphBuilder, sum: AnyNode, count: number) => AnyNode;
  readonly known?: (node: NodeView) => KnownTensor;
}

function summation({ axesInputSince = 18, before, after, known }: Reduction): Rule {
  const graph = (node: NodeView): AnyNode => {
    const b = node.builder;
    const x = before === undefined ? node.x(0) : before(b, node.x(0));
    const axes = foldedAxes(node, axesInputSince);
    const count = (axes ?? []).reduce((product, axis) => product * x.shape[axis]!, 1);
    const sum = axes === null ? x : b.reduceSum(x, axes, keepsAxes(node));
    return after === undefined ? sum : after(b, sum, count);
  };
  return compute(graph, known === undefined ? { data: [0] } : { data: [0], known });
}

function foldKnown(
  node: NodeView,
  axesInputSince: number,
  initial: number,
  fold: (result: number, value: number) => number,
): KnownTensor {
  const x = node.known(0);
  const axes = foldedAxes(node, axesInputSince);
  if (axes === null) return x;
  const kept = reduceKnown(x, axes, initial, fold);
  const shape = keepsAxes(node) ? kept.shape : kept.shape.filter((_, axis) => !axes.includes(axis));
  return knownAlgebra.reshape(kept, shape);
}

/** Greatest element along `axes`, which stay with size 1: a max-pool whose window is a whole row. */
function greatest(b: GraphBuilder, x: AnyNode, axes: readonly number[]): AnyNode {
  const others = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const shape = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const width = elementCount(axes.map((axis) => x.shape[axis]!));
  if (width === 0) return b.expand(b.scalar(-Infinity), shape);
  const rows = b.reshape(b.transpose(x, [...others, ...axes]), [elementCount(shape), 1, width]);
  const pool = { kernel: [width], strides: [1], dilations: [1], pads: [0, 0], ceil: false };
  return b.reshape(b.maxPool(rows, pool), shape);
}

/** Applies `fold` to the axes of the node and drops them where it says so. */
function folded(node: NodeView, fold: (b: GraphBuilder, x: AnyNode, axes: readonly number[]) => AnyNode): AnyNode {
  const x = node.x(0);
  const axes = foldedAxes(node, 18);
  if (axes === null) return x;
  const kept = fold(node.builder, x, axes);
  const shape = keepsAxes(node) ? kept.shape : kept.shape.filter((_, axis) => !axes.includes(axis));
  return node.builder.reshape(kept, shape);
}

/** log Σ eˣ, from the greatest element on, so that nothing overflows. */
function logSumExp(b: GraphBuilder, x: AnyNode, axes: readonly number[]): AnyNode {
  const most = greatest(b, x, axes);
  return b.add(most, b.log(b.reduceSum(b.exp(b.sub(x, most)), axes)));
}

const sum = (a: number, b: number): number => a + b;

export const reductionRules = {
  ReduceSum: summation({ axesInputSince: 13, known: (node) => foldKnown(node, 13, 0, sum) }),
  ReduceMean: summation({
    after: (b, total, count) => b.mul(total, b.scalar(1 / count)),
    known: (node) => {
      const total = foldKnown(node, 18, 0, sum);
      const count = node.known(0).values.length / total.values.length;
      return tensorOf(total.type, total.shape, (i) => total.values[i]! / count);
    },
  }),
  ReduceL1: summation({ before: (b, x) => b.abs(x) }),
  ReduceL2: summation({ before: (b, x) => b.mul(x, x), after: (b, total) => b.sqrt(total) }),
  ReduceSumSquare: summation({ before: (b, x) => b.mul(x, x) }),
  ReduceLogSum: summation({ after: (b, total) => b.log(total) }),
  ReduceLogSumExp: compute((node) => folded(node, logSumExp), { data: [0] }),
  /** Met in shape arithmetic only. */
  ReduceProd: knownOnly((node) => [foldKnown(node, 18, 1, (a, b) => a * b)]),
  ReduceMax: compute((node) => folded(node, greatest), {
    data: [0],
    known: (node) => foldKnown(node, 18, -Infinity, (a, b) => Math.max(a, b)),
  }),
  ReduceMin: compute((node) => folded(node, (b, x, axes) => b.neg(greatest(b, b.neg(x), axes))), {
    data: [0],
    known: (node) => foldKnown(node, 18, Infinity, (a, b) => Math.min(a, b)),
  }),
} satisfies Record<string, Rule>;
