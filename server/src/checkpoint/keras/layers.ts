import { activate, activationLayers } from './activations';
import type { KerasLayer, KerasValue } from './layer';

/** What each layer of Keras means, in evaluation mode, as nodes in ONNX's terms. */

export type LayerRule = (layer: KerasLayer) => KerasValue;

const identity: LayerRule = (layer) => layer.x;

function window(layer: KerasLayer, kernel: readonly [number, number], strides: readonly [number, number]) {
  const padding = layer.get('padding') ?? 'valid';
  if (padding !== 'valid' && padding !== 'same') throw layer.error(`padding not supported: ${JSON.stringify(padding)}`);
  // TensorFlow puts an odd pixel of padding at the end.
  return { kernel_shape: kernel, strides, auto_pad: padding === 'same' ? 'SAME_UPPER' : 'VALID' };
}

/** A convolution by a kernel that is already [K, C/g, kh, kw], and its bias. */
function convolved(
  layer: KerasLayer,
  x: KerasValue,
  kernel: string,
  size: readonly [number, number],
  group: number,
  bias: string | undefined,
): KerasValue {
  const dilations = layer.pair('dilation_rate', 1);
  const attributes = { ...window(layer, size, layer.pair('strides', 1)), dilations, group };
  return layer.add('Conv', [x.name, kernel, ...(bias === undefined ? [] : [bias])], attributes, x);
}

const biased = (layer: KerasLayer): string[] => (layer.flag('use_bias', true) ? ['bias'] : []);

/** kernel [kh, kw, C/g, K] */
const conv2d: LayerRule = (layer) => {
  const x = layer.channelsFirst(layer.x);
  const [kernel, bias] = layer.weights(['kernel', ...biased(layer)]);
  const first = layer.nodes.add('Transpose', [kernel!.name], { perm: [3, 2, 0, 1] });
  const size = [kernel!.shape[0] ?? 1, kernel!.shape[1] ?? 1] as const;
  return activate(layer, convolved(layer, x, first, size, layer.number('groups', 1), bias?.name));
};

/** A kernel [kh, kw, C, M], M results per channel, as [C·M, 1, kh, kw]. */
function depthwiseKernel(layer: KerasLayer, name: string, shape: readonly number[]): string {
  const [kh = 1, kw = 1, channels = 1, multiplier = 1] = shape;
  const moved = layer.nodes.add('Transpose', [name], { perm: [2, 3, 0, 1] });
  return layer.nodes.add('Reshape', [moved, layer.nodes.integers([channels * multiplier, 1, kh, kw])]);
}

const depthwise: LayerRule = (layer) => {
  const x = layer.channelsFirst(layer.x);
  const [kernel, bias] = layer.weights(['depthwise_kernel', ...biased(layer)]);
  const { name, shape } = kernel!;
  const size = [shape[0] ?? 1, shape[1] ?? 1] as const;
  return activate(layer, convolved(layer, x, depthwiseKernel(layer, name, shape), size, shape[2] ?? 1, bias?.name));
};

const separable: LayerRule = (layer) => {
  const x = layer.channelsFirst(layer.x);
  const [deep, point, bias] = layer.weights(['depthwise_kernel', 'pointwise_kernel', ...biased(layer)]);
  const { name, shape } = deep!;
  const size = [shape[0] ?? 1, shape[1] ?? 1] as const;
  const inner = convolved(layer, x, depthwiseKernel(layer, name, shape), size, shape[2] ?? 1, undefined);
  const kernel = layer.nodes.add('Transpose', [point!.name], { perm: [3, 2, 0, 1] });
  const inputs = [inner.name, kernel, ...(bias === undefined ? [] : [bias.name])];
  return activate(layer, layer.add('Conv', inputs, { kernel_shape: [1, 1] }, x));
};

/** kernel [in, out], along the last axis. */
const dense: LayerRule = (layer) => {
  const x = layer.asKeras(layer.x);
  const [kernel, bias] = layer.weights(['kernel', ...biased(layer)]);
  const inputs = [x.name, kernel!.name];
  if (x.rank === 2) return activate(layer, layer.add('Gemm', [...inputs, ...(bias ? [bias.name] : [])], {}, x));
  const product = layer.add('MatMul', inputs, {}, x);
  return activate(layer, bias === undefined ? product : layer.add('Add', [product.name, bias.name], {}, x));
};

function batchNormalization(layer: KerasLayer): KerasValue {
  const { x } = layer;
  const axis = layer.get('axis') ?? -1;
  const last = Array.isArray(axis) ? (axis as readonly unknown[])[0] : axis;
  if (last !== -1 && last !== x.rank - 1) throw layer.error('only the last axis is supported');
  const [scale, shift] = [layer.flag('scale', true), layer.flag('center', true)];
  const parts = [...(scale ? ['gamma'] : []), ...(shift ? ['beta'] : []), 'moving_mean', 'moving_variance'];
  const tensors = layer.weights(parts);
  const channels = tensors.at(-1)!.shape[0] ?? 1;
  const constant = (value: number): string => layer.nodes.floats(new Array<number>(channels).fill(value));
  const gamma = scale ? tensors[0]!.name : constant(1);
  const beta = shift ? tensors[scale ? 1 : 0]!.name : constant(0);
  const inputs = [gamma, beta, tensors.at(-2)!.name, tensors.at(-1)!.name];
  const epsilon = layer.number('epsilon', 1e-3);
  const first = x.rank === 4 ? layer.channelsFirst(x) : x;
  if (first.rank > 2 && !first.channelsFirst) throw layer.error(`input of rank ${x.rank} is not supported`);
  return layer.add('BatchNormalization', [first.name, ...inputs], { epsilon }, first);
}

function layerNormalization(layer: KerasLayer): KerasValue {
  const x = layer.asKeras(layer.x);
  const axis = layer.get('axis') ?? -1;
  const last = Array.isArray(axis) ? (axis as readonly unknown[]) : [axis];
  if (last.length !== 1 || (last[0] !== -1 && last[0] !== x.rank - 1)) {
    throw layer.error('only the last axis is supported');
  }
  const [scale, shift] = [layer.flag('scale', true), layer.flag('center', true)];
  const tensors = layer.weights([...(scale ? ['gamma'] : []), ...(shift ? ['beta'] : [])]);
  const gamma = scale ? tensors[0]!.name : layer.nodes.scalar(1);
  const inputs = [x.name, gamma, ...(shift ? [tensors[scale ? 1 : 0]!.name] : [])];
  return layer.add('LayerNormalization', inputs, { axis: -1, epsilon: layer.number('epsilon', 1e-3) }, x);
}

const pool =
  (op: 'MaxPool' | 'AveragePool'): LayerRule =>
  (layer) => {
    const x = layer.channelsFirst(layer.x);
    const size = layer.pair('pool_size', 2);
    const strides = (layer.get('strides') ?? null) === null ? size : layer.pair('strides', 1);
    return layer.add(op, [x.name], window(layer, size, strides), x);
  };

const globalPool =
  (op: 'GlobalAveragePool' | 'GlobalMaxPool'): LayerRule =>
  (layer) => {
    const x = layer.channelsFirst(layer.x);
    const pooled = layer.add(op, [x.name], {}, x);
    if (layer.get('keepdims') === true) return pooled;
    const flat = layer.add('Flatten', [pooled.name], { axis: 1 });
    return { ...flat, rank: 2, channelsFirst: false };
  };

const flatten: LayerRule = (layer) => {
  const x = layer.asKeras(layer.x);
  return x.rank === 2 ? x : { ...layer.add('Flatten', [x.name], { axis: 1 }, x), rank: 2 };
};

const reshape: LayerRule = (layer) => {
  const x = layer.asKeras(layer.x);
  const target = layer.get('target_shape');
  if (!Array.isArray(target) || !target.every((size) => typeof size === 'number')) {
    throw layer.error('target_shape is no shape');
  }
  const sizes = layer.nodes.integers([0, ...(target as number[])]);
  return { ...layer.add('Reshape', [x.name, sizes], {}, x), rank: target.length + 1 };
};

/** Begin and end of height and width: a number, one per axis, or two per axis. */
function margins(layer: KerasLayer, key: string): readonly [number, number, number, number] {
  const value = layer.get(key) ?? 1;
  const axes = Array.isArray(value) ? (value as readonly unknown[]) : [value, value];
  const [[top, bottom], [left, right]] = [0, 1].map((i) => (Array.isArray(axes[i]) ? axes[i] : [axes[i], axes[i]])) as [
    unknown[],
    unknown[],
  ];
  const all = [top, bottom, left, right];
  if (!all.every((size) => Number.isInteger(size) && (size as number) >= 0)) throw layer.error(`${key} is no size`);
  return all as [number, number, number, number];
}

const zeroPadding: LayerRule = (layer) => {
  const x = layer.channelsFirst(layer.x);
  const [top, bottom, left, right] = margins(layer, 'padding');
  return layer.add('Pad', [x.name, layer.nodes.integers([0, 0, top, left, 0, 0, bottom, right])], {}, x);
};

const cropping: LayerRule = (layer) => {
  const x = layer.channelsFirst(layer.x);
  const [top, bottom, left, right] = margins(layer, 'cropping');
  const bounds = [[top, left], [bottom, right].map((size) => (size === 0 ? 2 ** 31 - 1 : -size)), [2, 3]];
  return layer.add('Slice', [x.name, ...bounds.map((list) => layer.nodes.integers(list))], {}, x);
};

const elementwise =
  (op: 'Add' | 'Sub' | 'Mul' | 'Max' | 'Min'): LayerRule =>
  (layer) => {
    const [first, ...rest] = layer.alike();
    if (first === undefined || rest.length === 0) throw layer.error('two inputs or more are needed');
    return rest.reduce((sum, x) => layer.add(op, [sum.name, x.name], {}, first), first);
  };

const concatenate: LayerRule = (layer) => {
  const values = layer.alike();
  if (values.length === 0) throw layer.error('it has no inputs');
  const { rank, channelsFirst } = values[0]!;
  const axis = layer.number('axis', -1);
  const keras = axis < 0 ? axis + rank : axis;
  // Where each axis of Keras's [N, H, W, C] stands.
  const place = channelsFirst ? [0, 2, 3, 1][keras] : keras;
  if (place === undefined || place < 1) throw layer.error(`axis ${axis} of rank ${rank}`);
  const names = values.map(({ name }) => name);
  return layer.add('Concat', names, { axis: place }, values[0]);
};

/** scale·x + offset, one for all or one per channel. */
const rescaling: LayerRule = (layer) => {
  const x = layer.asKeras(layer.x);
  const constant = (key: string, fallback: number): string => {
    const value = layer.get(key) ?? fallback;
    if (typeof value === 'number') return layer.nodes.scalar(value);
    if (Array.isArray(value) && value.every((item) => typeof item === 'number')) {
      return layer.nodes.floats(value as number[]);
    }
    throw layer.error(`${key} is no number`);
  };
  const scaled = layer.add('Mul', [x.name, constant('scale', 1)], {}, x);
  return layer.add('Add', [scaled.name, constant('offset', 0)], {}, x);
};

/** (x − mean)/max(√variance, 1e-7), along the last axis. */
const normalization: LayerRule = (layer) => {
  const x = layer.asKeras(layer.x);
  const axis = layer.get('axis') ?? -1;
  const last = Array.isArray(axis) ? (axis as readonly unknown[])[0] : axis;
  if (last !== -1 && last !== x.rank - 1) throw layer.error('only the last axis is supported');
  if (layer.get('invert') === true) throw layer.error('invert is not supported');
  const given = ['mean', 'variance'].map((key) => layer.get(key) ?? null);
  const flat = (name: string): string => layer.nodes.add('Reshape', [name, layer.nodes.integers([-1])]);
  const names = given.every((value) => value !== null)
    ? given.map((value) => layer.nodes.floats([value].flat(4) as number[]))
    : layer.weights(['mean', 'variance']).map(({ name }) => flat(name));
  const centred = layer.nodes.add('Sub', [x.name, names[0]!]);
  const deviation = layer.nodes.add('Max', [layer.nodes.add('Sqrt', [names[1]!]), layer.nodes.scalar(1e-7)]);
  return layer.add('Div', [centred, deviation], {}, x);
};

export const layerRules: Readonly<Record<string, LayerRule>> = {
  ...activationLayers,
  Conv2D: conv2d,
  DepthwiseConv2D: depthwise,
  SeparableConv2D: separable,
  Dense: dense,
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  MaxPooling2D: pool('MaxPool'),
  AveragePooling2D: pool('AveragePool'),
  GlobalAveragePooling2D: globalPool('GlobalAveragePool'),
  GlobalMaxPooling2D: globalPool('GlobalMaxPool'),
  Flatten: flatten,
  Reshape: reshape,
  ZeroPadding2D: zeroPadding,
  Cropping2D: cropping,
  Add: elementwise('Add'),
  Subtract: elementwise('Sub'),
  Multiply: elementwise('Mul'),
  Maximum: elementwise('Max'),
  Minimum: elementwise('Min'),
  Concatenate: concatenate,
  Rescaling: rescaling,
  Normalization: normalization,
  // Active in training only.
  Dropout: identity,
  SpatialDropout2D: identity,
  GaussianNoise: identity,
  GaussianDropout: identity,
  ActivityRegularization: identity,
  RandomFlip: identity,
  RandomRotation: identity,
  RandomZoom: identity,
  RandomTranslation: identity,
  RandomContrast: identity,
};
