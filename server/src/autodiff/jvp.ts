import type { GraphBuilder } from '../graph/builder';
import type { AnyNode, GraphNode, OpType } from '../graph/ir';
import { dependents, reachable } from '../graph/traversal';
import { derivatives, safeLog, standardizeJacobian } from './vjp';

type Tangent = AnyNode | undefined;

/**
 * Tangent of the result of `node`, given those of its inputs; undefined stands
 * for zero. A rule is called only when some tangent is not zero.
 */
type JvpRule<T extends OpType> = (b: GraphBuilder, node: GraphNode<T>, tangents: readonly Tangent[]) => Tangent;

const zero: JvpRule<OpType> = () => undefined;

function sum(b: GraphBuilder, x: Tangent, y: Tangent): Tangent {
  return x === undefined ? y : y === undefined ? x : b.add(x, y);
}

/** Applies `f` to a tangent that may be zero. */
function lift(tangent: Tangent, f: (t: AnyNode) => AnyNode): Tangent {
  return tangent === undefined ? undefined : f(tangent);
}

/** y = f(x) element by element: ẏ = f′·ẋ. */
const elementwise =
  (derivative: (b: GraphBuilder, x: AnyNode, y: AnyNode) => AnyNode): JvpRule<OpType> =>
  (b, node, [t]) =>
    b.mul(t!, derivative(b, node.inputs[0]!, node as AnyNode));

/** y linear in its only input: ẏ = y(ẋ). */
const linear =
  <T extends OpType>(): JvpRule<T> =>
  (b, node, [t]) =>
    b.make(node.op, [t!], node.attributes);

/** y linear in each of two inputs: ẏ = y(ȧ, b) + y(a, ḃ). */
const bilinear =
  <T extends OpType>(): JvpRule<T> =>
  (b, node, [ta, tb]) => {
    const [x, y] = node.inputs;
    return sum(
      b,
      lift(ta, (t) => b.make(node.op, [t, y!], node.attributes)),
      lift(tb, (t) => b.make(node.op, [x!, t], node.attributes)),
    );
  };

/** y linear in its second input, the first only selects: ẏ = y(x, ṫ). */
const linearInSecond =
  <T extends OpType>(): JvpRule<T> =>
  (b, node, [, t]) =>
    lift(t, (tangent) => b.make(node.op, [node.inputs[0]!, tangent], node.attributes));

/** Forward-mode rules. Total over the op type: a missing rule does not compile. */
const jvpRules: { readonly [T in OpType]: JvpRule<T> } = {
  input: zero,
  parameter: zero,
  constant: zero,
  sign: zero,
  step: zero,

  neg: (b, _node, [t]) => b.neg(t!),
  exp: elementwise(derivatives.exp),
  log: elementwise(derivatives.log),
  sqrt: elementwise(derivatives.sqrt),
  reciprocal: elementwise(derivatives.reciprocal),
  tanh: elementwise(derivatives.tanh),
  sigmoid: elementwise(derivatives.sigmoid),
  erf: elementwise(derivatives.erf),
  relu: elementwise(derivatives.relu),
  abs: elementwise(derivatives.abs),

  // A tangent has the shape of its primal, so what broadcasts is expanded when its partner is zero.
  add: (b, { shape }, [ta, tb]) => lift(sum(b, ta, tb), (t) => b.expand(t, shape)),
  sub: (b, { shape }, [ta, tb]) =>
    lift(ta === undefined ? lift(tb, (t) => b.neg(t)) : tb === undefined ? ta : b.sub(ta, tb), (t) =>
      b.expand(t, shape),
    ),
  mul: (b, { inputs: [x, y] }, [ta, tb]) =>
    sum(
      b,
      lift(ta, (t) => b.mul(t, y!)),
      lift(tb, (t) => b.mul(x!, t)),
    ),
  // ȧ/b − y·ḃ/b
  div: (b, node, [ta, tb]) => {
    const divisor = node.inputs[1]!;
    const fromDivisor = lift(tb, (t) => b.neg(b.div(b.mul(node as AnyNode, t), divisor)));
    return sum(
      b,
      lift(ta, (t) => b.div(t, divisor)),
      fromDivisor,
    );
  },
  // b·a^(b−1)·ȧ + y·ln a·ḃ
  pow: (b, node, [ta, tb]) => {
    const [x, y] = node.inputs;
    return sum(
      b,
      lift(ta, (t) => b.mul(t, b.mul(y!, b.pow(x!, b.sub(y!, b.scalar(1)))))),
      lift(tb, (t) => b.mul(t, b.mul(node as AnyNode, safeLog(b, x!)))),
    );
  },
  where: (b, { inputs: [mask], shape }, [, ta, tb]) =>
    b.expand(b.where(mask!, ta ?? b.scalar(0), tb ?? b.scalar(0)), shape),

  matmul: bilinear(),
  conv: bilinear(),
  convInputGrad: bilinear(),
  convWeightGrad: bilinear(),

  reshape: (b, { attributes: { shape } }, [t]) => b.reshape(t!, shape),
  transpose: (b, { attributes: { permutation } }, [t]) => b.transpose(t!, permutation),
  expand: linear(),
  reduceSum: linear(),
  slice: linear(),
  embed: linear(),
  concat: (b, { inputs, attributes: { axis } }, tangents) =>
    b.concat(
      inputs.map((x, i) => tangents[i] ?? b.expand(b.scalar(0), x.shape)),
      axis,
    ),
  gather: linear(),
  scatterAdd: linear(),

  maxPool: (b, { inputs: [x], attributes }, [t]) => b.maxPoolGather(x!, t!, attributes),
  maxPoolGather: linearInSecond(),
  maxPoolScatter: linearInSecond(),

  standardize: (b, { inputs: [x], attributes: { epsilon } }, [t]) => b.standardizeGrad(x!, t!, epsilon),
  // In the first input by its definition.
  standardizeGrad: (b, { inputs: [x, y], attributes: { epsilon } }, [tx, ty]) =>
    sum(
      b,
      lift(tx, (t) => jvp(b, [standardizeJacobian(b, x!, y!, epsilon)], new Map([[x!, t]]))[0]!),
      lift(ty, (t) => b.standardizeGrad(x!, t, epsilon)),
    ),
  // 2 mean((x − mean)·ẋ)
  variance: (b, { inputs: [x] }, [t]) => b.mul(b.scalar(2), b.channelMean(b.mul(b.sub(x!, b.channelMean(x!)), t!))),

  // y (ẋ − Σ y·ẋ)
  softmax: (b, node, [t]) => {
    const y = node as AnyNode;
    return b.mul(y, b.sub(t!, b.reduceSum(b.mul(y, t!), [node.attributes.axis])));
  },
  // ẋ − Σ softmax(x)·ẋ
  logSoftmax: (b, { inputs: [x], attributes: { axis } }, [t]) =>
    b.sub(t!, b.reduceSum(b.mul(b.softmax(x!, axis), t!), [axis])),
};

/**
 * Jacobian–vector product: tangents of `outputs` when the nodes of `tangents`
 * (any nodes) move by the given ones and everything else is held. Undefined
 * where an output does not move.
 *
 * Tangents are placed beside their primals in execution order, so that a
 * Hessian-vector product needs the memory of two gradients, not three.
 */
export function jvp(
  b: GraphBuilder,
  outputs: readonly AnyNode[],
  tangents: ReadonlyMap<AnyNode, AnyNode>,
): (AnyNode | undefined)[] {
  const nodes = reachable(outputs);
  const active = dependents(nodes, new Set(tangents.keys()));
  const known = new Map<AnyNode, AnyNode>(tangents);
  for (const node of nodes) {
    if (!active.has(node) || known.has(node)) continue;
    const inputTangents = node.inputs.map((input) => known.get(input));
    if (inputTangents.every((t) => t === undefined)) continue;
    const rule = jvpRules[node.op] as JvpRule<OpType>;
    const tangent = b.beside(node, () => rule(b, node, inputTangents));
    if (tangent !== undefined) known.set(node, tangent);
  }
  return outputs.map((output) => known.get(output));
}
