import { InputError } from '../../errors';
import { isObject, type Json, type JsonObject } from '../keras/config';
import type { NodeList } from '../onnx/nodes';
import type { StoredTensor } from '../stored-tensor';

/** Operators of TensorFlow graphs (tfjs-converter/src/operations), as nodes in ONNX's terms. Channels are last. */

export class TfNode {
  constructor(
    readonly name: string,
    readonly op: string,
    readonly inputs: readonly string[],
    private readonly attributes: JsonObject,
    readonly nodes: NodeList,
    private readonly tensors: ReadonlyMap<string, StoredTensor>,
    private readonly place: string,
  ) {}

  error(what: string): InputError {
    return new InputError(
      `${this.op}: ${what} (node ${JSON.stringify(this.name)}, ${this.place}); export the model to ONNX and open that`,
    );
  }

  add(op: string, inputs: readonly string[], attributes: Parameters<NodeList['add']>[2] = {}): string {
    return this.nodes.add(op, inputs, attributes, this.name);
  }

  input(index: number): string {
    const name = this.inputs[index];
    if (name === undefined) throw this.error(`input ${index} is missing`);
    return name;
  }

  /** An input whose values are in the file. */
  stored(index: number): StoredTensor {
    const tensor = this.tensors.get(this.input(index));
    if (tensor === undefined) throw this.error(`input ${index} is no constant`);
    return tensor;
  }

  integers(index: number): number[] {
    return [...this.stored(index).read().values];
  }

  private attribute(key: string): JsonObject {
    const value = this.attributes[key];
    return isObject(value) ? value : {};
  }

  /** Texts are base64 in JSON. */
  text(key: string, fallback: string): string {
    const { s } = this.attribute(key);
    return typeof s === 'string' ? decoded(s) : fallback;
  }

  texts(key: string): string[] {
    return this.list(key, 's').map((item) => decoded(String(item)));
  }

  number(key: string, fallback: number): number {
    const { f, i } = this.attribute(key);
    const value = Number(f ?? i ?? fallback);
    if (!Number.isFinite(value)) throw this.error(`${key} is no number`);
    return value;
  }

  flag(key: string): boolean {
    return this.attribute(key).b === true;
  }

  numbers(key: string): number[] {
    return this.list(key, 'i').map(Number);
  }

  private list(key: string, kind: string): readonly Json[] {
    const { list } = this.attribute(key);
    const items = isObject(list) ? list[kind] : undefined;
    return Array.isArray(items) ? (items as readonly Json[]) : [];
  }
}

const decoded = (text: string): string => Buffer.from(text, 'base64').toString();

type GraphRule = (node: TfNode) => string;

const first = (node: TfNode, x: string): string => node.nodes.add('Transpose', [x], { perm: [0, 3, 1, 2] });
const last = (node: TfNode, x: string): string => node.nodes.add('Transpose', [x], { perm: [0, 2, 3, 1] });

function spatial(node: TfNode, key: string): number[] {
  const four = node.numbers(key);
  if (node.text('data_format', 'NHWC') !== 'NHWC') throw node.error('data_format NCHW is not supported');
  return four.length === 4 ? four.slice(1, 3) : [1, 1];
}

function padding(node: TfNode): { auto_pad: string } {
  const mode = node.text('padding', 'VALID');
  if (mode !== 'SAME' && mode !== 'VALID') throw node.error(`padding ${mode} is not supported`);
  return { auto_pad: mode === 'SAME' ? 'SAME_UPPER' : 'VALID' };
}

/** What is fused behind a product: a bias, then an activation. */
function fused(node: TfNode, product: string, bias: number): string {
  return node.texts('fused_ops').reduce((value, op) => {
    if (op === 'BiasAdd') return node.nodes.add('Add', [value, node.input(bias)]);
    if (op === 'LeakyRelu') {
      return node.nodes.add('LeakyRelu', [value], { alpha: node.number('leakyrelu_alpha', 0.2) });
    }
    const activation = Object.hasOwn(activations, op) ? activations[op] : undefined;
    if (activation === undefined) throw node.error(`fused ${op} is not supported`);
    return activation(node, value);
  }, product);
}

const convolution =
  (depthwise: boolean): GraphRule =>
  (node) => {
    const kernel = node.stored(1);
    const [kh = 1, kw = 1, channels = 1, multiplier = 1] = kernel.shape;
    const moved = node.nodes.add('Transpose', [node.input(1)], { perm: depthwise ? [2, 3, 0, 1] : [3, 2, 0, 1] });
    const weight = depthwise
      ? node.nodes.add('Reshape', [moved, node.nodes.integers([channels * multiplier, 1, kh, kw])])
      : moved;
    const result = node.add('Conv', [first(node, node.input(0)), weight], {
      kernel_shape: [kh, kw],
      strides: spatial(node, 'strides'),
      dilations: spatial(node, 'dilations'),
      ...padding(node),
      ...(depthwise && { group: channels }),
    });
    return fused(node, last(node, result), 2);
  };

const pool =
  (op: 'MaxPool' | 'AveragePool'): GraphRule =>
  (node) => {
    const attributes = { kernel_shape: spatial(node, 'ksize'), strides: spatial(node, 'strides'), ...padding(node) };
    return last(node, node.add(op, [first(node, node.input(0))], attributes));
  };

/** A transposed side is moved first; fused operations follow. */
const product: GraphRule = (node) => {
  const side = (index: number, key: string): string =>
    node.flag(key) ? node.nodes.add('Transpose', [node.input(index)], { perm: [1, 0] }) : node.input(index);
  return fused(node, node.add('MatMul', [side(0, 'transpose_a'), side(1, 'transpose_b')]), 2);
};

const same =
  (op: string, attributes: Parameters<NodeList['add']>[2] = {}): GraphRule =>
  (node) =>
    node.add(op, node.inputs, attributes);

type Activation = (node: TfNode, x: string) => string;
const activations: Readonly<Record<string, Activation>> = {
  Relu: (node, x) => node.nodes.add('Relu', [x]),
  Relu6: (node, x) => node.nodes.add('Clip', [x, node.nodes.scalar(0), node.nodes.scalar(6)]),
  Elu: (node, x) => node.nodes.add('Elu', [x], { alpha: 1 }),
  Sigmoid: (node, x) => node.nodes.add('Sigmoid', [x]),
  Tanh: (node, x) => node.nodes.add('Tanh', [x]),
};
const activationRules = Object.fromEntries(
  Object.entries(activations).map(([op, rule]) => [op, (node: TfNode) => rule(node, node.input(0))]),
);

const int64 = (node: TfNode, x: string): string => node.nodes.add('Cast', [x], { to: 7 });

/** One axis of a shape, from begin to end; `shrink_axis_mask` 1 takes a single size. */
const stridedSlice: GraphRule = (node) => {
  const masks = ['begin_mask', 'end_mask', 'ellipsis_mask', 'new_axis_mask'].map((key) => node.number(key, 0));
  if (node.stored(1).shape[0] !== 1 || masks.some((mask) => mask !== 0)) {
    throw node.error('only a part of a shape can be sliced');
  }
  const bounds = [1, 2].map((index) => node.nodes.integers(node.integers(index)));
  const part = node.add('Slice', [
    node.input(0),
    ...bounds,
    node.nodes.integers([0]),
    node.nodes.integers(node.integers(3)),
  ]);
  return node.number('shrink_axis_mask', 0) === 1 ? node.nodes.add('Squeeze', [part, node.nodes.integers([0])]) : part;
};

const pack: GraphRule = (node) => {
  const zero = node.nodes.integers([0]);
  const parts = node.inputs.map((x) => node.nodes.add('Unsqueeze', [int64(node, x), zero]));
  return node.add('Concat', parts, { axis: 0 });
};

const mean: GraphRule = (node) =>
  node.add('ReduceMean', [node.input(0), node.nodes.integers(node.integers(1))], {
    keepdims: node.flag('keep_dims') ? 1 : 0,
  });

const concat: GraphRule = (node) => {
  const axis = node.inputs.length - 1;
  return node.add('Concat', node.inputs.slice(0, -1), { axis: node.integers(axis)[0] ?? 0 });
};

const pad: GraphRule = (node) => {
  // [begin, end] per axis; ONNX has all begins first.
  const pairs = node.integers(1);
  const order = [...pairs.filter((_, i) => i % 2 === 0), ...pairs.filter((_, i) => i % 2 === 1)];
  return node.add('Pad', [node.input(0), node.nodes.integers(order), ...node.inputs.slice(2)]);
};

const batchNorm: GraphRule = (node) => {
  if (node.flag('is_training')) throw node.error('training mode is not supported');
  const inputs = [first(node, node.input(0)), ...[1, 2, 3, 4].map((index) => node.input(index))];
  return last(node, node.add('BatchNormalization', inputs, { epsilon: node.number('epsilon', 1e-3) }));
};

export const graphRules: Readonly<Record<string, GraphRule>> = {
  ...activationRules,
  Conv2D: convolution(false),
  _FusedConv2D: convolution(false),
  DepthwiseConv2dNative: convolution(true),
  FusedDepthwiseConv2dNative: convolution(true),
  MatMul: product,
  _FusedMatMul: product,
  BiasAdd: same('Add'),
  Add: same('Add'),
  AddV2: same('Add'),
  Sub: same('Sub'),
  Mul: same('Mul'),
  RealDiv: same('Div'),
  Maximum: same('Max'),
  Minimum: same('Min'),
  LeakyRelu: (node) => node.add('LeakyRelu', node.inputs, { alpha: node.number('alpha', 0.2) }),
  Softmax: same('Softmax', { axis: -1 }),
  LogSoftmax: same('LogSoftmax', { axis: -1 }),
  MaxPool: pool('MaxPool'),
  AvgPool: pool('AveragePool'),
  Mean: mean,
  FusedBatchNorm: batchNorm,
  FusedBatchNormV3: batchNorm,
  Pad: pad,
  PadV2: pad,
  ConcatV2: concat,
  Reshape: (node) => node.add('Reshape', [node.input(0), int64(node, node.input(1))]),
  Shape: same('Shape'),
  StridedSlice: stridedSlice,
  Pack: pack,
  Identity: same('Identity'),
  Squeeze: (node) => {
    const axes = node.numbers('squeeze_dims');
    return node.add('Squeeze', [node.input(0), ...(axes.length > 0 ? [node.nodes.integers(axes)] : [])]);
  },
};
