import type { GraphBuilder } from '../../graph/builder';
import type { AnyNode, ConvAttributes, GraphNode, Shape } from '../../graph/ir';
import { elementCount } from '../../graph/shapes';
import { lowerSign, wholePoolLowering, type LoweringRules } from '../lowering';

/**
 * TensorFlow has fast kernels for plain convolutions of images and for their
 * adjoints. Groups, dilations, and one or three spatial axes are written as
 * one product of matrices per position in the kernel:
 *
 *     conv         y = Σ_k W_k · x[window k]
 *     input grad   x = Σ_k embed(W_kᵀ · g, window k)
 *     weight grad  W_k = Σ_samples g · x[window k]ᵀ
 */
export const tfjsLowering: LoweringRules = {
  sign: lowerSign,
  ...wholePoolLowering,
  standardize: (b, [x], { attributes: { epsilon } }) => standardized(b, x!, epsilon).y,
  standardizeGrad: (b, [x, g], { attributes: { epsilon } }) => {
    const { y, deviation } = standardized(b, x!, epsilon);
    const shared = b.add(b.mul(y, b.channelMean(b.mul(g!, y))), b.channelMean(g!));
    return b.div(b.sub(g!, shared), deviation);
  },
  variance: (b, [x]) => centred(b, x!).variance,
  conv: (b, [x, w], { attributes, shape }) => {
    if (isPlain(w!.shape, attributes)) return undefined;
    const geometry = windowsOf(b, x!, shape, attributes, w!.shape.slice(2));
    const { group, samples, pixels } = geometry;
    const products = geometry.offsets.map((offset) =>
      b.matmul(kernelMatrix(b, w!, offset, group), geometry.window(offset)),
    );
    const sum = products.reduce((total, product) => b.add(total, product));
    return b.reshape(b.reshape(sum, [samples, shape[1]!, pixels]), shape);
  },
  convInputGrad: (b, [g, w], { attributes, shape }) => {
    if (isPlain(w!.shape, attributes)) return undefined;
    const { strides, dilations, pads, group } = attributes;
    const rank = shape.length - 2;
    const [samples, outputs] = [g!.shape[0]!, g!.shape[1]! / group];
    const matrix = b.reshape(g!, [samples, group, outputs, elementCount(g!.shape.slice(2))]);
    const padded = paddedShape(shape, pads);
    const parts = offsetsOf(w!.shape.slice(2)).map((offset) => {
      const product = b.matmul(kernelMatrix(b, w!, offset, group), matrix, true, false);
      const image = b.reshape(product, [samples, shape[1]!, ...g!.shape.slice(2)]);
      const starts = offset.map((k, axis) => k * dilations[axis]!);
      return b.embed(image, [0, 0, ...starts], [1, 1, ...strides], padded);
    });
    const sum = parts.reduce((total, part) => b.add(total, part));
    return b.slice(
      sum,
      [0, 0, ...pads.slice(0, rank)],
      shape.map(() => 1),
      shape,
    );
  },
  convWeightGrad: (b, [x, g], { attributes, shape }) => {
    if (isPlain(shape, attributes)) return undefined;
    const geometry = windowsOf(b, x!, g!.shape, attributes, attributes.kernelShape);
    const { group, samples, pixels } = geometry;
    const matrix = b.reshape(g!, [samples, group, g!.shape[1]! / group, pixels]);
    const taps = geometry.offsets.map((offset) => {
      const product = b.reduceSum(b.matmul(matrix, geometry.window(offset), false, true), [0]);
      return b.reshape(product, [shape[0]!, shape[1]!, 1]);
    });
    return b.reshape(b.concat(taps, 2), shape);
  },
};

/** Deviations from the channels' means, and the variances. */
function centred(b: GraphBuilder, x: AnyNode): { values: AnyNode; variance: AnyNode } {
  const values = b.sub(x, b.channelMean(x));
  return { values, variance: b.channelMean(b.mul(values, values)) };
}

function standardized(b: GraphBuilder, x: AnyNode, epsilon: number): { y: AnyNode; deviation: AnyNode } {
  const { values, variance } = centred(b, x);
  const deviation = b.sqrt(b.add(variance, b.scalar(epsilon)));
  return { y: b.div(values, deviation), deviation };
}

/** Whether the three convolution kernels of TensorFlow do it. Their adjoints know no dilation. */
function isPlain(w: Shape, { group, dilations }: ConvAttributes): boolean {
  return w.length === 4 && group === 1 && dilations.every((dilation) => dilation === 1);
}

function paddedShape(shape: Shape, pads: readonly number[]): number[] {
  const rank = shape.length - 2;
  return shape.map((size, axis) => (axis < 2 ? size : size + pads[axis - 2]! + pads[axis - 2 + rank]!));
}

function offsetsOf(kernel: Shape): number[][] {
  return kernel.reduce<number[][]>(
    (known, size) => known.flatMap((offset) => Array.from({ length: size }, (_, k) => [...offset, k])),
    [[]],
  );
}

/** [K, C/g, …] → [g, K/g, C/g] at one position. */
function kernelMatrix(b: GraphBuilder, w: AnyNode, offset: readonly number[], group: number): AnyNode {
  const [outputs, inputs] = w.shape as readonly [number, number];
  const tap = b.slice(
    w,
    [0, 0, ...offset],
    w.shape.map(() => 1),
    [outputs, inputs, ...offset.map(() => 1)],
  );
  return b.reshape(tap, [group, outputs / group, inputs]);
}

/** What each position in the kernel meets of x, as [N, g, C/g, pixels]. */
function windowsOf(
  b: GraphBuilder,
  x: AnyNode,
  out: Shape,
  { strides, dilations, pads, group }: GraphNode<'conv'>['attributes'],
  kernel: Shape,
) {
  const rank = kernel.length;
  const padded = b.embed(
    x,
    [0, 0, ...pads.slice(0, rank)],
    x.shape.map(() => 1),
    paddedShape(x.shape, pads),
  );
  const [samples, channels] = x.shape as readonly [number, number];
  const pixels = elementCount(out.slice(2));
  const window = (offset: readonly number[]): AnyNode => {
    const starts = offset.map((k, axis) => k * dilations[axis]!);
    const part = b.slice(padded, [0, 0, ...starts], [1, 1, ...strides], [samples, channels, ...out.slice(2)]);
    return b.reshape(part, [samples, group, channels / group, pixels]);
  };
  return { offsets: offsetsOf(kernel), window, group, samples, pixels };
}
