import { basename } from 'node:path';
import { InputError } from '../../errors';
import { GraphBuilder } from '../../graph/builder';
import type { AnyNode, GraphNode, Shape } from '../../graph/ir';
import type { Normalization, Parameter, PrunableLayer } from '../../graph/model';
import { elementCount, formatShape, ShapeError } from '../../graph/shapes';
import { reachable } from '../../graph/traversal';
import { isElementType, isFloat, toFloat32, type KnownTensor } from '../elements';
import { layersOf } from './layers';
import { DAMAGED, nodePlace, NodeView, type Rebatch } from './node-view';
import { orderedNodes, producersOf } from './order';
import type { OnnxFile, OnnxNode, ValueInfo } from './reader';
import { knownValue } from './rules/rule';
import { ruleOf } from './rules/table';
import type { StoredTensor } from './tensor';
import { Value } from './value';

export interface ImportOptions {
  /** Makes the nodes; a new one when absent. */
  readonly builder?: GraphBuilder;
  /** Size of every input's leading dimension that has no number in the file. */
  readonly batch?: number;
  /** Static shapes of inputs by name; the file's shape when absent. */
  readonly shapes?: ReadonlyMap<string, Shape>;
  /** Inputs whose values are fixed at import: integers and truth values can enter no other way. */
  readonly frozen?: ReadonlyMap<string, KnownTensor>;
  /** Set where `shapes` bind another batch size than the file was exported with. */
  readonly rebatch?: Rebatch;
  /** Batch normalisation by the batch's own statistics. */
  readonly training?: boolean;
}

/** An ONNX graph in terms of the IR: static shapes, float tensors. */
export interface ImportedGraph {
  readonly builder: GraphBuilder;
  /** Inputs that are used, by name. */
  readonly inputs: ReadonlyMap<string, GraphNode<'input'>>;
  /** Float outputs (and masks of zeros and ones for truth values that depend on data) by name, in file order. */
  readonly outputs: ReadonlyMap<string, AnyNode>;
  /** Integer outputs and other known truth values, by name. */
  readonly constants: ReadonlyMap<string, KnownTensor>;
  /** Float initializers that reach an output, by name. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** Of a network in training. */
  readonly normalizations: readonly Normalization[];
  /** Prunable layers that reach an output, in order of first use. */
  readonly layers: readonly PrunableLayer[];
}

const OLDEST_OPSET = 7;
const NEWEST_OPSET = 25;

/** Operators whose rule covers their form before opset 7 too; `broadcast` is refused by the rule. */
const unchanged = new Set(
  `Abs Add AveragePool BatchNormalization Clip Concat Constant Conv Div Dropout Elu Exp Flatten Gather Gemm
  GlobalAveragePool GlobalMaxPool Identity LeakyRelu Log LogSoftmax MatMul MaxPool Mul Neg Not Pad Reciprocal ReduceMean
  ReduceSum Relu Reshape Sigmoid Slice Softmax Softplus Split Sqrt Squeeze Sub Sum Tanh Transpose Unsqueeze`.split(
    /\s+/,
  ),
);

/**
 * Gives the nodes that the outputs need their meaning.
 *
 * @throws InputError naming operator, node and file for whatever is damaged or not supported
 */
export function importGraph(file: OnnxFile, options: ImportOptions = {}): ImportedGraph {
  const builder = options.builder ?? new GraphBuilder();
  const producers = producersOf(file);
  const nodes = orderedNodes(file, producers);
  const opset = checkedOpset(file, nodes);
  const layers = layersOf(nodes, file, producers);
  const weights = new Set(layers.map(({ name }) => name));

  const stored = new Map<string, Value>();
  const fromFile = (tensor: StoredTensor, name: string, asParameter: boolean): Value => {
    const value = storedValue(tensor, name, asParameter, builder, file);
    if (asParameter) stored.set(name, value);
    return value;
  };
  const inputs = new Map<string, GraphNode<'input'>>();
  const values = new Map<string, Value>();
  /** The value of a tensor; initializers and inputs are made at first use. */
  const valueOf = (name: string): Value => {
    const existing = values.get(name);
    if (existing !== undefined) return existing;
    const tensor = file.tensors.get(name);
    const value =
      tensor !== undefined
        ? fromFile(tensor, name, true)
        : inputValue(
            file.inputs.find((input) => input.name === name)!,
            file,
            builder,
            inputs,
            options,
          );
    values.set(name, value);
    return value;
  };

  const normalizations: Normalization[] = [];
  const used = new Set([...nodes.flatMap((node) => node.inputs), ...file.outputs.map(({ name }) => name)]);
  for (const node of nodes) {
    const view = new NodeView(
      node,
      opset,
      file.path,
      builder,
      node.inputs.map((name) => (name === '' ? undefined : valueOf(name))),
      (output) => (node.outputs[output] ?? '') !== '' && used.has(node.outputs[output]!),
      options.rebatch ?? null,
      (tensor, name) => fromFile(tensor, name, weights.has(name)),
      options.training === true ? normalizations : null,
    );
    const results = applyRule(view, file);
    for (const [index, name] of node.outputs.entries()) {
      const result = results[index];
      if (result !== undefined) values.set(name, result);
      else if (view.isUsed(index)) throw view.error(`output ${index} not supported`);
    }
  }

  const outputs = new Map<string, AnyNode>();
  const constants = new Map<string, KnownTensor>();
  for (const { name } of file.outputs) {
    const value = valueOf(name);
    if (value.isNode && (isFloat(value.type) || !value.isKnown)) outputs.set(name, value.node());
    else constants.set(name, value.tensor());
  }
  const parameters = reachedParameters([...outputs.values()], stored);
  return {
    builder,
    inputs,
    outputs,
    constants,
    parameters,
    normalizations,
    layers: layers.filter(({ name }) => parameters.has(name)).map(({ name, op, shape }) => ({ name, op, shape })),
  };
}

/** The parameters among the nodes that `roots` reach, with their values. */
function reachedParameters(roots: readonly AnyNode[], stored: ReadonlyMap<string, Value>): Map<string, Parameter> {
  const parameters = new Map<string, Parameter>();
  for (const node of reachable(roots)) {
    if (node.op !== 'parameter') continue;
    const { name } = node.attributes;
    parameters.set(name, { name, shape: node.shape, value: toFloat32(stored.get(name)!.tensor()) });
  }
  return parameters;
}

function checkedOpset(file: OnnxFile, nodes: readonly OnnxNode[]): number {
  const place = basename(file.path);
  if (file.opset === null) {
    if (nodes.length === 0) return NEWEST_OPSET;
    throw new InputError(`opset missing (${place}); export the network again with opset 13 or later`);
  }
  if (file.opset > NEWEST_OPSET) {
    throw new InputError(
      `opset not supported: ${file.opset} (${place}); export the network with opset ${NEWEST_OPSET} or earlier`,
    );
  }
  const changed = nodes.find(({ op }) => !unchanged.has(op));
  if (file.opset < OLDEST_OPSET && changed !== undefined) {
    throw new InputError(
      `opset not supported: ${file.opset} with operator ${changed.op} (${nodePlace(changed, file.path)}); convert the model to opset 13 or later with onnx.version_converter`,
    );
  }
  return file.opset;
}

function applyRule(view: NodeView, file: OnnxFile): Value[] {
  const { op } = view.node;
  const rule = ruleOf(op);
  if (rule === undefined || file.functions.has(op)) {
    const what = file.functions.has(op) ? 'model-local function not supported' : 'unknown op';
    const next = file.functions.has(op)
      ? 'export the network without functions, or inline them with onnx.inliner'
      : 'it has no derivative here; export the network with other operators';
    throw new InputError(`${what}: ${op} (${nodePlace(view.node, file.path)}); ${next}`);
  }
  try {
    return rule(view);
  } catch (error) {
    if (error instanceof ShapeError) throw view.error(error.message, 'the graph does not fit the shape of its input');
    // An array that cannot be made: sizes that only a damaged file asks for.
    if (error instanceof RangeError) throw view.error(error.message, DAMAGED);
    throw error;
  }
}

/** A tensor of the file: a parameter or a constant of the graph, and its values when they are asked for. */
function storedValue(
  tensor: StoredTensor,
  name: string,
  asParameter: boolean,
  builder: GraphBuilder,
  file: OnnxFile,
): Value {
  const { dtype, shape } = tensor;
  if (!isElementType(dtype)) {
    throw new InputError(
      `element type not supported: ${dtype} (tensor ${JSON.stringify(name)}, ${basename(file.path)}); export the network with float32 weights`,
    );
  }
  if (isFloat(dtype) && asParameter) {
    return new Value(
      dtype,
      shape,
      () => builder.parameter(name, shape),
      () => tensor.read(),
    );
  }
  return knownValue(tensor.read(), builder);
}

function inputValue(
  info: ValueInfo,
  file: OnnxFile,
  builder: GraphBuilder,
  inputs: Map<string, GraphNode<'input'>>,
  options: ImportOptions,
): Value {
  const { name } = info;
  const frozen = options.frozen?.get(name);
  if (frozen !== undefined) return knownValue(frozen, builder);
  const dtype = info.dtype ?? 'float32';
  if (!isElementType(dtype) || !isFloat(dtype)) {
    throw new InputError(
      `input type not supported: ${dtype} (input ${JSON.stringify(name)}, ${basename(file.path)}); only float inputs can be`,
    );
  }
  const shape = options.shapes?.get(name) ?? staticShape(info, file, options.batch);
  const node = builder.input(name, shape);
  inputs.set(name, node);
  return new Value(dtype, shape, () => node, null);
}

/** The declared shape, with the batch size where its leading dimension has no number. */
function staticShape({ name, shape }: ValueInfo, file: OnnxFile, batch: number | undefined): Shape {
  const sizes = shape?.map((size, axis) => (axis === 0 && typeof size === 'string' ? (batch ?? size) : size));
  if (sizes === undefined || !sizes.every((size) => typeof size === 'number') || !(elementCount(sizes) >= 0)) {
    const declared = shape === null ? 'unknown' : formatDeclared(shape);
    throw new InputError(
      `input shape not fixed: ${declared} (input ${JSON.stringify(name)}, ${basename(file.path)}); export the network with fixed sizes, the batch excepted`,
    );
  }
  return sizes;
}

/** A declared shape as text. */
export function formatDeclared(shape: readonly (number | string)[]): string {
  return shape.every((size) => typeof size === 'number') ? formatShape(shape) : `[${shape.join(', ')}]`;
}
