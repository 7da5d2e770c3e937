import { GraphBuilder } from '../graph/builder';
import type { AnyNode, Graph, GraphNode, OpType, PoolAttributes } from '../graph/ir';
import { graphNodes } from '../graph/traversal';

/**
 * How an op is written with others, for runtimes that have no kernel for it or
 * a wrong one; undefined where the node may stay as it is.
 */
export type LoweringRule<T extends OpType> = (
  b: GraphBuilder,
  inputs: readonly AnyNode[],
  node: GraphNode<T>,
) => AnyNode | undefined;

export type LoweringRules = { readonly [T in OpType]?: LoweringRule<T> };

/**
 * The graph with `rules` applied to every node, in a builder of its own: what
 * two rules have in common, such as the masks of a pooling, is made once.
 */
export function lower(graph: Graph, rules: LoweringRules): Graph {
  const b = new GraphBuilder();
  const rebuilt = new Map<AnyNode, AnyNode>();
  for (const node of graphNodes(graph)) {
    const inputs = node.inputs.map((input) => rebuilt.get(input)!);
    const rule = rules[node.op] as LoweringRule<'neg'> | undefined;
    const lowered = rule?.(b, inputs, node as GraphNode<'neg'>);
    rebuilt.set(node, lowered ?? b.make(node.op, inputs, node.attributes, node.shape));
  }
  return { outputs: graph.outputs.map(({ name, node }) => ({ name, node: rebuilt.get(node)! })) };
}

/** sign(x) = step(x) − step(−x). */
export const lowerSign: LoweringRule<'sign'> = (b, [x]) => b.sub(b.step(x!), b.step(b.neg(x!)));

/** Transposed operands as nodes of their own, but for two matrices, which are a Gemm. */
export const lowerMatmul: LoweringRule<'matmul'> = (b, inputs, { attributes: { transposeA, transposeB } }) => {
  if (inputs.every(({ shape }) => shape.length === 2) || !(transposeA || transposeB)) return undefined;
  const [x, y] = inputs as readonly [AnyNode, AnyNode];
  return b.matmul(transposeA ? swapLast(b, x) : x, transposeB ? swapLast(b, y) : y);
};

function swapLast(b: GraphBuilder, x: AnyNode): AnyNode {
  const rank = x.shape.length;
  return b.transpose(x, [...x.shape.keys()].slice(0, rank - 2).concat(rank - 1, rank - 2));
}

/** A convolution with groups over three or more spatial axes: one convolution per group. */
const lowerGroupedVolume: LoweringRule<'conv'> = (b, [x, w], { attributes, shape }) => {
  const { group } = attributes;
  if (shape.length < 5 || group === 1) return undefined;
  const part = (tensor: AnyNode, axis: number, i: number): AnyNode => {
    const size = tensor.shape[axis]! / group;
    return b.slice(
      tensor,
      tensor.shape.map((_, a) => (a === axis ? i * size : 0)),
      tensor.shape.map(() => 1),
      tensor.shape.map((full, a) => (a === axis ? size : full)),
    );
  };
  const parts = Array.from({ length: group }, (_, i) =>
    b.conv(part(x!, 1, i), part(w!, 0, i), { ...attributes, group: 1 }),
  );
  return b.concat(parts, 1);
};

/**
 * Channels that a convolution without groups is given: onnxruntime 1.30's
 * WebGPU kernel is wrong for more than 3 of them where they are a multiple of 3
 * and not of 4 (and the outputs are a multiple of 4).
 */
function safeChannels(channels: number): number {
  return channels > 3 && channels % 3 === 0 ? 4 * Math.ceil(channels / 4) : channels;
}

/** `x` with zeros up to `size` elements along `axis`. */
function fill(b: GraphBuilder, x: AnyNode, axis: number, size: number): AnyNode {
  return b.embed(
    x,
    x.shape.map(() => 0),
    x.shape.map(() => 1),
    x.shape.map((full, a) => (a === axis ? size : full)),
  );
}

/** Channels of zeros where the runtime needs them, and no groups over volumes. */
export const lowerConv: LoweringRule<'conv'> = (b, inputs, node) => {
  const [x, w] = inputs as readonly [AnyNode, AnyNode];
  const size = safeChannels(x.shape[1]!);
  if (node.attributes.group > 1 || size === x.shape[1]) return lowerGroupedVolume(b, inputs, node);
  return b.conv(fill(b, x, 1, size), fill(b, w, 1, size), node.attributes);
};

/**
 * The input gradient of a strided convolution as a convolution with unit
 * strides of the gradient with zeros between its elements, and no transposed
 * convolution at all: where the runtime has none for three spatial axes, and
 * where its own is wrong (several inputs and one output per group).
 */
export const lowerInputGrad: LoweringRule<'convInputGrad'> = (b, [g, w], { attributes }) => {
  const { group, strides, dilations, pads, inputShape } = attributes;
  const [outputs, channels] = [w!.shape[0]! / group, w!.shape[1]!];
  const rank = inputShape.length;
  const extent = inputShape.map((_, axis) => dilations[axis]! * (w!.shape[axis + 2]! - 1) + 1);
  const around = [...extent, ...extent].map((size, i) => size - 1 - pads[i]!);
  const isFlipped = strides.every((stride) => stride === 1) && around.every((pad) => pad >= 0);
  const isRight = rank <= 2 && (group === 1 || channels > 1 || outputs === 1);
  const size = safeChannels(w!.shape[0]!);
  if (group === 1 && size !== w!.shape[0]) {
    const filled = b.convInputGrad(fill(b, g!, 1, size), fill(b, w!, 0, size), attributes, inputShape);
    return lowerInputGrad(b, filled.inputs, filled as GraphNode<'convInputGrad'>) ?? filled;
  }
  // The emission flips the kernel itself.
  if (rank <= 2 ? isFlipped || isRight : isFlipped && group === 1) return undefined;
  const sizes = inputShape.map((size, axis) => size + pads[axis]! + pads[axis + rank]! - extent[axis]! + 1);
  const spread = b.embed(
    g!,
    [0, 0, ...inputShape.map(() => 0)],
    [1, 1, ...strides],
    [...g!.shape.slice(0, 2), ...sizes],
  );
  // A pad wider than the kernel reaches cannot be a pad of the result: those rows met zeros only.
  const cut = around.map((pad) => Math.max(0, -pad));
  const cropped = b.slice(
    spread,
    [0, 0, ...cut.slice(0, rank)],
    spread.shape.map(() => 1),
    spread.shape.map((size, axis) => (axis < 2 ? size : size - cut[axis - 2]! - cut[axis - 2 + rank]!)),
  );
  const unit = { ...attributes, strides: strides.map(() => 1) };
  return flippedConv(
    b,
    cropped,
    w!,
    unit,
    around.map((pad) => Math.max(0, pad)),
  );
};

/** The convolution with the flipped, transposed kernel, itself lowered where it must be. */
function flippedConv(
  b: GraphBuilder,
  g: AnyNode,
  w: AnyNode,
  { dilations, group }: GraphNode<'convInputGrad'>['attributes'],
  pads: readonly number[],
): AnyNode {
  const [outputs, channels] = [w.shape[0]! / group, w.shape[1]!];
  const kernel = w.shape.slice(2);
  const spatial = [...kernel.keys()];
  const split = b.reshape(w, [group, outputs, channels, ...kernel]);
  const swapped = b.transpose(split, [0, 2, 1, ...spatial.map((axis) => axis + 3)]);
  let flipped = b.reshape(swapped, [group * channels, outputs, ...kernel]);
  for (const axis of spatial) {
    const reversed = Int32Array.from({ length: kernel[axis]! }, (_, i) => kernel[axis]! - 1 - i);
    if (reversed.length > 1) flipped = b.gather(flipped, axis + 2, reversed);
  }
  const attributes = { strides: kernel.map(() => 1), dilations, pads, group };
  const conv = b.conv(g, flipped, attributes);
  return lowerGroupedVolume(b, conv.inputs, conv as GraphNode<'conv'>) ?? conv;
}

/** Less than anything that is compared, and finite, so that no difference is not a number. */
const LOWEST = -3e38;

/** Every window's elements, one tensor per position in the kernel; what lies outside is `LOWEST`. */
function windows(b: GraphBuilder, x: AnyNode, pool: PoolAttributes, out: readonly number[]): AnyNode[] {
  const { pads, shape, offsets } = poolGeometry(x.shape, pool, out);
  let padded = b.embed(
    x,
    [0, 0, ...pads],
    shape.map(() => 1),
    shape,
  );
  if (padded !== x) {
    const outside = Float64Array.from({ length: shape.slice(2).reduce((a, c) => a * c, 1) }, (_, flat) => {
      let rest = flat;
      let inside = true;
      for (let axis = shape.length - 1; axis >= 2; axis--) {
        const at = (rest % shape[axis]!) - pads[axis - 2]!;
        rest = Math.floor(rest / shape[axis]!);
        inside &&= at >= 0 && at < x.shape[axis]!;
      }
      return inside ? 0 : LOWEST;
    });
    padded = b.add(padded, b.constant(outside, [1, 1, ...shape.slice(2)]));
  }
  return offsets.map((offset) => window(b, padded, offset, pool, out));
}

function window(
  b: GraphBuilder,
  padded: AnyNode,
  offset: readonly number[],
  { strides, dilations }: PoolAttributes,
  out: readonly number[],
): AnyNode {
  const starts = offset.map((k, axis) => k * dilations[axis]!);
  return b.slice(padded, [0, 0, ...starts], [1, 1, ...strides], out);
}

/** Shape with pads and with what the last window of `ceil` reaches beyond them, and the kernel's positions in order. */
function poolGeometry(x: readonly number[], pool: PoolAttributes, out: readonly number[]) {
  const { kernel, strides, dilations } = pool;
  const pads = pool.pads.slice(0, kernel.length);
  const shape = x.map((size, axis) => {
    if (axis < 2) return size;
    const a = axis - 2;
    const reached = (out[axis]! - 1) * strides[a]! + dilations[a]! * (kernel[a]! - 1) + 1;
    return Math.max(reached, size + pads[a]!);
  });
  const offsets = kernel.reduce<number[][]>(
    (known, size) => known.flatMap((offset) => Array.from({ length: size }, (_, k) => [...offset, k])),
    [[]],
  );
  return { pads, shape, offsets };
}

/**
 * For every position in the kernel 1 where the window's first maximum is, else
 * 0: max pooling without indices.
 */
function poolMasks(b: GraphBuilder, x: AnyNode, pool: PoolAttributes, most: AnyNode): AnyNode[] {
  const masks: AnyNode[] = [];
  let free: AnyNode = b.scalar(1);
  for (const part of windows(b, x, pool, most.shape)) {
    const isMost = b.sub(b.scalar(1), b.step(b.sub(most, part)));
    const mask = b.mul(isMost, free);
    free = b.sub(free, mask);
    masks.push(mask);
  }
  return masks;
}

export const lowerMaxPool: LoweringRule<'maxPool'> = (b, [x], { attributes, shape }) =>
  windows(b, x!, attributes, shape).reduce((most, part) => b.where(b.step(b.sub(part, most)), part, most));

function sum(b: GraphBuilder, terms: readonly AnyNode[]): AnyNode {
  return terms.reduce((total, term) => b.add(total, term));
}

/** Σ mask · window of t. */
const lowerPoolGather =
  (maxPool: LoweringRule<'maxPool'>): LoweringRule<'maxPoolGather'> =>
  (b, [x, t], { attributes, shape }) => {
    const masks = poolMasks(b, x!, attributes, maxima(b, x!, attributes, maxPool));
    const { pads, shape: whole, offsets } = poolGeometry(x!.shape, attributes, shape);
    const ones = whole.map(() => 1);
    const padded = b.embed(t!, [0, 0, ...pads], ones, whole);
    return sum(
      b,
      offsets.map((offset, i) => b.mul(masks[i]!, window(b, padded, offset, attributes, shape))),
    );
  };

/** Σ window, embedded again, of mask · g. */
const lowerPoolScatter =
  (maxPool: LoweringRule<'maxPool'>): LoweringRule<'maxPoolScatter'> =>
  (b, [x, g], { attributes }) => {
    const masks = poolMasks(b, x!, attributes, maxima(b, x!, attributes, maxPool));
    const { pads, shape: whole, offsets } = poolGeometry(x!.shape, attributes, g!.shape);
    const spread = offsets.map((offset, i) => {
      const starts = offset.map((k, axis) => k * attributes.dilations[axis]!);
      return b.embed(b.mul(masks[i]!, g!), [0, 0, ...starts], [1, 1, ...attributes.strides], whole);
    });
    return b.slice(
      sum(b, spread),
      [0, 0, ...pads],
      whole.map(() => 1),
      x!.shape,
    );
  };

function maxima(b: GraphBuilder, x: AnyNode, pool: PoolAttributes, rule: LoweringRule<'maxPool'>): AnyNode {
  const pooled = b.maxPool(x, pool);
  return rule(b, [x], pooled as GraphNode<'maxPool'>) ?? pooled;
}

function poolLowering(maxPool: LoweringRule<'maxPool'>): LoweringRules {
  return { maxPool, maxPoolGather: lowerPoolGather(maxPool), maxPoolScatter: lowerPoolScatter(maxPool) };
}

/**
 * The two adjoints of max pooling become masks. Pooling itself stays, unless
 * its last window may begin behind the input: ONNX' shape inference and its
 * kernels do not agree on whether there is such a window.
 */
export const poolAdjointLowering = poolLowering((b, inputs, node) =>
  node.attributes.ceil ? lowerMaxPool(b, inputs, node) : undefined,
);

/** Pooling stays with its adjoints, unless its last window may begin behind the input. */
export const ceilPoolLowering: LoweringRules = {
  maxPool: (b, inputs, node) => (node.attributes.ceil ? lowerMaxPool(b, inputs, node) : undefined),
  maxPoolGather: (b, inputs, node) =>
    node.attributes.ceil ? lowerPoolGather(lowerMaxPool)(b, inputs, node) : undefined,
  maxPoolScatter: (b, inputs, node) =>
    node.attributes.ceil ? lowerPoolScatter(lowerMaxPool)(b, inputs, node) : undefined,
};

/** No pooling op stays. */
export const wholePoolLowering = poolLowering(lowerMaxPool);
