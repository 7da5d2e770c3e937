import type { Shape } from '../../../graph/ir';
import { broadcastShapes, elementCount, formatShape } from '../../../graph/shapes';
import { DAMAGED, type NodeView } from '../node-view';

/** Operators that move elements and compute nothing. */

/** What the rules need of a tensor, be it a graph node or known values. `GraphBuilder` is one implementation. */
export interface LayoutAlgebra<T extends { readonly shape: Shape }> {
  reshape(x: T, shape: Shape): T;
  transpose(x: T, permutation: readonly number[]): T;
  expand(x: T, shape: Shape): T;
  /** Steps are positive. */
  slice(x: T, starts: readonly number[], steps: readonly number[], shape: Shape): T;
  gather(x: T, axis: number, indices: Int32Array): T;
  concat(inputs: readonly T[], axis: number): T;
}

export type LayoutRule = <T extends { readonly shape: Shape }>(
  node: NodeView,
  data: readonly T[],
  algebra: LayoutAlgebra<T>,
) => T[];

export const identity: LayoutRule = (_, [x]) => [x!];

export const reshape: LayoutRule = (node, [x], algebra) => {
  const target = node.opset < 5 ? node.ints('shape') : node.knownNumbers(1);
  const allowZero = node.int('allowzero', 0) !== 0;
  const from = x!.shape;
  const bound = rebatched(node, from, target, allowZero);
  const shape = (bound && resolveReshape(from, bound, allowZero)) ?? resolveReshape(from, target, allowZero);
  if (shape === null) {
    throw node.error(
      `${formatShape(from)} does not reshape to ${formatShape(target)}`,
      node.rebatch === null ? DAMAGED : 'export the network again with a dynamic batch axis',
    );
  }
  return [algebra.reshape(x!, shape)];
};

/**
 * A target that an exporter wrote down for its own batch size, with the batch
 * size that is bound now. Samples are independent, so a leading size that
 * equals the exported batch, of data that have the bound batch in front, is
 * the batch.
 */
function rebatched(node: NodeView, from: Shape, target: readonly number[], allowZero: boolean): number[] | null {
  const { rebatch } = node;
  if (rebatch === null || rebatch.from === rebatch.to || node.value(0).isKnown) return null;
  const leading = target[0] === 0 && !allowZero ? from[0] : target[0];
  return from[0] === rebatch.to && leading === rebatch.from ? [rebatch.to, ...target.slice(1)] : null;
}

/** The shape a Reshape target means; null when the elements do not fit. */
function resolveReshape(from: Shape, target: readonly number[], allowZero: boolean): number[] | null {
  const shape = target.map((size, axis) => (size === 0 && !allowZero ? (from[axis] ?? NaN) : size));
  const unknown = shape.indexOf(-1);
  const count = elementCount(from);
  if (unknown >= 0) {
    const others = shape.reduce((product, size, axis) => (axis === unknown ? product : product * size), 1);
    shape[unknown] = others === 0 ? 0 : count / others;
  }
  const fits = shape.every((size) => Number.isSafeInteger(size) && size >= 0) && elementCount(shape) === count;
  return fits ? shape : null;
}

export const flatten: LayoutRule = (node, [x], algebra) => {
  const axis = node.int('axis', 1);
  const rank = x!.shape.length;
  const split = axis < 0 ? axis + rank : axis;
  if (!(split >= 0 && split <= rank)) throw node.error(`axis ${axis} of a tensor of rank ${rank}`, DAMAGED);
  return [algebra.reshape(x!, [elementCount(x!.shape.slice(0, split)), elementCount(x!.shape.slice(split))])];
};

export const squeeze: LayoutRule = (node, [x], algebra) => {
  const asked = node.axesOrInput('axes', 1, 13);
  const { shape } = x!;
  const axes =
    asked === undefined ? shape.flatMap((size, axis) => (size === 1 ? [axis] : [])) : node.axes(asked, shape.length);
  const dropped = new Set(axes);
  for (const axis of dropped) {
    if (shape[axis] !== 1) throw node.error(`axis ${axis} of ${formatShape(shape)} is not 1`, DAMAGED);
  }
  const rest = shape.filter((_, axis) => !dropped.has(axis));
  return [algebra.reshape(x!, rest)];
};

export const unsqueeze: LayoutRule = (node, [x], algebra) => {
  const asked = node.axesOrInput('axes', 1, 13);
  if (asked === undefined) throw node.error('axes missing', DAMAGED);
  const rank = x!.shape.length + asked.length;
  const added = new Set(node.axes(asked, rank));
  const old = x!.shape.values();
  const shape = Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : old.next().value!));
  return [algebra.reshape(x!, shape)];
};

export const transpose: LayoutRule = (node, [x], algebra) => {
  const axes = x!.shape.map((_, axis) => axis);
  const permutation = node.axes(node.optionalInts('perm') ?? axes.reverse(), axes.length);
  if (permutation.length !== axes.length) {
    throw node.error(`permutation ${formatShape(permutation)} of ${formatShape(x!.shape)}`, DAMAGED);
  }
  return [algebra.transpose(x!, permutation)];
};

export const concat: LayoutRule = (node, inputs, algebra) => {
  const axis = node.axis(node.opset < 4 ? node.int('axis', 1) : node.requiredInt('axis'), inputs[0]!.shape.length);
  return [algebra.concat(inputs, axis)];
};

export const expand: LayoutRule = (node, [x], algebra) => [
  algebra.expand(x!, broadcastShapes(x!.shape, node.knownNumbers(1))),
];

export const tile: LayoutRule = (node, [x], algebra) => {
  const repeats = node.knownNumbers(1);
  const { shape } = x!;
  if (repeats.length !== shape.length || repeats.some((count) => count < 0)) {
    throw node.error(`repeats ${formatShape(repeats)} of ${formatShape(shape)}`, DAMAGED);
  }
  // [a, b] → [1, a, 1, b] → [r, a, s, b] → [r·a, s·b].
  const apart = shape.flatMap((size) => [1, size]);
  const wide = shape.flatMap((size, axis) => [repeats[axis]!, size]);
  const whole = shape.map((size, axis) => repeats[axis]! * size);
  return [algebra.reshape(algebra.expand(algebra.reshape(x!, apart), wide), whole)];
};

const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);

export const slice: LayoutRule = (node, [x], algebra) => {
  const byInput = node.opset >= 10;
  const begins = byInput ? node.knownNumbers(1) : node.ints('starts');
  const ends = byInput ? node.knownNumbers(2) : node.ints('ends');
  const asked = byInput ? (node.has(3) ? node.knownNumbers(3) : undefined) : node.optionalInts('axes');
  const rank = x!.shape.length;
  const axes = node.axes(asked ?? begins.map((_, i) => i), rank);
  const strides = byInput && node.has(4) ? node.knownNumbers(4) : begins.map(() => 1);
  if ([ends, axes, strides].some((list) => list.length !== begins.length) || strides.includes(0)) {
    throw node.error('starts, ends, axes and steps do not fit', DAMAGED);
  }
  const shape = [...x!.shape];
  const starts = shape.map(() => 0);
  const steps = shape.map(() => 1);
  const reversed: { axis: number; indices: Int32Array }[] = [];
  for (const [i, axis] of axes.entries()) {
    const size = x!.shape[axis]!;
    const step = strides[i]!;
    const absolute = (index: number): number => (index < 0 ? index + size : index);
    const from = clamp(absolute(begins[i]!), 0, step > 0 ? size : size - 1);
    const to = clamp(absolute(ends[i]!), step > 0 ? 0 : -1, size);
    const count = Math.max(0, Math.ceil((to - from) / step));
    if (step > 0 || count === 0) {
      starts[axis] = count === 0 ? 0 : from;
      steps[axis] = Math.max(1, Math.min(step, size));
      shape[axis] = count;
    } else {
      reversed.push({
        axis,
        indices: Int32Array.from({ length: node.tableSize(count, 'axis') }, (_, k) => from + k * step),
      });
    }
  }
  const forward = algebra.slice(x!, starts, steps, shape);
  return [reversed.reduce((result, { axis, indices }) => algebra.gather(result, axis, indices), forward)];
};

export const split: LayoutRule = (node, [x], algebra) => {
  const { shape } = x!;
  const axis = node.axis(node.int('axis', 0), shape.length);
  const size = shape[axis]!;
  const parts = node.axesOrInput('split', 1, 13) ?? equalParts(node, size);
  if (parts.reduce((sum, part) => sum + part, 0) !== size || parts.some((part) => part < 0)) {
    throw node.error(`parts ${formatShape(parts)} of axis ${axis} of ${formatShape(shape)}`, DAMAGED);
  }
  let start = 0;
  return parts.map((part) => {
    const starts = shape.map((_, a) => (a === axis && part > 0 ? start : 0));
    start += part;
    return algebra.slice(
      x!,
      starts,
      shape.map(() => 1),
      shape.with(axis, part),
    );
  });
};

function equalParts(node: NodeView, size: number): number[] {
  const count = node.opset >= 18 ? node.int('num_outputs', node.node.outputs.length) : node.node.outputs.length;
  const part = Math.ceil(size / count);
  // The last part is the smaller one where the size does not divide.
  return Array.from({ length: node.tableSize(count, 'num_outputs') }, (_, i) => clamp(size - i * part, 0, part));
}

export const gather: LayoutRule = (node, [x], algebra) => {
  const { shape } = x!;
  const axis = node.axis(node.int('axis', 0), shape.length);
  const size = shape[axis]!;
  const indices = node.known(1);
  const rows = Int32Array.from(indices.values, (index) => (index < 0 ? index + size : index));
  const wrong = rows.findIndex((row) => !(row >= 0 && row < size));
  if (wrong >= 0) throw node.error(`index ${indices.values[wrong]} of axis ${axis} of ${formatShape(shape)}`, DAMAGED);
  const gathered = algebra.gather(x!, axis, rows);
  return [algebra.reshape(gathered, [...shape.slice(0, axis), ...indices.shape, ...shape.slice(axis + 1)])];
};

function blockSize(node: NodeView, shape: Shape): number {
  const block = node.requiredInt('blocksize');
  if (shape.length !== 4 || block < 1) throw node.error(`block size ${block} of ${formatShape(shape)}`, DAMAGED);
  return block;
}

export const depthToSpace: LayoutRule = (node, [x], algebra) => {
  const b = blockSize(node, x!.shape);
  const [n, c, h, w] = x!.shape as [number, number, number, number];
  const deep = c / (b * b);
  const columnFirst = node.string('mode', 'DCR') === 'CRD';
  const apart = algebra.reshape(x!, columnFirst ? [n, deep, b, b, h, w] : [n, b, b, deep, h, w]);
  const moved = algebra.transpose(apart, columnFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]);
  return [algebra.reshape(moved, [n, deep, h * b, w * b])];
};

export const spaceToDepth: LayoutRule = (node, [x], algebra) => {
  const b = blockSize(node, x!.shape);
  const [n, c, h, w] = x!.shape as [number, number, number, number];
  const apart = algebra.reshape(x!, [n, c, h / b, b, w / b, b]);
  const channelFirst = node.string('mode', 'DCR') === 'CRD';
  const moved = algebra.transpose(apart, channelFirst ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4]);
  return [algebra.reshape(moved, [n, c * b * b, h / b, w / b])];
};
