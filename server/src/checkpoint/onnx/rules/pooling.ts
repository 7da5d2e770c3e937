import type { AnyNode, PoolAttributes, Shape } from '../../../graph/ir';
import { elementCount, formatShape } from '../../../graph/shapes';
import { DAMAGED, type NodeView } from '../node-view';
import { compute, type Rule } from './rule';
import { extent, windowOf, type Window } from './window';

/** Maxima and means over windows, and over all positions. */

function spatialOf(node: NodeView, x: AnyNode): Shape {
  if (x.shape.length < 3) throw node.error(`input ${formatShape(x.shape)}`, DAMAGED);
  return x.shape.slice(2);
}

function pool(node: NodeView, x: AnyNode): PoolAttributes {
  const spatial = spatialOf(node, x);
  const kernel = node.ints('kernel_shape');
  if (kernel.length !== spatial.length || kernel.some((size) => !(size >= 1))) {
    throw node.error(`kernel_shape ${formatShape(kernel)} for input ${formatShape(x.shape)}`, DAMAGED);
  }
  node.tableSize(elementCount(kernel), 'kernel');
  return { ...windowOf(node, spatial, kernel), ceil: node.int('ceil_mode', 0) !== 0 };
}

function maxPool(node: NodeView): AnyNode {
  if (node.isUsed(1)) throw node.error('output Indices not supported');
  const x = node.x(0);
  return node.builder.maxPool(x, pool(node, x));
}

/** Positions of a window along one axis (ONNX: a window that starts in the end padding is left out). */
function windowCount(size: number, axis: number, { kernel, strides, dilations, pads, ceil }: PoolAttributes): number {
  const rank = kernel.length;
  const steps = (size + pads[axis]! + pads[axis + rank]! - extent(kernel[axis]!, dilations[axis]!)) / strides[axis]!;
  const count = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
  return ceil && (count - 1) * strides[axis]! >= size + pads[axis]! ? count - 1 : count;
}

/** How many elements window `index` covers along an axis; paddings count when `padded`. */
function covered(size: number, axis: number, index: number, window: Window, padded: boolean): number {
  const rank = window.kernel.length;
  const [low, high] = padded ? [-window.pads[axis]!, size + window.pads[axis + rank]!] : [0, size];
  const start = index * window.strides[axis]! - window.pads[axis]!;
  // Elements of the window before `position`.
  const before = (position: number): number =>
    Math.min(Math.max(0, Math.ceil((position - start) / window.dilations[axis]!)), window.kernel[axis]!);
  return before(high) - before(low);
}

/** A mean is a depthwise convolution with ones, divided by what each window covers. */
function averagePool(node: NodeView): AnyNode {
  const b = node.builder;
  const x = node.x(0);
  const attributes = pool(node, x);
  const { kernel, strides, dilations, pads } = attributes;
  const spatial = x.shape.slice(2);
  const rank = spatial.length;
  if (kernel.every((size, a) => size === spatial[a] && dilations[a] === 1) && pads.every((pad) => pad === 0)) {
    return globalAverage(node, x);
  }
  const padded = node.int('count_include_pad', 0) !== 0;
  const counts = spatial.map((size, a) =>
    Array.from({ length: node.tableSize(windowCount(size, a, attributes), 'output axis') }, (_, i) =>
      covered(size, a, i, attributes, padded),
    ),
  );
  // Windows that `ceil_mode` adds reach beyond the padding: widen it with zeros.
  const ends = spatial.map((size, a) =>
    Math.max(
      pads[a + rank]!,
      (counts[a]!.length - 1) * strides[a]! + extent(kernel[a]!, dilations[a]!) - size - pads[a]!,
    ),
  );
  const channels = x.shape[1]!;
  const kernelShape = [channels, 1, ...kernel];
  node.tableSize(elementCount(kernelShape), 'kernel');
  const wide = { strides, dilations, pads: [...pads.slice(0, rank), ...ends], group: channels };
  const weights = (value: number): AnyNode =>
    b.constant(new Float32Array(elementCount(kernelShape)).fill(value), kernelShape);
  const first = counts.map((list) => list[0]!);
  if (counts.every((list, a) => list.every((count) => count === first[a]))) {
    return b.conv(x, weights(1 / elementCount(first)), wide);
  }
  // Counts multiply over the axes: an outer product of one reciprocal per axis.
  node.tableSize(elementCount(counts.map((list) => list.length)), 'output image');
  const reciprocal = counts
    .map((list) => list.map((count) => 1 / count))
    .reduce((outer, list) => outer.flatMap((left) => list.map((right) => left * right)), [1]);
  const map = b.constant(Float32Array.from(reciprocal), [1, 1, ...counts.map((list) => list.length)]);
  return b.mul(b.conv(x, weights(1), wide), map);
}

function globalAverage(node: NodeView, x: AnyNode): AnyNode {
  const spatial = spatialOf(node, x);
  const sum = node.builder.reduceSum(
    x,
    spatial.map((_, a) => a + 2),
  );
  return node.builder.mul(sum, node.builder.scalar(1 / elementCount(spatial)));
}

function globalMax(node: NodeView): AnyNode {
  const x = node.x(0);
  const kernel = spatialOf(node, x);
  const ones = kernel.map(() => 1);
  const pads = [...kernel, ...kernel].fill(0);
  return node.builder.maxPool(x, { kernel, strides: ones, dilations: ones, pads, ceil: false });
}

export const poolingRules = {
  MaxPool: compute(maxPool, { data: [0] }),
  AveragePool: compute(averagePool, { data: [0] }),
  GlobalAveragePool: compute((node) => globalAverage(node, node.x(0)), { data: [0] }),
  GlobalMaxPool: compute(globalMax, { data: [0] }),
} satisfies Record<string, Rule>;
