import type { Shape } from '../../graph/ir';
import { broadcastShapes, elementCount, formatShape, rowMajorStrides, sameShape, ShapeError } from '../../graph/shapes';
import { elementInfo, type ElementType, type KnownTensor } from '../elements';
import type { LayoutAlgebra } from './rules/layout';

/**
 * Arithmetic on tensors whose values are known at import: what exporters
 * leave of shape computations. Plain loops; these tensors are small.
 */

/** More elements than any shape computation has; a larger result is a mistake or an attack. */
const MOST_ELEMENTS = 2 ** 28;

/** A tensor whose element `i` (row-major) is `value(i)`, rounded or wrapped to the type. */
export function tensorOf(type: ElementType, shape: Shape, value: (index: number) => number): KnownTensor {
  const count = elementCount(shape);
  if (!(count <= MOST_ELEMENTS)) throw new ShapeError(`tensor of ${formatShape(shape)} is too large`);
  const values = elementInfo[type].allocate(count);
  for (let i = 0; i < count; i++) values[i] = value(i);
  return { type, shape, values };
}

/**
 * For every element of `shape`, row-major: the index into a tensor that is
 * read with `strides` (one per axis, in elements) from `start`.
 */
function* offsets(shape: Shape, strides: readonly number[], start = 0): Generator<number> {
  const count = elementCount(shape);
  const position = new Array<number>(shape.length).fill(0);
  let at = start;
  for (let i = 0; i < count; i++) {
    yield at;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++position[axis]! < shape[axis]!) break;
      at -= strides[axis]! * shape[axis]!;
      position[axis] = 0;
    }
  }
}

/** The elements at `strides` from `start`, as a tensor of `shape`. */
function pick(x: KnownTensor, shape: Shape, strides: readonly number[], start = 0): KnownTensor {
  const walk = offsets(shape, strides, start);
  return tensorOf(x.type, shape, () => x.values[walk.next().value as number]!);
}

/** Strides that read a tensor of `from` as if it were broadcast to `to`. */
function broadcastStrides(from: Shape, to: Shape): number[] {
  const strides = rowMajorStrides(from);
  return to.map((_, axis) => {
    const own = axis - to.length + from.length;
    return own < 0 || from[own] === 1 ? 0 : strides[own]!;
  });
}

export const knownAlgebra: LayoutAlgebra<KnownTensor> = {
  reshape(x, shape) {
    if (elementCount(x.shape) !== elementCount(shape)) {
      throw new ShapeError(`reshape of ${formatShape(x.shape)} to ${formatShape(shape)}`);
    }
    return { ...x, shape };
  },
  transpose(x, permutation) {
    const strides = rowMajorStrides(x.shape);
    return pick(
      x,
      permutation.map((axis) => x.shape[axis]!),
      permutation.map((axis) => strides[axis]!),
    );
  },
  expand: (x, shape) => (sameShape(x.shape, shape) ? x : pick(x, shape, broadcastStrides(x.shape, shape))),
  slice(x, starts, steps, shape) {
    const strides = rowMajorStrides(x.shape);
    const start = starts.reduce((sum, index, axis) => sum + index * strides[axis]!, 0);
    return pick(
      x,
      shape,
      strides.map((stride, axis) => stride * steps[axis]!),
      start,
    );
  },
  gather(x, axis, indices) {
    const inner = elementCount(x.shape.slice(axis + 1));
    const size = x.shape[axis]!;
    const shape = x.shape.map((old, a) => (a === axis ? indices.length : old));
    return tensorOf(x.type, shape, (i) => {
      const outer = Math.floor(i / (inner * indices.length));
      const row = indices[Math.floor(i / inner) % indices.length]!;
      return x.values[(outer * size + row) * inner + (i % inner)]!;
    });
  },
  concat(inputs, axis) {
    const first = inputs[0]!;
    const shape = first.shape.map((size, a) =>
      a === axis ? inputs.reduce((sum, input) => sum + input.shape[axis]!, 0) : size,
    );
    for (const input of inputs) {
      if (!sameShape(input.shape.with(axis, 0), shape.with(axis, 0))) {
        throw new ShapeError(`concatenation of ${inputs.map((x) => formatShape(x.shape)).join(', ')}`);
      }
    }
    const result = tensorOf(first.type, shape, () => 0);
    const inner = elementCount(shape.slice(axis + 1));
    const row = shape[axis]! * inner;
    let done = 0;
    for (const input of inputs) {
      const width = input.shape[axis]! * inner;
      for (let i = 0; i < input.values.length; i++) {
        result.values[Math.floor(i / width) * row + done + (i % width)] = input.values[i]!;
      }
      done += width;
    }
    return result;
  },
};

/** `combine` of the elements of broadcast tensors. */
export function broadcastKnown(
  type: ElementType,
  inputs: readonly KnownTensor[],
  combine: (...values: number[]) => number,
): KnownTensor {
  const shape = inputs.map((x) => x.shape).reduce(broadcastShapes);
  const wide = inputs.map((x) => knownAlgebra.expand(x, shape).values);
  return tensorOf(type, shape, (i) => combine(...wide.map((values) => values[i]!)));
}

/** Folds the elements along `axes`, which stay with size 1. */
export function reduceKnown(
  x: KnownTensor,
  axes: readonly number[],
  initial: number,
  fold: (sum: number, value: number) => number,
): KnownTensor {
  const shape = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const result = tensorOf('float64', shape, () => initial);
  const walk = offsets(x.shape, broadcastStrides(shape, x.shape));
  for (const value of x.values) {
    const at = walk.next().value as number;
    result.values[at] = fold(result.values[at]!, value);
  }
  return tensorOf(x.type, shape, (i) => result.values[i]!);
}
