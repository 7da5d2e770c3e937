import type { AnyNode, Graph, GraphNode, OpType, PoolAttributes, Shape } from '../../graph/ir';
import type { Parameter } from '../../graph/model';
import { elementCount, rowMajorStrides } from '../../graph/shapes';
import { countUses, graphNodes } from '../../graph/traversal';
import { findBiases, isGemm, type BiasFusion } from './bias';
import { BlockedLayout } from './blocked';
import { emitConv, emitConvInputGrad, emitConvWeightGrad } from './convolution';
import { lower } from '../lowering';
import { NATIVE, type OnnxDialect } from './dialect';
import { OnnxWriter } from './writer';

export interface EmittedGraph {
  readonly bytes: Uint8Array;
  readonly feeds: ReadonlyMap<string, Shape>;
}

export interface EmitOptions {
  /**
   * Names every value after the layer it belongs to, `conv1/Relu`, where the
   * parameter's name is `conv1.weight`: for files that are read by people and
   * other programs. Otherwise names are numbers.
   */
  readonly layerNames?: boolean;
  /** Name of the leading dimension of feeds and results, for a graph that holds for any size of it. */
  readonly batch?: string;
  /** Of whom the file is meant for; everybody who reads ONNX and onnxruntime's own ops when absent. */
  readonly dialect?: OnnxDialect;
}

/**
 * A graph as an ONNX model. Parameters with a value become initializers (a
 * fifth faster, and the runtime folds what depends on them alone); the others
 * become inputs.
 */
export function emitGraph(
  graph: Graph,
  parameters: ReadonlyMap<string, Parameter> = new Map(),
  options: EmitOptions = {},
): EmittedGraph {
  const { lowering } = options.dialect ?? NATIVE;
  const lowered = lowering === undefined ? graph : lower(graph, lowering);
  const nodes = graphNodes(lowered);
  const emission = new Emission(lowered, nodes, parameters, options);
  for (const node of nodes) emission.add(node);
  for (const { name, node } of lowered.outputs) emission.writer.output(name, emission.name(node), node.shape);
  return { bytes: emission.writer.encode(), feeds: emission.feeds };
}

class Emission {
  readonly writer: OnnxWriter;
  readonly feeds = new Map<string, Shape>();
  /** Whether positions of maxima are asked for, beside the maxima. */
  readonly needsPositions: boolean;
  readonly dialect: OnnxDialect;
  private readonly names = new Map<AnyNode, string>();
  private readonly scopes = new Map<AnyNode, string>();
  private readonly biases: BiasFusion;
  private readonly blocked: BlockedLayout | undefined;

  constructor(
    graph: Graph,
    nodes: readonly AnyNode[],
    private readonly parameters: ReadonlyMap<string, Parameter>,
    private readonly options: EmitOptions,
  ) {
    this.dialect = options.dialect ?? NATIVE;
    const taken = nodes.flatMap((node) =>
      node.op === 'input' || node.op === 'parameter' ? [node.attributes.name] : [],
    );
    this.writer = new OnnxWriter([...taken, ...graph.outputs.map(({ name }) => name)], options.batch);
    const uses = countUses(graph);
    const { block, threads } = this.dialect;
    if (block > 0) {
      const elementwise = (node: AnyNode, inputs: readonly string[]): string => this.write(node, inputs);
      this.blocked = new BlockedLayout(this.writer, block, threads, uses, (node) => this.name(node), elementwise);
    }
    // Blocked convolutions find theirs themselves.
    const candidates = block > 0 ? nodes.filter(({ inputs }) => !inputs.some(({ op }) => op === 'conv')) : nodes;
    this.biases = findBiases(candidates, uses);
    this.needsPositions = nodes.some(({ op }) => op === 'maxPoolGather' || op === 'maxPoolScatter');
  }

  /** Of the value as a plain image, where there are two layouts. */
  name(node: AnyNode): string {
    return this.names.get(node) ?? this.blocked!.unblocked(node);
  }

  add(node: AnyNode): void {
    if (this.options.layerNames) this.writer.scope = this.scopeOf(node);
    if (this.biases.absorbed.has(node)) return;
    const blocked = this.blocked?.add(node) ?? false;
    if (blocked === true) return;
    if (typeof blocked === 'string') {
      this.names.set(node, blocked);
      return;
    }
    const fused = this.biases.sums.get(node);
    const written = fused?.product ?? node;
    const inputs = fused === undefined ? node.inputs : [...fused.product.inputs, fused.bias];
    this.names.set(
      node,
      this.write(
        written,
        inputs.map((input) => this.name(input)),
      ),
    );
  }

  private write(node: AnyNode, inputs: readonly string[]): string {
    const rule = emissionRules[node.op] as EmissionRule<OpType>;
    return rule(this, inputs, node);
  }

  feed(name: string, shape: Shape): string {
    this.feeds.set(name, shape);
    return this.writer.input(name, shape);
  }

  parameter(name: string, shape: Shape): string {
    const parameter = this.parameters.get(name);
    return parameter === undefined ? this.feed(name, shape) : this.writer.floats(parameter.value, shape, name);
  }

  /** The layer a node belongs to: that of the parameter it uses, else that of its first input. */
  private scopeOf(node: AnyNode): string {
    const own = node.inputs.find(({ op }) => op === 'parameter') ?? node;
    const scope =
      own.op === 'parameter'
        ? own.attributes.name.split('.').slice(0, -1).join('.')
        : node.inputs.map((input) => this.scopes.get(input)!).find((name) => name !== '');
    this.scopes.set(node, scope ?? '');
    return scope ?? '';
  }
}

/** `inputs` has the bias after the inputs of a node with one. */
type EmissionRule<T extends OpType> = (emission: Emission, inputs: readonly string[], node: GraphNode<T>) => string;

/** The op exists in ONNX under another name. */
const same =
  (onnxOp: string): EmissionRule<OpType> =>
  ({ writer }, inputs) =>
    writer.node(onnxOp, inputs);

/** ONNX formulation of every op. Total over the op type. */
const emissionRules: { readonly [T in OpType]: EmissionRule<T> } = {
  input: (emission, _inputs, { attributes: { name }, shape }) => emission.feed(name, shape),
  parameter: (emission, _inputs, { attributes: { name }, shape }) => emission.parameter(name, shape),
  constant: ({ writer }, _inputs, { attributes: { value }, shape }) =>
    shape.length === 0 ? writer.scalar(value[0]!) : writer.floats(Float32Array.from(value), shape),
  neg: same('Neg'),
  exp: same('Exp'),
  log: same('Log'),
  sqrt: same('Sqrt'),
  reciprocal: same('Reciprocal'),
  tanh: same('Tanh'),
  sigmoid: same('Sigmoid'),
  erf: same('Erf'),
  relu: same('Relu'),
  abs: same('Abs'),
  sign: same('Sign'),
  // After a Relu the step is min(1, 3·10³⁸·x): exactly 1 for every normal float,
  // and five times as fast as Sign (docs/performance.md).
  step: ({ writer }, inputs, node) => {
    if (node.inputs[0]!.op === 'relu') {
      return writer.node('HardSigmoid', inputs, { alpha: { float: 3e38 }, beta: { float: 0 } });
    }
    const positive = writer.node('Greater', [inputs[0]!, writer.scalar(0)]);
    return writer.node('Cast', [positive], { to: 1 });
  },
  add: same('Add'),
  sub: same('Sub'),
  mul: same('Mul'),
  div: same('Div'),
  pow: same('Pow'),
  where: ({ writer }, [mask, a, b]) => writer.node('Where', [writer.node('Cast', [mask!], { to: 9 }), a!, b!]),
  matmul: ({ writer }, inputs, node) => {
    const { transposeA, transposeB } = node.attributes;
    if (!transposeA && !transposeB) return writer.node('MatMul', inputs);
    const flags = { transA: Number(transposeA), transB: Number(transposeB) };
    if (isGemm(node)) return writer.node('Gemm', inputs, flags);
    return writer.node('FusedMatMul', inputs, flags, 'com.microsoft');
  },
  conv: ({ writer }, [x, w, bias], node) =>
    emitConv(writer, x!, w!, node.inputs[1]!.shape.slice(2), node.attributes, bias),
  convInputGrad: ({ writer }, [g, w], { inputs, attributes }) =>
    emitConvInputGrad(writer, g!, inputs[0]!.shape, w!, inputs[1]!.shape, attributes),
  convWeightGrad: ({ writer, dialect }, [x, g], { inputs, attributes }) =>
    emitConvWeightGrad(writer, x!, inputs[0]!.shape, g!, inputs[1]!.shape, attributes, dialect),
  reshape: ({ writer }, [x], { inputs, attributes: { shape } }) => {
    if (shape.includes(0)) return writer.node('Reshape', [x!, writer.ints(shape)], { allowzero: 1 });
    // Else 0 is the size that the input has there: what keeps its leading axis holds for every batch.
    const keepsFirst = shape.length > 0 && shape[0] === inputs[0]!.shape[0];
    return writer.node('Reshape', [x!, writer.ints(keepsFirst ? [0, ...shape.slice(1)] : shape)]);
  },
  transpose: ({ writer }, inputs, { attributes: { permutation } }) =>
    writer.node('Transpose', inputs, { perm: [...permutation] }),
  expand: ({ writer }, [x], { attributes: { shape } }) => writer.node('Expand', [x!, writer.ints(shape)]),
  reduceSum: ({ writer }, [x], { attributes: { axes } }) =>
    writer.node('ReduceSum', [x!, writer.ints(axes)], { keepdims: 1 }),
  slice: ({ writer }, [x], { attributes: { starts, steps, shape } }) => {
    const ends = starts.map((start, axis) => start + (shape[axis]! - 1) * steps[axis]! + 1);
    const axes = starts.map((_, axis) => axis);
    return writer.node('Slice', [x!, writer.ints(starts), writer.ints(ends), writer.ints(axes), writer.ints(steps)]);
  },
  embed: ({ writer }, [x], node) => emitEmbed(writer, x!, node),
  concat: ({ writer }, inputs, { attributes: { axis } }) => writer.node('Concat', inputs, { axis }),
  gather: ({ writer }, [x], { attributes: { axis, indices } }) =>
    writer.node('Gather', [x!, writer.indices(indices, [indices.length])], { axis }),
  scatterAdd: ({ writer }, [x], node) => emitScatterAdd(writer, x!, node),
  maxPool: ({ writer, needsPositions }, [x], { attributes }) => pool(writer, x!, attributes, needsPositions)[0]!,
  maxPoolGather: ({ writer }, [x, t], { attributes }) => {
    const flat = writer.node('Reshape', [t!, writer.ints([-1])]);
    return writer.node('Gather', [flat, pool(writer, x!, attributes)[1]!], { axis: 0 });
  },
  maxPoolScatter: ({ writer }, [x, g], { attributes, shape }) => {
    const at = writer.node('Reshape', [pool(writer, x!, attributes)[1]!, writer.ints([-1])]);
    const values = writer.node('Reshape', [g!, writer.ints([-1])]);
    const zeros = writer.node('Expand', [writer.scalar(0), writer.ints([elementCount(shape)])]);
    const sum = writer.node('ScatterElements', [zeros, at, values], { axis: 0, reduction: 'add' });
    return writer.node('Reshape', [sum, writer.ints(shape)]);
  },
  standardize: ({ writer }, [x], { shape, attributes: { epsilon } }) => standardized(writer, x!, shape, epsilon).y,
  standardizeGrad: ({ writer }, [x, g], { shape, attributes: { epsilon } }) => {
    const { y, deviation } = standardized(writer, x!, shape, epsilon);
    const mean = (value: string): string => writer.node('Div', [channelMean(writer, value, shape), deviation]);
    const shared = writer.node('Add', [writer.node('Mul', [y, mean(writer.node('Mul', [g!, y]))]), mean(g!)]);
    return writer.node('Sub', [writer.node('Div', [g!, deviation]), shared]);
  },
  variance: ({ writer }, [x], { inputs }) => centred(writer, x!, inputs[0]!.shape).variance,
  softmax: ({ writer }, inputs, { attributes: { axis } }) => writer.node('Softmax', inputs, { axis }),
  logSoftmax: ({ writer, dialect }, inputs, { attributes: { axis } }) => {
    if (dialect.logSoftmax) return writer.node('LogSoftmax', inputs, { axis });
    const largest = writer.node('ReduceMax', [inputs[0]!, writer.ints([axis])], { keepdims: 1 });
    const shifted = writer.node('Sub', [inputs[0]!, largest]);
    const total = writer.node('ReduceSum', [writer.node('Exp', [shifted]), writer.ints([axis])], { keepdims: 1 });
    return writer.node('Sub', [shifted, writer.node('Log', [total])]);
  },
};

function channelMean(writer: OnnxWriter, x: string, shape: Shape): string {
  const axes = shape.map((_, axis) => axis).filter((axis) => axis !== 1);
  return writer.node('ReduceMean', [x, writer.ints(axes)], { keepdims: 1 });
}

/** Deviations from the channels' means, and the variances. BatchNormalization answers neither, and is no faster. */
function centred(writer: OnnxWriter, x: string, shape: Shape): { values: string; variance: string } {
  const values = writer.node('Sub', [x, channelMean(writer, x, shape)]);
  return { values, variance: channelMean(writer, writer.node('Mul', [values, values]), shape) };
}

/** The writer makes equal nodes once, so that gradients and running moments share them. */
function standardized(writer: OnnxWriter, x: string, shape: Shape, epsilon: number): { y: string; deviation: string } {
  const { values, variance } = centred(writer, x, shape);
  const deviation = writer.node('Sqrt', [writer.node('Add', [variance, writer.scalar(epsilon)])]);
  return { y: writer.node('Div', [values, deviation]), deviation };
}

/** Maxima and, where they are needed, their flat positions. */
function pool(writer: OnnxWriter, x: string, attributes: PoolAttributes, withPositions = true): readonly string[] {
  const { kernel, strides, dilations, pads, ceil } = attributes;
  return writer.nodeWithResults(
    'MaxPool',
    [x],
    {
      kernel_shape: [...kernel],
      strides: [...strides],
      dilations: [...dilations],
      pads: [...pads],
      ceil_mode: Number(ceil),
    },
    withPositions ? 2 : 1,
  );
}

/** Zeros between the elements where steps exceed 1, then zeros around. */
function emitEmbed(writer: OnnxWriter, x: string, { inputs, attributes }: GraphNode<'embed'>): string {
  const part = inputs[0]!.shape;
  const { starts, steps, shape } = attributes;
  let value = x;
  let extent = [...part];
  if (steps.some((step) => step > 1)) {
    const paired = part.flatMap((size) => [size, 1]);
    const split = writer.node('Reshape', [value, writer.ints(paired)]);
    const begin = paired.map(() => 0);
    const end = part.flatMap((_, axis) => [0, steps[axis]! - 1]);
    const spread = writer.node('Pad', [split, writer.ints([...begin, ...end])]);
    extent = part.map((size, axis) => size * steps[axis]!);
    value = writer.node('Reshape', [spread, writer.ints(extent)]);
  }
  // The last element brings its own step − 1 zeros, which may lie outside: a negative pad crops them.
  const end = shape.map((size, axis) => size - starts[axis]! - extent[axis]!);
  return writer.node('Pad', [value, writer.ints([...starts, ...end])]);
}

/**
 * Without repeated indices a gather from the input with a row of zeros
 * appended; with repeats a scatter with addition.
 */
function emitScatterAdd(writer: OnnxWriter, x: string, { inputs, attributes, shape }: GraphNode<'scatterAdd'>): string {
  const { axis, indices, size } = attributes;
  const part = inputs[0]!.shape;
  if (new Set(indices).size === indices.length) {
    const source = new Int32Array(size).fill(indices.length);
    indices.forEach((target, i) => (source[target] = i));
    const end = part.map((_, a) => (a === axis ? 1 : 0));
    const padded = writer.node('Pad', [x, writer.ints([...part.map(() => 0), ...end])]);
    return writer.node('Gather', [padded, writer.indices(source, [size])], { axis });
  }
  const stride = rowMajorStrides(part)[axis]!;
  const everywhere = Int32Array.from(
    { length: elementCount(part) },
    (_, flat) => indices[Math.floor(flat / stride) % indices.length]!,
  );
  const zeros = writer.node('Expand', [writer.scalar(0), writer.ints(shape)]);
  return writer.node('ScatterElements', [zeros, writer.indices(everywhere, part), x], { axis, reduction: 'add' });
}
