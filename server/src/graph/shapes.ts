import type { ConvAttributes, OpAttributes, OpType, PoolAttributes, Shape } from './ir';

/** Number of elements. */
export function elementCount(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/** Row-major strides in elements. */
export function rowMajorStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!;
  return strides;
}

/** A graph was put together wrongly; readers turn it into an error that names the node. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

/** numpy broadcasting of two shapes. */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  const result: number[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const sizeA = a[axis - rank + a.length] ?? 1;
    const sizeB = b[axis - rank + b.length] ?? 1;
    if (sizeA !== sizeB && sizeA !== 1 && sizeB !== 1) {
      throw new ShapeError(`shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast`);
    }
    result.push(sizeA === 1 ? sizeB : sizeA);
  }
  return result;
}

/** Spatial output sizes of a convolution. */
export function convOutputSizes(spatial: Shape, kernel: Shape, attributes: ConvAttributes): number[] {
  const rank = spatial.length;
  return spatial.map((size, axis) => {
    const extent = attributes.dilations[axis]! * (kernel[axis]! - 1) + 1;
    const padded = size + attributes.pads[axis]! + attributes.pads[axis + rank]!;
    return Math.floor((padded - extent) / attributes.strides[axis]!) + 1;
  });
}

function poolOutputSizes(spatial: Shape, attributes: PoolAttributes): number[] {
  const rank = spatial.length;
  return spatial.map((size, axis) => {
    const extent = attributes.dilations[axis]! * (attributes.kernel[axis]! - 1) + 1;
    const begin = attributes.pads[axis]!;
    const steps = (size + begin + attributes.pads[axis + rank]! - extent) / attributes.strides[axis]!;
    let out = (attributes.ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
    // A window that starts in the end padding holds nothing (ONNX ceil_mode).
    if (attributes.ceil && (out - 1) * attributes.strides[axis]! >= size + begin) out--;
    return out;
  });
}

function requireThat(condition: boolean, message: () => string): void {
  if (!condition) throw new ShapeError(message());
}

type ShapeRule<T extends OpType> = (inputs: readonly Shape[], attributes: OpAttributes[T], declared: Shape) => Shape;

const asInput = ([x]: readonly Shape[]): Shape => x!;
const broadcast = ([a, b]: readonly Shape[]): Shape => broadcastShapes(a!, b!);
const asDeclared = (_: readonly Shape[], __: object, declared: Shape): Shape => declared;

function checkConv(x: Shape, w: Shape, attributes: ConvAttributes): void {
  requireThat(
    x.length === w.length && x.length >= 3 && x[1]! === w[1]! * attributes.group && w[0]! % attributes.group === 0,
    () => `convolution of ${formatShape(x)} with weights ${formatShape(w)} in ${attributes.group} groups`,
  );
}

/** Result shape per op; throws `ShapeError` where the inputs do not fit. Total over the op type. */
export const shapeRules: { readonly [T in OpType]: ShapeRule<T> } = {
  input: asDeclared,
  parameter: asDeclared,
  constant: (_, { value }, declared) => {
    requireThat(
      value.length === elementCount(declared),
      () => `constant of ${value.length} values as ${formatShape(declared)}`,
    );
    return declared;
  },
  neg: asInput,
  exp: asInput,
  log: asInput,
  sqrt: asInput,
  reciprocal: asInput,
  tanh: asInput,
  sigmoid: asInput,
  erf: asInput,
  relu: asInput,
  abs: asInput,
  sign: asInput,
  step: asInput,
  add: broadcast,
  sub: broadcast,
  mul: broadcast,
  div: broadcast,
  pow: broadcast,
  where: ([mask, a, b]) => broadcastShapes(mask!, broadcastShapes(a!, b!)),
  matmul: ([a, b], { transposeA, transposeB }) => {
    requireThat(a!.length >= 2 && b!.length >= 2, () => `matrix product of ${formatShape(a!)} and ${formatShape(b!)}`);
    const [m, k] = transposeA ? [a!.at(-1)!, a!.at(-2)!] : [a!.at(-2)!, a!.at(-1)!];
    const [k2, n] = transposeB ? [b!.at(-1)!, b!.at(-2)!] : [b!.at(-2)!, b!.at(-1)!];
    requireThat(
      k === k2,
      () => `matrix product of ${formatShape(a!)} and ${formatShape(b!)}: inner sizes ${k} and ${k2} differ`,
    );
    return [...broadcastShapes(a!.slice(0, -2), b!.slice(0, -2)), m, n];
  },
  conv: ([x, w], attributes) => {
    checkConv(x!, w!, attributes);
    const spatial = convOutputSizes(x!.slice(2), w!.slice(2), attributes);
    requireThat(
      spatial.every((size) => size > 0),
      () => `convolution of ${formatShape(x!)} with kernel ${formatShape(w!)}: empty result`,
    );
    return [x![0]!, w![0]!, ...spatial];
  },
  convInputGrad: ([g, w], attributes) => {
    const shape = [g![0]!, w![1]! * attributes.group, ...attributes.inputShape];
    checkConv(shape, w!, attributes);
    requireThat(
      g![1] === w![0] && sameShape(g!.slice(2), convOutputSizes(attributes.inputShape, w!.slice(2), attributes)),
      () => `transposed convolution of ${formatShape(g!)} with weights ${formatShape(w!)} to ${formatShape(shape)}`,
    );
    return shape;
  },
  convWeightGrad: ([x, g], attributes) => {
    const shape = [g![1]!, x![1]! / attributes.group, ...attributes.kernelShape];
    checkConv(x!, shape, attributes);
    requireThat(
      g![0] === x![0] && sameShape(g!.slice(2), convOutputSizes(x!.slice(2), attributes.kernelShape, attributes)),
      () => `weight gradient of ${formatShape(x!)} and ${formatShape(g!)}`,
    );
    return shape;
  },
  reshape: ([x], { shape }) => {
    requireThat(
      elementCount(x!) === elementCount(shape),
      () => `reshape of ${formatShape(x!)} to ${formatShape(shape)}`,
    );
    return shape;
  },
  transpose: ([x], { permutation }) => {
    const seen = new Set(permutation);
    requireThat(
      permutation.length === x!.length &&
        seen.size === x!.length &&
        permutation.every((axis) => axis >= 0 && axis < x!.length),
      () => `transpose of ${formatShape(x!)} by ${formatShape(permutation)}`,
    );
    return permutation.map((axis) => x![axis]!);
  },
  expand: ([x], { shape }) => {
    requireThat(
      sameShape(broadcastShapes(x!, shape), shape),
      () => `expansion of ${formatShape(x!)} to ${formatShape(shape)}`,
    );
    return shape;
  },
  reduceSum: ([x], { axes }) => {
    requireThat(
      axes.every((axis) => axis >= 0 && axis < x!.length),
      () => `sum of ${formatShape(x!)} over axes ${formatShape(axes)}`,
    );
    return x!.map((size, axis) => (axes.includes(axis) ? 1 : size));
  },
  slice: ([x], { starts, steps, shape }) => {
    checkWindow(x!, starts, steps, shape);
    return shape;
  },
  embed: ([x], { starts, steps, shape }) => {
    checkWindow(shape, starts, steps, x!);
    return shape;
  },
  concat: (inputs, { axis }) => {
    const first = inputs[0]!;
    for (const shape of inputs) {
      requireThat(
        shape.length === first.length && shape.every((size, a) => a === axis || size === first[a]),
        () => `concatenation of ${inputs.map(formatShape).join(', ')} along axis ${axis}`,
      );
    }
    return first.map((size, a) => (a === axis ? inputs.reduce((sum, shape) => sum + shape[axis]!, 0) : size));
  },
  gather: ([x], { axis, indices }) => {
    requireThat(axis >= 0 && axis < x!.length, () => `gather along axis ${axis} of ${formatShape(x!)}`);
    for (const index of indices)
      requireThat(
        index >= 0 && index < x![axis]!,
        () => `gather index ${index} of ${formatShape(x!)} along axis ${axis}`,
      );
    return x!.map((size, a) => (a === axis ? indices.length : size));
  },
  scatterAdd: ([x], { axis, indices, size }) => {
    requireThat(
      x![axis] === indices.length,
      () => `scatter of ${formatShape(x!)} by ${indices.length} indices along axis ${axis}`,
    );
    for (const index of indices)
      requireThat(index >= 0 && index < size, () => `scatter index ${index} into ${size} along axis ${axis}`);
    return x!.map((old, a) => (a === axis ? size : old));
  },
  maxPool: ([x], attributes) => [...x!.slice(0, 2), ...poolOutputSizes(x!.slice(2), attributes)],
  maxPoolGather: ([x, t], attributes) => {
    requireThat(sameShape(x!, t!), () => `max-pool selection of ${formatShape(t!)} by ${formatShape(x!)}`);
    return [...x!.slice(0, 2), ...poolOutputSizes(x!.slice(2), attributes)];
  },
  maxPoolScatter: ([x, g], attributes) => {
    const out = [...x!.slice(0, 2), ...poolOutputSizes(x!.slice(2), attributes)];
    requireThat(sameShape(g!, out), () => `max-pool gradient ${formatShape(g!)} for ${formatShape(x!)}`);
    return x!;
  },
  standardize: ([x]) => {
    requireThat(x!.length >= 2, () => `moments of the channels of ${formatShape(x!)}`);
    return x!;
  },
  standardizeGrad: ([x, g]) => {
    requireThat(x!.length >= 2 && sameShape(x!, g!), () => `gradient ${formatShape(g!)} for ${formatShape(x!)}`);
    return x!;
  },
  variance: ([x]) => {
    requireThat(x!.length >= 2, () => `moments of the channels of ${formatShape(x!)}`);
    return x!.map((size, axis) => (axis === 1 ? size : 1));
  },
  softmax: asInput,
  logSoftmax: asInput,
};

function checkWindow(whole: Shape, starts: Shape, steps: Shape, window: Shape): void {
  const fits =
    [starts, steps, window].every((list) => list.length === whole.length) &&
    whole.every((size, axis) => {
      const last = starts[axis]! + (window[axis]! - 1) * steps[axis]!;
      return window[axis] === 0 || (steps[axis]! >= 1 && starts[axis]! >= 0 && last < size);
    });
  requireThat(
    fits,
    () => `window ${formatShape(window)} from ${formatShape(starts)} by ${formatShape(steps)} of ${formatShape(whole)}`,
  );
}
