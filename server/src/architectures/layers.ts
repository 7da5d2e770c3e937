import type { Layer, NetworkWriter, Value } from './network';

/**
 * The layers that architectures are written with, named as torch.nn names
 * them. Tensors are found under `scope.name`; channel counts come from the
 * weights, so that one definition serves every width.
 */

const at = (scope: string, name: string): string => (scope === '' ? name : name === '' ? scope : `${scope}.${name}`);

export const identity: Layer = (_, x) => x;

/** One after the other. */
export const chain =
  (...layers: readonly Layer[]): Layer =>
  (net, x, scope) =>
    layers.reduce((value, layer) => layer(net, value, scope), x);

/** A part whose tensors lie under `name`. */
export const within =
  (name: string, layer: Layer): Layer =>
  (net, x, scope) =>
    layer(net, x, at(scope, name));

/** `count` parts `name.0`, `name.1`, … */
export const repeat = (name: string, count: number, part: (index: number) => Layer): Layer =>
  chain(...Array.from({ length: count }, (_, index) => within(`${name}.${index}`, part(index))));

/** A part that is there if one of its tensors is. */
export const ifPresent =
  (tensor: string, layer: Layer, otherwise: Layer = identity): Layer =>
  (net, x, scope) =>
    (net.has(at(scope, tensor)) ? layer : otherwise)(net, x, scope);

/** The first of several namings whose tensor is in the checkpoint; the first of all where none is. */
export const named =
  (names: readonly string[], layer: (name: string) => Layer, tensor = 'weight'): Layer =>
  (net, x, scope) =>
    layer(names.find((name) => net.has(at(scope, at(name, tensor)))) ?? names[0]!)(net, x, scope);

/** The sum of two ways. */
export const residual =
  (main: Layer, shortcut: Layer): Layer =>
  (net, x, scope) =>
    net.add(main(net, x, scope), shortcut(net, x, scope), scope);

export interface ConvOptions {
  readonly kernel: number;
  readonly stride?: number;
  readonly pad?: number;
  /** `depthwise`: one group per channel. */
  readonly groups?: 'depthwise';
}

function windowed(size: number, kernel: number, stride: number, pad: number, ceil = false): number {
  const steps = (size + 2 * pad - kernel) / stride;
  const out = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
  // A window must not begin in the end padding (torch.nn.MaxPool2d).
  return ceil && (out - 1) * stride >= size + pad ? out - 1 : out;
}

const spatial = (
  net: NetworkWriter,
  x: Value,
  scope: string,
  kernel: number,
  stride: number,
  pad: number,
  ceil?: boolean,
): number[] => {
  const sizes = x.shape.slice(1).map((size) => windowed(size, kernel, stride, pad, ceil));
  if (x.shape.length !== 3 || !sizes.every((size) => size >= 1)) {
    net.note(`${scope}: input [${x.shape.join(', ')}] is too small for a window of ${kernel}`);
    return [1, 1];
  }
  return sizes;
};

/** Conv2d, with a bias where the checkpoint has one. */
export const conv =
  (name: string, { kernel, stride = 1, pad = 0, groups }: ConvOptions): Layer =>
  (net, x, scope) => {
    const path = at(scope, name);
    const channels = x.shape[0]!;
    const perGroup = groups === 'depthwise' ? 1 : channels;
    const [out] = net.tensor(
      at(path, 'weight'),
      [groups === 'depthwise' ? channels : null, perGroup, kernel, kernel],
      [channels, perGroup, kernel, kernel],
    );
    const bias = at(path, 'bias');
    if (net.has(bias)) net.tensor(bias, [out!], [out!]);
    return net.node(
      'Conv',
      [x.name, at(path, 'weight'), ...(net.has(bias) ? [bias] : [])],
      [out!, ...spatial(net, x, path, kernel, stride, pad)],
      {
        kernel_shape: [kernel, kernel],
        strides: [stride, stride],
        pads: [pad, pad, pad, pad],
        group: groups === 'depthwise' ? channels : 1,
      },
      path,
    );
  };

/** Linear, of the flattened input. */
export const linear =
  (name: string): Layer =>
  (net, x, scope) => {
    const path = at(scope, name);
    const flat = net.flatten(x);
    const [out] = net.tensor(at(path, 'weight'), [null, flat.shape[0]!], [flat.shape[0]!, flat.shape[0]!]);
    const bias = at(path, 'bias');
    if (net.has(bias)) net.tensor(bias, [out!], [out!]);
    const inputs = [flat.name, at(path, 'weight'), ...(net.has(bias) ? [bias] : [])];
    return net.node('Gemm', inputs, [out!], { transB: 1 }, path);
  };

/** BatchNorm1d or BatchNorm2d in evaluation mode. */
export const batchNorm =
  (name: string, epsilon = 1e-5): Layer =>
  (net, x, scope) => {
    const path = at(scope, name);
    const channels = x.shape[0]!;
    const tensors = ['weight', 'bias', 'running_mean', 'running_var'].map((part) => at(path, part));
    for (const tensor of tensors) net.tensor(tensor, [channels], [channels]);
    return net.node('BatchNormalization', [x.name, ...tensors], x.shape, { epsilon }, path);
  };

export const relu: Layer = (net, x) => net.node('Relu', [x.name], x.shape);

/** min(max(x, 0), 6) */
export const relu6: Layer = (net, x) => net.node('Clip', [x.name, net.scalar(0), net.scalar(6)], x.shape);

export interface PoolOptions {
  readonly kernel: number;
  readonly stride?: number;
  readonly pad?: number;
  readonly ceil?: boolean;
}

const pool =
  (op: 'MaxPool' | 'AveragePool', { kernel, stride = kernel, pad = 0, ceil = false }: PoolOptions): Layer =>
  (net, x, scope) =>
    net.node(op, [x.name], [x.shape[0]!, ...spatial(net, x, at(scope, op), kernel, stride, pad, ceil)], {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
      ceil_mode: ceil ? 1 : 0,
      // torch counts the padding in averages unless it is told not to.
      ...(op === 'AveragePool' && { count_include_pad: 1 }),
    });

export const maxPool = (options: PoolOptions): Layer => pool('MaxPool', options);
export const averagePool = (options: PoolOptions): Layer => pool('AveragePool', options);

/** AdaptiveAvgPool2d(1) and a flatten. */
export const globalAverage: Layer = (net, x) =>
  net.flatten(net.node('GlobalAveragePool', [x.name], [x.shape[0]!, 1, 1]));

/**
 * AdaptiveAvgPool2d(size): output i is the mean of ⌊i·n/size⌋ … ⌈(i+1)·n/size⌉ − 1,
 * along one axis after the other.
 */
export const adaptiveAverage =
  (size: number): Layer =>
  (net, x) =>
    [1, 2].reduce((value, axis) => adaptAxis(net, value, axis, size), x);

function adaptAxis(net: NetworkWriter, x: Value, axis: number, size: number): Value {
  const length = x.shape[axis] ?? 1;
  if (length === size) return x;
  const shape = (sizes: number): number[] => x.shape.map((old, i) => (i === axis ? sizes : old));
  const parts = Array.from({ length: size }, (_, i) => {
    const [start, end] = [Math.floor((i * length) / size), Math.ceil(((i + 1) * length) / size)];
    const bounds = [[start], [end], [axis + 1]].map((list) => net.integers(list));
    const window = net.node('Slice', [x.name, ...bounds], shape(end - start));
    return net.node('ReduceMean', [window.name, net.integers([axis + 1])], shape(1), { keepdims: 1 });
  });
  return net.node(
    'Concat',
    parts.map(({ name }) => name),
    shape(size),
    { axis: axis + 1 },
  );
}

/** x[:, :, ::2, ::2] */
const everySecond: Layer = (net, x) => {
  const [channels, ...sizes] = x.shape;
  const bounds = [[0, 0], sizes, [2, 3], [2, 2]].map((list) => net.integers(list));
  return net.node('Slice', [x.name, ...bounds], [channels!, ...sizes.map((size) => Math.ceil(size / 2))]);
};

/** Zeros before and after the channels. */
const padChannels =
  (before: number, after: number): Layer =>
  (net, x) =>
    net.node(
      'Pad',
      [x.name, net.integers([0, before, 0, 0, 0, after, 0, 0])],
      [x.shape[0]! + before + after, ...x.shape.slice(1)],
    );

/**
 * Shortcut without weights (He et al. 2015, option A): every second pixel, and
 * zeros on both sides of the channels until there are twice as many.
 */
export const subsampledShortcut: Layer = (net, x, scope) => {
  const more = x.shape[0]!;
  return chain(everySecond, padChannels(Math.floor(more / 2), Math.ceil(more / 2)))(net, x, scope);
};
