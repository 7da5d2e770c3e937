import type { GraphBuilder } from '../../../graph/builder';
import type { AnyNode } from '../../../graph/ir';
import { elementCount } from '../../../graph/shapes';
import { tensorOf } from '../known';
import type { NodeView } from '../node-view';
import { compute, type Rule } from './rule';

/**
 * Activations, composed of the IR's ops so that the values are exact and the
 * derivative at a kink is the left one, as with `relu` (0 at 0). Branches that
 * are not taken are kept finite: 0 · ∞ in a derivative would be NaN.
 */

/** x where x > 0, else `otherwise`. */
const positive = (b: GraphBuilder, x: AnyNode, otherwise: AnyNode): AnyNode => b.where(b.step(x), x, otherwise);

/** min(x, 0), with derivative 1 at 0. */
const negativePart = (b: GraphBuilder, x: AnyNode): AnyNode => b.where(b.step(x), b.scalar(0), x);

const scale = (b: GraphBuilder, factor: number, x: AnyNode): AnyNode => b.mul(b.scalar(factor), x);

const elu = (b: GraphBuilder, x: AnyNode, alpha: number): AnyNode =>
  positive(b, x, scale(b, alpha, b.sub(b.exp(negativePart(b, x)), b.scalar(1))));

/** log(1 + eˣ) = max(x, 0) − log σ(|x|), where |x| has derivative −1 at 0, so that the sum has ½. */
const softplus = (b: GraphBuilder, x: AnyNode): AnyNode => b.sub(b.relu(x), b.log(b.sigmoid(positive(b, x, b.neg(x)))));

/** Largest finite float32: a bound that exporters write for "none". */
const HUGE = 3.4e38;

function atLeast(b: GraphBuilder, x: AnyNode, bound: number): AnyNode {
  if (bound <= -HUGE) return x;
  return bound === 0 ? b.relu(x) : b.where(b.step(b.sub(x, b.scalar(bound))), x, b.scalar(bound));
}

function atMost(b: GraphBuilder, x: AnyNode, bound: number): AnyNode {
  if (bound >= HUGE) return x;
  return b.where(b.step(b.sub(b.scalar(bound), x)), x, b.scalar(bound));
}

const clamp = (b: GraphBuilder, x: AnyNode, low: number, high: number): AnyNode => atMost(b, atLeast(b, x, low), high);

function clip(node: NodeView): AnyNode {
  const b = node.builder;
  const x = node.x(0);
  if (node.opset < 11) return clamp(b, x, node.float('min', -Infinity), node.float('max', Infinity));
  // A bound is a number where it is known and may be any scalar of the graph.
  let result = x;
  if (node.has(1)) {
    const low = node.value(1);
    result = low.isKnown
      ? atLeast(b, result, low.tensor().values[0]!)
      : b.where(b.step(b.sub(result, node.x(1))), result, node.x(1));
  }
  if (node.has(2)) {
    const high = node.value(2);
    result = high.isKnown
      ? atMost(b, result, high.tensor().values[0]!)
      : b.where(b.step(b.sub(node.x(2), result)), result, node.x(2));
  }
  return result;
}

function gelu(node: NodeView): AnyNode {
  const b = node.builder;
  const x = node.x(0);
  // ½x(1 + erf(x/√2)), or its tanh approximation.
  const inner =
    node.string('approximate', 'none') === 'tanh'
      ? b.tanh(scale(b, Math.sqrt(2 / Math.PI), b.add(x, scale(b, 0.044715, b.mul(b.mul(x, x), x)))))
      : b.erf(scale(b, Math.SQRT1_2, x));
  return b.mul(scale(b, 0.5, x), b.add(b.scalar(1), inner));
}

function prelu(node: NodeView): AnyNode {
  const x = node.x(0);
  return positive(node.builder, x, node.builder.mul(node.x(1), x));
}

/** Before opset 13 the axes from `axis` on were one; since then `axis` stands alone. */
function normalized(node: NodeView, op: 'softmax' | 'logSoftmax'): AnyNode {
  const b = node.builder;
  const x = node.x(0);
  const rank = x.shape.length;
  if (node.opset >= 13) return b[op](x, node.axis(node.int('axis', -1), rank));
  const axis = node.axis(node.int('axis', 1), rank);
  if (axis === rank - 1) return b[op](x, axis);
  const flat = b.reshape(x, [elementCount(x.shape.slice(0, axis)), elementCount(x.shape.slice(axis))]);
  return b.reshape(b[op](flat, 1), x.shape);
}

const unary = (graph: (b: GraphBuilder, x: AnyNode, node: NodeView) => AnyNode): Rule =>
  compute((node) => graph(node.builder, node.x(0), node), { data: [0] });

export const activationRules = {
  Relu: unary((b, x) => b.relu(x)),
  LeakyRelu: unary((b, x, node) => positive(b, x, scale(b, node.float('alpha', 0.01), x))),
  PRelu: compute(prelu),
  ThresholdedRelu: unary((b, x, node) => b.where(b.step(b.sub(x, b.scalar(node.float('alpha', 1)))), x, b.scalar(0))),
  Clip: compute(clip, {
    data: [0],
    known: (node) => {
      const [low, high] = [1, 2].map((i) => (node.has(i) ? node.knownNumbers(i)[0]! : undefined));
      const { type, shape, values } = node.known(0);
      return tensorOf(type, shape, (i) => Math.min(Math.max(values[i]!, low ?? -Infinity), high ?? Infinity));
    },
  }),
  Sigmoid: unary((b, x) => b.sigmoid(x)),
  HardSigmoid: unary((b, x, node) =>
    clamp(b, b.add(scale(b, node.float('alpha', 0.2), x), b.scalar(node.float('beta', 0.5))), 0, 1),
  ),
  HardSwish: unary((b, x) => b.mul(x, clamp(b, b.add(scale(b, 1 / 6, x), b.scalar(0.5)), 0, 1))),
  Tanh: unary((b, x) => b.tanh(x)),
  Elu: unary((b, x, node) => elu(b, x, node.float('alpha', 1))),
  Celu: unary((b, x, node) => {
    const alpha = node.float('alpha', 1);
    return scale(b, alpha, elu(b, scale(b, 1 / alpha, x), 1));
  }),
  Selu: unary((b, x, node) =>
    scale(b, node.float('gamma', 1.0507009873554805), elu(b, x, node.float('alpha', 1.6732632423543772))),
  ),
  Softplus: unary(softplus),
  Softsign: unary((b, x) => b.div(x, b.add(b.scalar(1), b.abs(x)))),
  Mish: unary((b, x) => b.mul(x, b.tanh(softplus(b, x)))),
  Swish: unary((b, x, node) => b.mul(x, b.sigmoid(scale(b, node.float('alpha', 1), x)))),
  Gelu: compute(gelu),
  Softmax: compute((node) => normalized(node, 'softmax')),
  LogSoftmax: compute((node) => normalized(node, 'logSoftmax')),
} satisfies Record<string, Rule>;
