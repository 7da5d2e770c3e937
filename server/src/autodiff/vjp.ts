import type { GraphBuilder } from '../graph/builder';
import type { AnyNode, GraphNode, OpType } from '../graph/ir';
import { elementCount } from '../graph/shapes';
import { dependents, reachable } from '../graph/traversal';

/**
 * Cotangents of the inputs of `node`, given the cotangent `g` of its result;
 * undefined where the derivative is zero. With several inputs `a, b` and
 * result `y`, the comment of a rule is its formula.
 */
type VjpRule<T extends OpType> = (b: GraphBuilder, node: GraphNode<T>, g: AnyNode) => readonly (AnyNode | undefined)[];

const none: VjpRule<OpType> = () => [];

/** y = f(x) element by element: x̄ = g · f′. */
const elementwise =
  (derivative: (b: GraphBuilder, x: AnyNode, y: AnyNode) => AnyNode): VjpRule<OpType> =>
  (b, node, g) => [b.mul(g, derivative(b, node.inputs[0]!, node as AnyNode))];

const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

/** f′ of the element-wise ops, from x and y = f(x); shared with the jvp rules. */
export const derivatives = {
  exp: (_b, _x, y) => y,
  log: (b, x) => b.reciprocal(x),
  sqrt: (b, _x, y) => b.div(b.scalar(0.5), y),
  // −1/x² = −y²
  reciprocal: (b, _x, y) => b.neg(b.mul(y, y)),
  // 1 − y²
  tanh: (b, _x, y) => b.sub(b.scalar(1), b.mul(y, y)),
  // y (1 − y)
  sigmoid: (b, _x, y) => b.mul(y, b.sub(b.scalar(1), y)),
  // 2/√π · exp(−x²)
  erf: (b, x) => b.mul(b.scalar(TWO_OVER_SQRT_PI), b.exp(b.neg(b.mul(x, x)))),
  // From y, which is kept for the next layer anyway, so that x may die. 0 at 0, as everywhere.
  relu: (b, _x, y) => b.step(y),
  abs: (b, x) => b.sign(x),
} satisfies Record<string, (b: GraphBuilder, x: AnyNode, y: AnyNode) => AnyNode>;

/** ln a where a > 0, else 0: the exponent of a non-positive base is not differentiated. */
export function safeLog(b: GraphBuilder, a: AnyNode): AnyNode {
  const positive = b.step(a);
  return b.where(positive, b.log(b.where(positive, a, b.scalar(1))), b.scalar(0));
}

/** What `standardizeGrad` is, in ops that can be differentiated. */
export function standardizeJacobian(b: GraphBuilder, x: AnyNode, g: AnyNode, epsilon: number): AnyNode {
  const centred = b.sub(x, b.channelMean(x));
  const inverseDeviation = b.reciprocal(b.sqrt(b.add(b.variance(x), b.scalar(epsilon))));
  const y = b.mul(centred, inverseDeviation);
  const projected = b.sub(b.sub(g, b.channelMean(g)), b.mul(y, b.channelMean(b.mul(g, y))));
  return b.mul(projected, inverseDeviation);
}

/** Reverse-mode rules. Total over the op type: a missing rule does not compile. */
const vjpRules: { readonly [T in OpType]: VjpRule<T> } = {
  input: none,
  parameter: none,
  constant: none,
  sign: none,
  step: none,

  neg: (b, _node, g) => [b.neg(g)],
  exp: elementwise(derivatives.exp),
  log: elementwise(derivatives.log),
  sqrt: elementwise(derivatives.sqrt),
  reciprocal: elementwise(derivatives.reciprocal),
  tanh: elementwise(derivatives.tanh),
  sigmoid: elementwise(derivatives.sigmoid),
  erf: elementwise(derivatives.erf),
  relu: elementwise(derivatives.relu),
  abs: elementwise(derivatives.abs),

  add: (b, { inputs: [x, y] }, g) => [b.sumTo(g, x!.shape), b.sumTo(g, y!.shape)],
  sub: (b, { inputs: [x, y] }, g) => [b.sumTo(g, x!.shape), b.neg(b.sumTo(g, y!.shape))],
  mul: (b, { inputs: [x, y] }, g) => [b.sumTo(b.mul(g, y!), x!.shape), b.sumTo(b.mul(g, x!), y!.shape)],
  // ā = g/b; b̄ = −g·y/b
  div: (b, node, g) => {
    const [x, y] = node.inputs;
    const quotient = b.div(g, y!);
    return [b.sumTo(quotient, x!.shape), b.neg(b.sumTo(b.mul(quotient, node as AnyNode), y!.shape))];
  },
  // ā = g·b·a^(b−1); b̄ = g·y·ln a
  pow: (b, node, g) => {
    const [x, y] = node.inputs;
    const base = b.mul(g, b.mul(y!, b.pow(x!, b.sub(y!, b.scalar(1)))));
    return [b.sumTo(base, x!.shape), b.sumTo(b.mul(g, b.mul(node as AnyNode, safeLog(b, x!))), y!.shape)];
  },
  where: (b, { inputs: [mask, x, y] }, g) => [
    undefined,
    b.sumTo(b.where(mask!, g, b.scalar(0)), x!.shape),
    b.sumTo(b.where(mask!, b.scalar(0), g), y!.shape),
  ],

  // Y = A′B′ with A′ = A or Aᵀ: Ā′ = g B′ᵀ, B̄′ = A′ᵀ g
  matmul: (b, { inputs: [x, y], attributes: { transposeA, transposeB } }, g) => [
    b.sumTo(transposeA ? b.matmul(y!, g, transposeB, true) : b.matmul(g, y!, false, !transposeB), x!.shape),
    b.sumTo(transposeB ? b.matmul(g, x!, true, transposeA) : b.matmul(x!, g, !transposeA, false), y!.shape),
  ],
  // The three products of a convolution are each other's adjoints.
  conv: (b, { inputs: [x, w], attributes }, g) => [
    b.convInputGrad(g, w!, attributes, x!.shape.slice(2)),
    b.convWeightGrad(x!, g, attributes, w!.shape.slice(2)),
  ],
  convInputGrad: (b, { inputs: [y, w], attributes }, g) => [
    b.conv(g, w!, attributes),
    b.convWeightGrad(g, y!, attributes, w!.shape.slice(2)),
  ],
  convWeightGrad: (b, { inputs: [x, y], attributes }, g) => [
    b.convInputGrad(y!, g, attributes, x!.shape.slice(2)),
    b.conv(x!, g, attributes),
  ],

  reshape: (b, { inputs: [x] }, g) => [b.reshape(g, x!.shape)],
  transpose: (b, { attributes: { permutation } }, g) => {
    const inverse = new Array<number>(permutation.length);
    permutation.forEach((axis, i) => (inverse[axis] = i));
    return [b.transpose(g, inverse)];
  },
  expand: (b, { inputs: [x] }, g) => [b.sumTo(g, x!.shape)],
  reduceSum: (b, { inputs: [x] }, g) => [b.expand(g, x!.shape)],
  slice: (b, { inputs: [x], attributes: { starts, steps } }, g) => [b.embed(g, starts, steps, x!.shape)],
  embed: (b, { inputs: [x], attributes: { starts, steps } }, g) => [b.slice(g, starts, steps, x!.shape)],
  concat: (b, { inputs, attributes: { axis } }, g) => {
    let offset = 0;
    return inputs.map((x) => {
      const starts = x.shape.map((_, a) => (a === axis ? offset : 0));
      offset += x.shape[axis]!;
      return b.slice(
        g,
        starts,
        x.shape.map(() => 1),
        x.shape,
      );
    });
  },
  gather: (b, { inputs: [x], attributes: { axis, indices } }, g) => [b.scatterAdd(g, axis, indices, x!.shape[axis]!)],
  scatterAdd: (b, { attributes: { axis, indices } }, g) => [b.gather(g, axis, indices)],

  maxPool: (b, { inputs: [x], attributes }, g) => [b.maxPoolScatter(x!, g, attributes)],
  maxPoolGather: (b, { inputs: [x], attributes }, g) => [undefined, b.maxPoolScatter(x!, g, attributes)],
  maxPoolScatter: (b, { inputs: [x], attributes }, g) => [undefined, b.maxPoolGather(x!, g, attributes)],

  standardize: (b, { inputs: [x], attributes: { epsilon } }, g) => [b.standardizeGrad(x!, g, epsilon)],
  // Symmetric in the second input; in the first by its definition.
  standardizeGrad: (b, node, g) => {
    const [x, y] = node.inputs;
    const { epsilon } = node.attributes;
    return [vjp(b, [standardizeJacobian(b, x!, y!, epsilon)], [g], [x!])[0], b.standardizeGrad(x!, g, epsilon)];
  },
  // 2 g (x − mean)/count: what moves the mean does not move the variance
  variance: (b, { inputs: [x], shape }, g) => {
    const perElement = b.scalar((2 * elementCount(shape)) / elementCount(x!.shape));
    return [b.mul(b.mul(g, perElement), b.sub(x!, b.channelMean(x!)))];
  },

  // y (g − Σ g·y)
  softmax: (b, node, g) => {
    const y = node as AnyNode;
    return [b.mul(y, b.sub(g, b.reduceSum(b.mul(g, y), [node.attributes.axis])))];
  },
  // g − softmax(x) Σ g
  logSoftmax: (b, { inputs: [x], attributes: { axis } }, g) => [
    b.sub(g, b.mul(b.softmax(x!, axis), b.reduceSum(g, [axis]))),
  ],
};

/**
 * Vector–Jacobian product: for `outputs` with their `cotangents`, the
 * cotangents of each of `wrt`, which may be any nodes. The derivative through
 * a node of `wrt` stops there. A node that nothing depends on has cotangent
 * zero and is given as undefined.
 */
export function vjp(
  b: GraphBuilder,
  outputs: readonly AnyNode[],
  cotangents: readonly AnyNode[],
  wrt: readonly AnyNode[],
): (AnyNode | undefined)[] {
  const targets = new Set(wrt);
  const nodes = reachable(outputs);
  const active = dependents(nodes, targets);
  const cotangent = new Map<AnyNode, AnyNode>();
  const accumulate = (node: AnyNode, g: AnyNode): void => {
    const sum = cotangent.get(node);
    cotangent.set(node, sum === undefined ? g : b.add(sum, g));
  };
  outputs.forEach((output, i) => accumulate(output, cotangents[i]!));
  for (const node of nodes.reverse()) {
    const g = cotangent.get(node);
    if (g === undefined || targets.has(node) || !active.has(node)) continue;
    const rule = vjpRules[node.op] as VjpRule<OpType>;
    rule(b, node, g).forEach((inputCotangent, i) => {
      const input = node.inputs[i]!;
      if (inputCotangent !== undefined && active.has(input)) accumulate(input, inputCotangent);
    });
  }
  return wrt.map((node) => cotangent.get(node));
}
