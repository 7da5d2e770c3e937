import type { GraphBuilder } from '../../../graph/builder';
import type { AnyNode } from '../../../graph/ir';
import { isFloat, type ElementType } from '../../elements';
import { broadcastKnown } from '../known';
import type { NodeView } from '../node-view';
import { compute, knownOnly, type Rule } from './rule';

/** Element-wise arithmetic, comparison and selection. */

type Combine = (...values: number[]) => number;
type ToNode = (builder: GraphBuilder, ...inputs: AnyNode[]) => AnyNode;

function refuseLegacyBroadcast(node: NodeView): void {
  if (node.opset < 7 && node.int('broadcast', 0) !== 0) {
    throw node.error('broadcasting of opset 6 and earlier', 'convert the model to opset 13 or later');
  }
}

/** All inputs; `NodeView.x` refuses what is missing of the least there must be. */
const all = (node: NodeView, least = 1): AnyNode[] =>
  Array.from({ length: Math.max(least, node.inputs.length) }, (_, index) => node.x(index, true));
const allKnown = (node: NodeView, type: ElementType, combine: Combine) =>
  broadcastKnown(
    type,
    node.inputs.map((_, index) => node.known(index)),
    combine,
  );

/** Float in, float out; integers at import, truncated where the operator divides. */
function arithmetic(graph: ToNode, known?: Combine): Rule {
  const toGraph = (node: NodeView): AnyNode => {
    refuseLegacyBroadcast(node);
    return graph(node.builder, ...all(node, graph.length - 1));
  };
  if (known === undefined) return compute(toGraph);
  return compute(toGraph, {
    known: (node) => {
      const type = node.type(0);
      return allKnown(node, type, isFloat(type) ? known : (...values) => Math.trunc(known(...values)));
    },
  });
}

/** A truth value from anything; in the graph a mask of zeros and ones. */
function truth(graph: ToNode, known: (...values: number[]) => boolean): Rule {
  return compute((node) => graph(node.builder, ...all(node, graph.length - 1)), {
    type: () => 'bool',
    known: (node) => allKnown(node, 'bool', (...values) => (known(...values) ? 1 : 0)),
  });
}

const folded =
  (graph: (builder: GraphBuilder, a: AnyNode, b: AnyNode) => AnyNode): ToNode =>
  (builder, ...inputs) =>
    inputs.reduce((a, b) => graph(builder, a, b));

/** max(a, b) as a where a > b, else b: exact, with the derivative of the greater. */
export const maximum = (b: GraphBuilder, x: AnyNode, y: AnyNode): AnyNode => b.where(b.step(b.sub(x, y)), x, y);
export const minimum = (b: GraphBuilder, x: AnyNode, y: AnyNode): AnyNode => b.where(b.step(b.sub(y, x)), x, y);

const not = (b: GraphBuilder, x: AnyNode): AnyNode => b.sub(b.scalar(1), x);

/** Halves go to the even neighbour. */
function roundToEven(x: number): number {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}

/** Division remainder; with the sign of the divisor, or of the dividend when `fmod` is set. */
const mod: Rule = knownOnly((node) => {
  const fmod = node.int('fmod', 0) !== 0;
  return [allKnown(node, node.type(0), (a, b) => (fmod ? a! % b! : a! - b! * Math.floor(a! / b!)))];
});

const rounding = (round: (x: number) => number): Rule =>
  knownOnly((node) => [allKnown(node, node.type(0), (x) => round(x!))]);

/** xʸ. Frequent exponents become operators with exact derivatives, at x = 0 too. */
const pow: Rule = compute(
  (node) => {
    const b = node.builder;
    const x = node.x(0);
    const exponent = node.value(1);
    if (!exponent.isKnown) return b.pow(x, node.x(1));
    const { values, shape } = exponent.tensor();
    const simple = values.length === 1 && shape.length <= x.shape.length ? values[0] : undefined;
    if (simple === 2) return b.mul(x, x);
    if (simple === 3) return b.mul(b.mul(x, x), x);
    if (simple === 0.5) return b.sqrt(x);
    if (simple === -1) return b.reciprocal(x);
    return b.pow(x, b.constant(Float32Array.from(values), shape));
  },
  { data: [0], known: (node) => allKnown(node, node.type(0), (x, y) => x! ** y!) },
);

const where: Rule = compute(
  (node) => {
    const [mask, a, b] = all(node, 3);
    return node.builder.where(mask!, a!, b!);
  },
  {
    type: (node) => node.type(1),
    known: (node) => allKnown(node, node.type(1), (mask, a, b) => (mask !== 0 ? a! : b!)),
  },
);

export const elementwiseRules = {
  Add: arithmetic(
    (b, x, y) => b.add(x!, y!),
    (x, y) => x! + y!,
  ),
  Sub: arithmetic(
    (b, x, y) => b.sub(x!, y!),
    (x, y) => x! - y!,
  ),
  Mul: arithmetic(
    (b, x, y) => b.mul(x!, y!),
    (x, y) => x! * y!,
  ),
  Div: arithmetic(
    (b, x, y) => b.div(x!, y!),
    (x, y) => x! / y!,
  ),
  Mod: mod,
  Pow: pow,
  Neg: arithmetic(
    (b, x) => b.neg(x!),
    (x) => -x!,
  ),
  Abs: arithmetic(
    (b, x) => b.abs(x!),
    (x) => Math.abs(x!),
  ),
  Sign: arithmetic(
    (b, x) => b.sign(x!),
    (x) => Math.sign(x!),
  ),
  Sqrt: arithmetic(
    (b, x) => b.sqrt(x!),
    (x) => Math.sqrt(x!),
  ),
  Exp: arithmetic(
    (b, x) => b.exp(x!),
    (x) => Math.exp(x!),
  ),
  Log: arithmetic(
    (b, x) => b.log(x!),
    (x) => Math.log(x!),
  ),
  Reciprocal: arithmetic(
    (b, x) => b.reciprocal(x!),
    (x) => 1 / x!,
  ),
  Erf: arithmetic((b, x) => b.erf(x!)),
  Sum: arithmetic(
    folded((b, x, y) => b.add(x, y)),
    (...values) => values.reduce((x, y) => x + y),
  ),
  Mean: arithmetic((b, ...xs) => b.mul(folded((_, x, y) => b.add(x, y))(b, ...xs), b.scalar(1 / xs.length))),
  Max: arithmetic(folded(maximum), (...values) => Math.max(...values)),
  Min: arithmetic(folded(minimum), (...values) => Math.min(...values)),
  Floor: rounding(Math.floor),
  Ceil: rounding(Math.ceil),
  Round: rounding(roundToEven),
  Where: where,
  Greater: truth(
    (b, x, y) => b.step(b.sub(x!, y!)),
    (x, y) => x! > y!,
  ),
  Less: truth(
    (b, x, y) => b.step(b.sub(y!, x!)),
    (x, y) => x! < y!,
  ),
  GreaterOrEqual: truth(
    (b, x, y) => not(b, b.step(b.sub(y!, x!))),
    (x, y) => x! >= y!,
  ),
  LessOrEqual: truth(
    (b, x, y) => not(b, b.step(b.sub(x!, y!))),
    (x, y) => x! <= y!,
  ),
  Equal: truth(
    (b, x, y) => not(b, b.abs(b.sign(b.sub(x!, y!)))),
    (x, y) => x === y,
  ),
  Not: truth(
    (b, x) => not(b, x!),
    (x) => x === 0,
  ),
  And: truth(
    (b, x, y) => b.mul(x!, y!),
    (x, y) => x !== 0 && y !== 0,
  ),
  Or: truth(
    (b, x, y) => b.sign(b.add(x!, y!)),
    (x, y) => x !== 0 || y !== 0,
  ),
  Xor: truth(
    (b, x, y) => b.abs(b.sub(x!, y!)),
    (x, y) => (x !== 0) !== (y !== 0),
  ),
} satisfies Record<string, Rule>;
