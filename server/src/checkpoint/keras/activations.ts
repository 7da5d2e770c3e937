import type { KerasLayer, KerasValue } from './layer';

/** Keras's activation functions (keras/src/activations), and the layers that are nothing else. */

type Activation = (layer: KerasLayer, x: KerasValue) => KerasValue;

const plain =
  (op: string, attributes: Readonly<Record<string, number | string>> = {}): Activation =>
  (layer, x) =>
    layer.add(op, [x.name], attributes, x);

const softmax =
  (op: 'Softmax' | 'LogSoftmax'): Activation =>
  (layer, x) =>
    // The classes are the last axis, which is the first of the others where channels stand first.
    layer.add(op, [x.name], { axis: x.channelsFirst ? 1 : -1 }, x);

const clip = (layer: KerasLayer, x: KerasValue, low: number, high: number): KerasValue =>
  layer.add('Clip', [x.name, layer.nodes.scalar(low), layer.nodes.scalar(high)], {}, x);

const functions: Readonly<Record<string, Activation>> = {
  linear: (_, x) => x,
  relu: plain('Relu'),
  relu6: (layer, x) => clip(layer, x, 0, 6),
  sigmoid: plain('Sigmoid'),
  tanh: plain('Tanh'),
  softmax: softmax('Softmax'),
  log_softmax: softmax('LogSoftmax'),
  softplus: plain('Softplus'),
  softsign: plain('Softsign'),
  elu: plain('Elu', { alpha: 1 }),
  selu: plain('Selu'),
  swish: (layer, x) => layer.add('Mul', [x.name, layer.nodes.add('Sigmoid', [x.name])], {}, x),
  mish: plain('Mish'),
  exponential: plain('Exp'),
  gelu: (layer, x) => {
    const half = layer.nodes.scalar(0.5);
    const ratio = layer.nodes.add('Mul', [x.name, layer.nodes.scalar(Math.SQRT1_2)]);
    const erf = layer.nodes.add('Erf', [ratio]);
    const sum = layer.nodes.add('Add', [erf, layer.nodes.scalar(1)]);
    return layer.add('Mul', [layer.nodes.add('Mul', [x.name, half]), sum], {}, x);
  },
  leaky_relu: plain('LeakyRelu', { alpha: 0.2 }),
  hard_swish: plain('HardSwish'),
};

const others: Readonly<Record<string, string>> = { silu: 'swish', hard_silu: 'hard_swish', leakyrelu: 'leaky_relu' };

/** Applies the function that a config names under `key`. */
export function activate(layer: KerasLayer, x: KerasValue, key = 'activation'): KerasValue {
  const name = layer.functionName(key) ?? 'linear';
  const found = functions[others[name] ?? name];
  if (found === undefined || !Object.hasOwn(functions, others[name] ?? name)) {
    throw layer.error(`activation not supported: ${name}`);
  }
  return found(layer, x);
}

/** max(x, 0) up to `max_value`, with a slope below `threshold`. */
function reluLayer(layer: KerasLayer): KerasValue {
  const { x } = layer;
  const slope = layer.number('negative_slope', 0);
  if (layer.number('threshold', 0) !== 0) throw layer.error('a threshold is not supported');
  const most = layer.get('max_value') ?? null;
  const rectified = layer.add(slope === 0 ? 'Relu' : 'LeakyRelu', [x.name], slope === 0 ? {} : { alpha: slope });
  if (most === null) return rectified;
  return layer.add('Min', [rectified.name, layer.nodes.scalar(layer.number('max_value', 0))], {}, x);
}

export const activationLayers: Readonly<Record<string, (layer: KerasLayer) => KerasValue>> = {
  Activation: (layer) => activate(layer, layer.x),
  ReLU: reluLayer,
  LeakyReLU: (layer) => {
    // Keras 2 called it alpha.
    const alpha = layer.number('negative_slope', layer.number('alpha', 0.3));
    return layer.add('LeakyRelu', [layer.x.name], { alpha });
  },
  ELU: (layer) => layer.add('Elu', [layer.x.name], { alpha: layer.number('alpha', 1) }),
  Softmax: (layer) => {
    const axis = layer.get('axis') ?? -1;
    if (axis !== -1) throw layer.error('only the last axis is supported');
    return functions.softmax!(layer, layer.x);
  },
};
