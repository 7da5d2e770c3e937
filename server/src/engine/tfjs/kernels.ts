import type { NamedTensorMap, Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import type { ConvAttributes, GraphNode, OpType, Shape } from '../../graph/ir';
import { elementCount } from '../../graph/shapes';
import type { Tf } from './find';

/** Computes a node of type T from its inputs. */
export type Kernel<T extends OpType> = (tf: Tf, inputs: readonly Tensor[], node: GraphNode<T>) => Tensor;

/** Ops that are there before anything is computed, and those that `tfjsLowering` leaves none of. */
export type LoweredOp =
  | 'input'
  | 'parameter'
  | 'constant'
  | 'sign'
  | 'maxPool'
  | 'maxPoolGather'
  | 'maxPoolScatter'
  | 'standardize'
  | 'standardizeGrad'
  | 'variance';

const unary =
  (op: 'neg' | 'exp' | 'log' | 'sqrt' | 'reciprocal' | 'tanh' | 'sigmoid' | 'erf' | 'relu' | 'abs'): Kernel<OpType> =>
  (tf, [x]) =>
    tf[op](x!);

const binary =
  (op: 'add' | 'sub' | 'mul' | 'div' | 'pow'): Kernel<OpType> =>
  (tf, [a, b]) =>
    tf[op](a!, b!);

/**
 * Every op with forward kernels of TensorFlow.js. Nothing here uses its
 * gradients, which are silently wrong when nested.
 */
export const kernels: { readonly [T in Exclude<OpType, LoweredOp>]: Kernel<T> } = {
  neg: unary('neg'),
  exp: unary('exp'),
  log: unary('log'),
  sqrt: unary('sqrt'),
  reciprocal: unary('reciprocal'),
  tanh: unary('tanh'),
  sigmoid: unary('sigmoid'),
  erf: unary('erf'),
  relu: unary('relu'),
  abs: unary('abs'),
  step: (tf, [x]) => tf.cast(tf.greater(x!, 0), 'float32'),
  add: binary('add'),
  sub: binary('sub'),
  mul: binary('mul'),
  div: binary('div'),
  pow: binary('pow'),
  where: (tf, [mask, a, b]) => tf.where(tf.notEqual(mask!, 0), a!, b!),
  matmul: (tf, [a, b], { attributes: { transposeA, transposeB }, shape }) => {
    const lead = shape.slice(0, -2);
    const matrices = (x: Tensor): Tensor =>
      tf.reshape(tf.broadcastTo(x, [...lead, ...x.shape.slice(-2)]), [elementCount(lead), ...x.shape.slice(-2)]);
    return tf.reshape(tf.matMul(matrices(a!), matrices(b!), transposeA, transposeB), [...shape]);
  },
  conv: (tf, [x, w], { attributes }) => {
    const { strides, pads } = attributes;
    const image = padImage(tf, toChannelsLast(tf, x!), pads);
    const y = tf.conv2d(image, toFilter(tf, w!), strides as [number, number], 'valid');
    return toChannelsFirst(tf, y);
  },
  convInputGrad: (tf, [g, w], { attributes, shape }) => {
    const padded = paddedImage(shape, attributes);
    const inputs = { dy: toChannelsLast(tf, g!), filter: toFilter(tf, w!) };
    const grad = tf.engine().runKernel<Tensor4D>('Conv2DBackpropInput', inputs as unknown as NamedTensorMap, {
      ...convolutionOf(attributes),
      inputShape: padded,
    });
    const [top, left] = attributes.pads as readonly [number, number];
    const inner = tf.slice(grad, [0, top, left, 0], [shape[0]!, shape[2]!, shape[3]!, shape[1]!]);
    return toChannelsFirst(tf, inner);
  },
  convWeightGrad: (tf, [x, g], { attributes, shape }) => {
    const inputs = {
      x: padImage(tf, toChannelsLast(tf, x!), attributes.pads),
      dy: toChannelsLast(tf, g!),
    };
    const [outputs, channels, height, width] = shape as readonly [number, number, number, number];
    const filter = tf.engine().runKernel<Tensor4D>('Conv2DBackpropFilter', inputs as unknown as NamedTensorMap, {
      ...convolutionOf(attributes),
      filterShape: [height, width, channels, outputs],
    });
    return tf.transpose(filter, [3, 2, 0, 1]);
  },
  reshape: (tf, [x], { attributes: { shape } }) => tf.reshape(x!, [...shape]),
  transpose: (tf, [x], { attributes: { permutation } }) => tf.transpose(x!, [...permutation]),
  expand: (tf, [x], { attributes: { shape } }) => tf.broadcastTo(x!, [...shape]),
  reduceSum: (tf, [x], { attributes: { axes } }) => tf.sum(x!, [...axes], true),
  slice: (tf, [x], { attributes: { starts, steps, shape } }) => {
    if (steps.every((step) => step === 1)) return tf.slice(x!, [...starts], [...shape]);
    const ends = starts.map((start, axis) => start + (shape[axis]! - 1) * steps[axis]! + 1);
    return tf.stridedSlice(x!, [...starts], ends, [...steps]);
  },
  embed: (tf, [x], { attributes: { starts, steps, shape } }) => {
    let value = x!;
    if (steps.some((step) => step > 1)) {
      // One axis at a time: few kernels know tensors of many.
      steps.forEach((step, axis) => {
        if (step > 1) value = spread(tf, value, axis, step, shape[axis]! - starts[axis]!);
      });
    }
    const pads = starts.map((start, axis): [number, number] => [start, shape[axis]! - start - value.shape[axis]!]);
    return tf.pad(value, pads);
  },
  concat: (tf, inputs, { attributes: { axis } }) => tf.concat([...inputs], axis),
  gather: (tf, [x], { attributes: { axis, indices } }) => tf.gather(x!, tf.tensor1d(indices, 'int32'), axis),
  scatterAdd: (tf, [x], { attributes: { axis, indices, size } }) => {
    const order = [axis, ...x!.shape.keys()].filter((a, i) => i === 0 || a !== axis);
    const rows = tf.transpose(x!, order);
    const sums = tf.unsortedSegmentSum(rows, tf.tensor1d(indices, 'int32'), size);
    return tf.transpose(
      sums,
      order.map((_, a) => order.indexOf(a)),
    );
  },
  softmax: (tf, [x], { attributes: { axis } }) => {
    const shifted = tf.exp(tf.sub(x!, tf.max(x!, axis, true)));
    return tf.div(shifted, tf.sum(shifted, axis, true));
  },
  logSoftmax: (tf, [x], { attributes: { axis } }) => {
    const shifted = tf.sub(x!, tf.max(x!, axis, true));
    return tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), axis, true)));
  },
};

/** step − 1 zeros behind every element of an axis, of which at most `room` elements are kept. */
function spread(tf: Tf, x: Tensor, axis: number, step: number, room: number): Tensor {
  const { shape } = x;
  const before = shape.slice(0, axis).reduce((a, b) => a * b, 1);
  const after = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const rows = tf.reshape(x, [before, shape[axis]!, 1, after]);
  const padded = tf.pad(rows, [
    [0, 0],
    [0, 0],
    [0, step - 1],
    [0, 0],
  ]);
  const whole = [before, shape[axis]! * step, after] as const;
  const kept = Math.min(whole[1], room);
  const cut = tf.slice(tf.reshape(padded, [...whole]), [0, 0, 0], [before, kept, after]);
  return tf.reshape(cut, [...shape.slice(0, axis), kept, ...shape.slice(axis + 1)]);
}

/** [N,C,H,W] → [N,H,W,C]. */
function toChannelsLast(tf: Tf, x: Tensor): Tensor4D {
  return tf.transpose(x as Tensor4D, [0, 2, 3, 1]);
}

function toChannelsFirst(tf: Tf, x: Tensor): Tensor {
  return tf.transpose(x, [0, 3, 1, 2]);
}

/** [K,C,H,W] → [H,W,C,K]. */
function toFilter(tf: Tf, w: Tensor): Tensor4D {
  return tf.transpose(w as Tensor4D, [2, 3, 1, 0]);
}

/** The native binding takes no explicit pads. */
function padImage(tf: Tf, x: Tensor4D, [top, left, bottom, right]: readonly number[]): Tensor4D {
  if (top === 0 && left === 0 && bottom === 0 && right === 0) return x;
  return tf.pad(x, [
    [0, 0],
    [top!, bottom!],
    [left!, right!],
    [0, 0],
  ]);
}

function paddedImage([samples, channels, height, width]: Shape, { pads }: ConvAttributes): number[] {
  return [samples!, height! + pads[0]! + pads[2]!, width! + pads[1]! + pads[3]!, channels!];
}

function convolutionOf({ strides }: ConvAttributes): { strides: number[]; pad: 'valid'; dataFormat: 'NHWC' } {
  return { strides: [...strides], pad: 'valid', dataFormat: 'NHWC' };
}
