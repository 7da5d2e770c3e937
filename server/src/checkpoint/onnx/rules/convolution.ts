import type { AnyNode } from '../../../graph/ir';
import { formatShape, sameShape } from '../../../graph/shapes';
import { DAMAGED, type NodeView } from '../node-view';
import { compute, type Rule } from './rule';
import { autoPad, extent, spatialInts, splitPads, windowOf } from './window';

/** Convolutions and transposed convolutions of 1, 2 and 3 dimensions. */

function operands(node: NodeView): { x: AnyNode; w: AnyNode; kernel: readonly number[]; group: number } {
  const [x, w] = [node.x(0), node.x(1)];
  const kernel = w.shape.slice(2);
  const declared = node.optionalInts('kernel_shape') ?? kernel;
  const rank = x.shape.length;
  if (rank < 3 || w.shape.length !== rank || !sameShape(declared, kernel)) {
    throw node.error(`input ${formatShape(x.shape)} with weights ${formatShape(w.shape)}`, DAMAGED);
  }
  return { x, w, kernel, group: node.int('group', 1) };
}

/** Adds a bias [K] along the channel axis. */
function biased(node: NodeView, result: AnyNode): AnyNode {
  if (!node.has(2)) return result;
  const bias = node.x(2);
  return node.builder.add(result, node.builder.reshape(bias, [1, bias.shape[0]!, ...result.shape.slice(2).fill(1)]));
}

function conv(node: NodeView): AnyNode {
  const { x, w, kernel, group } = operands(node);
  const { strides, dilations, pads } = windowOf(node, x.shape.slice(2), kernel);
  return biased(node, node.builder.conv(x, w, { strides, dilations, pads, group }));
}

/**
 * The adjoint of `conv` in its input. Along every axis the whole result has
 * `stride · (input − 1) + extent` elements, of which `pads` are cut off.
 */
function convTranspose(node: NodeView): AnyNode {
  const { x, w, kernel, group } = operands(node);
  const spatial = x.shape.slice(2);
  const rank = spatial.length;
  const strides = spatialInts(node, 'strides', rank, 1, 1);
  const dilations = spatialInts(node, 'dilations', rank, 1, 1);
  const more = spatialInts(node, 'output_padding', rank, 0, 0);
  const whole = spatial.map((size, a) => strides[a]! * (size - 1) + extent(kernel[a]!, dilations[a]!));

  const pads = transposedPads(node, spatial, whole, strides, more);
  const sizes = whole.map((size, a) => size - pads[a]! - pads[a + rank]! + more[a]!);
  if (!sizes.every((size) => size > 0)) throw node.error(`result of ${formatShape(sizes)} elements`, DAMAGED);

  // Output padding takes back padding at the end; what is beyond the whole result is zero.
  const ends = sizes.map((_, a) => Math.max(0, pads[a + rank]! - more[a]!));
  const reached = whole.map((size, a) => size - pads[a]! - ends[a]!);
  const inputShape = sizes.map((size, a) => Math.min(size, reached[a]!));
  const b = node.builder;
  const attributes = { strides, dilations, pads: [...pads.slice(0, rank), ...ends], group };
  const inner = b.convInputGrad(x, w, attributes, inputShape);
  const result = b.embed(
    inner,
    inner.shape.map(() => 0),
    inner.shape.map(() => 1),
    [...inner.shape.slice(0, 2), ...sizes],
  );
  return biased(node, result);
}

/** Begin and end paddings of a transposed convolution; `output_shape` and SAME define them by the result's size. */
function transposedPads(
  node: NodeView,
  spatial: readonly number[],
  whole: readonly number[],
  strides: readonly number[],
  more: number[],
): number[] {
  const rank = spatial.length;
  const mode = autoPad(node);
  const asked = node.optionalInts('output_shape');
  if (asked === undefined && mode === 'NOTSET') return spatialInts(node, 'pads', 2 * rank, 0, 0);
  if (asked === undefined && mode === 'VALID') return new Array<number>(2 * rank).fill(0);
  // Some exporters give the batch and channel sizes too.
  const target = asked?.slice(-rank) ?? spatial.map((size, a) => size * strides[a]!);
  if (target.length !== rank) throw node.error(`output_shape ${formatShape(target)}`, DAMAGED);
  const totals = whole.map((size, a) => size + more[a]! - target[a]!);
  for (const [a, total] of totals.entries()) {
    if (total < 0) {
      // The asked size is beyond the whole result: zeros at the end.
      more[a]! -= total;
      totals[a] = 0;
    }
  }
  return splitPads(totals, mode === 'SAME_UPPER');
}

export const convolutionRules = {
  Conv: compute(conv),
  ConvTranspose: compute(convTranspose),
} satisfies Record<string, Rule>;
