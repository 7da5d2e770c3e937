import type { GraphBuilder } from '../graph/builder';
import type { AnyNode, GraphNode, OpType } from '../graph/ir';
import { reachable } from '../graph/traversal';

/**
 * Which elements of a graph's tensors the input can move, through weights that
 * are not zero: an abstract interpretation of the graph, as graph. The *reach*
 * of a node has its shape, 1 where some path leads from the input and 0 where
 * none does; undefined stands for zeros. Values of the weights do not matter,
 * nor which units happen to be active: only zeros cut.
 *
 * Where both operands of a product depend on the input, either counts as not
 * zero: nothing that is connected is called cut.
 */
type Reach = AnyNode | undefined;

/** Reach of the result, given that of the inputs, of which some is not zero. */
type ReachRule<T extends OpType> = (b: GraphBuilder, node: GraphNode<T>, inputs: readonly Reach[]) => Reach;

/** 1 where anything was counted: counts of paths would overflow in a deep network. */
const any = (b: GraphBuilder, x: AnyNode): AnyNode => b.step(x);

const nonZero = (b: GraphBuilder, x: AnyNode): AnyNode => b.step(b.abs(x));

/** Where one of several is, broadcast to the shape of the result. */
const union: ReachRule<OpType> = (b, { shape }, inputs) =>
  any(
    b,
    inputs.reduce<AnyNode>((sum, x) => (x === undefined ? sum : b.add(sum, x)), b.expand(b.scalar(0), shape)),
  );

/** Element by element. */
const same: ReachRule<OpType> = (_b, _node, [x]) => x;

/** Moves elements: the op itself. */
const moved: ReachRule<OpType> = (b, node, [x]) => b.make(node.op, [x!], node.attributes);

/** Adds elements up. */
const counted: ReachRule<OpType> = (b, node, [x]) => any(b, b.make(node.op, [x!], node.attributes));

/** Every element depends on all along an axis. */
const spread =
  (axesOf: (node: GraphNode) => readonly number[]): ReachRule<OpType> =>
  (b, node, [x]) =>
    b.expand(any(b, b.reduceSum(x!, axesOf(node))), node.shape);

/** A product of sums: what is reached by weights that are not zero. */
const bilinear: ReachRule<OpType> = (b, node, [x, y]) => {
  const [left, right] = node.inputs as [AnyNode, AnyNode];
  const ones = (of: AnyNode): AnyNode => b.expand(b.scalar(1), of.shape);
  const product = (p: AnyNode, q: AnyNode): AnyNode => b.make(node.op, [p, q], node.attributes);
  if (x !== undefined && y !== undefined) return any(b, b.add(product(x, ones(right)), product(ones(left), y)));
  return any(b, x !== undefined ? product(x, nonZero(b, right)) : product(nonZero(b, left), y!));
};

/** Element-wise product. */
const factor: ReachRule<OpType> = (b, node, [x, y]) => {
  if (x !== undefined && y !== undefined) return union(b, node, [x, y]);
  const [left, right] = node.inputs as [AnyNode, AnyNode];
  return b.expand(x !== undefined ? b.mul(x, nonZero(b, right)) : b.mul(nonZero(b, left), y!), node.shape);
};

/** All axes but that of the channels. */
const channelAxes = ({ inputs }: GraphNode): number[] =>
  inputs[0]!.shape.map((_, axis) => axis).filter((axis) => axis !== 1);

const everywhere = spread(({ inputs }) => inputs[0]!.shape.map((_, axis) => axis));
const none: ReachRule<OpType> = () => undefined;

/** Total over the op type: a missing rule does not compile. */
const reachRules: { readonly [T in OpType]: ReachRule<T> } = {
  input: none,
  parameter: none,
  constant: none,

  neg: same,
  exp: same,
  log: same,
  sqrt: same,
  reciprocal: same,
  tanh: same,
  sigmoid: same,
  erf: same,
  relu: same,
  abs: same,
  sign: same,
  step: same,

  add: union,
  sub: union,
  mul: factor,
  // A divisor that is not zero cuts nothing.
  div: (b, node, [x, y]) => (y === undefined ? b.expand(x!, node.shape) : factor(b, node, [x, y])),
  pow: union,
  where: union,

  matmul: bilinear,
  conv: bilinear,
  convInputGrad: bilinear,
  convWeightGrad: bilinear,

  reshape: moved,
  transpose: moved,
  expand: moved,
  reduceSum: counted,
  slice: moved,
  embed: moved,
  concat: (b, node, inputs) =>
    b.concat(
      inputs.map((x, i) => x ?? b.expand(b.scalar(0), node.inputs[i]!.shape)),
      node.attributes.axis,
    ),
  gather: moved,
  scatterAdd: counted,

  // Of zeros and ones the largest is whether there is any.
  maxPool: (b, { attributes }, [x]) => b.maxPool(x!, attributes),
  maxPoolGather: (b, { inputs, attributes }, [x, t]) =>
    b.maxPool(union(b, inputs[0] as GraphNode, [x, t])!, attributes),
  maxPoolScatter: (b, node, [x, g]) =>
    g === undefined
      ? everywhere(b, node, [x])
      : b.expand(
          any(
            b,
            b.reduceSum(
              g,
              g.shape.map((_, axis) => axis),
            ),
          ),
          node.shape,
        ),

  // The moments of a channel depend on all of it.
  standardize: spread(channelAxes),
  standardizeGrad: (b, node, reached) => spread(channelAxes)(b, node, [union(b, node, reached)]),
  variance: (b, node, [x]) => any(b, b.reduceSum(x!, channelAxes(node as GraphNode))),

  softmax: spread(({ attributes }) => [(attributes as { axis: number }).axis]),
  logSoftmax: spread(({ attributes }) => [(attributes as { axis: number }).axis]),
};

/**
 * Reach of `outputs` from `inputs`, which are reached entirely. The weights are
 * parameters of the graphs it makes, to be fed as they are after pruning.
 */
export function reachOf(
  b: GraphBuilder,
  outputs: readonly AnyNode[],
  inputs: readonly AnyNode[],
): (AnyNode | undefined)[] {
  const known = new Map<AnyNode, AnyNode>(inputs.map((input) => [input, b.expand(b.scalar(1), input.shape)]));
  for (const node of reachable(outputs)) {
    if (known.has(node)) continue;
    const reached = node.inputs.map((input) => known.get(input));
    if (reached.every((x) => x === undefined)) continue;
    const rule = reachRules[node.op] as ReachRule<OpType>;
    const reach = b.beside(node, () => rule(b, node, reached));
    if (reach !== undefined) known.set(node, reach);
  }
  return outputs.map((output) => known.get(output));
}
