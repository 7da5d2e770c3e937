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
import { capturedBy, capturedNames, orderedNodes, producersOf, type Producers } from './order';
import type { OnnxFile, OnnxNode, Subgraph, ValueInfo } from './reader';
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
const NEWEST_OPSET = 28;

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
  return new Importer(file, options).run();
}

/** A graph of which values are asked: that of the file, or one in a node. */
interface Scope {
  /** Its tensors are those of the graphs around it too, and its inputs the values that it takes from them. */
  readonly file: OnnxFile;
  readonly producers: Producers;
  /** Names that anything uses. */
  readonly used: ReadonlySet<string>;
  readonly values: Map<string, Value>;
  readonly done: Set<OnnxNode>;
  readonly outer: Scope | null;
}

/** A scope and those around it, the outermost first. */
const enclosing = (scope: Scope): Scope[] => [...(scope.outer === null ? [] : enclosing(scope.outer)), scope];

class Importer {
  private readonly builder: GraphBuilder;
  private readonly stored = new Map<string, Value>();
  /** Names of parameters, by that in the file and the tensor that has it there. */
  private readonly names = new Map<string, Map<StoredTensor, string>>();
  private readonly taken = new Set<string>();
  /** Of the main graph; made where a name is taken. */
  private fileNames: ReadonlySet<string> | undefined;
  private readonly inputs = new Map<string, GraphNode<'input'>>();
  private readonly normalizations: Normalization[] = [];
  private readonly layers = new Map<string, PrunableLayer>();

  constructor(
    private readonly file: OnnxFile,
    private readonly options: ImportOptions,
  ) {
    this.builder = options.builder ?? new GraphBuilder();
  }

  run(): ImportedGraph {
    const { file, builder } = this;
    const scope = this.scope(file, producersOf(file), null);
    this.importNodes(orderedNodes(file, scope.producers), scope);
    const outputs = new Map<string, AnyNode>();
    const constants = new Map<string, KnownTensor>();
    for (const { name } of file.outputs) {
      const value = this.valueOf(name, scope);
      if (value.isNode && (isFloat(value.type) || !value.isKnown)) outputs.set(name, value.node());
      else constants.set(name, value.tensor());
    }
    const parameters = reachedParameters([...outputs.values()], this.stored);
    const layers = [...this.layers.values()].filter(({ name }) => parameters.has(name));
    return {
      builder,
      inputs: this.inputs,
      outputs,
      constants,
      parameters,
      normalizations: this.normalizations,
      layers: layers.map(({ name, op, shape }) => ({ name, op, shape })),
    };
  }

  private scope(file: OnnxFile, producers: Producers, outer: Scope | null): Scope {
    const names = file.nodes.flatMap((node) => [...node.inputs, ...capturedBy(node)]);
    const used = new Set([...names, ...file.outputs.map(({ name }) => name)]);
    return { file, producers, used, values: new Map(), done: new Set(), outer };
  }

  private importNodes(nodes: readonly OnnxNode[], scope: Scope): void {
    const { file, used, values, done } = scope;
    const producers = new Map(enclosing(scope).flatMap((one) => [...one.producers]));
    const opset = checkedOpset(file, nodes);
    for (const layer of layersOf(nodes, file, producers)) {
      const name = this.nameOf(layer.tensor, layer.name);
      if (!this.layers.has(name)) this.layers.set(name, { ...layer, name });
    }
    for (const node of nodes) {
      if (done.has(node)) continue;
      done.add(node);
      const view = new NodeView(
        node,
        node.opset ?? opset,
        file.path,
        this.builder,
        node.inputs.map((name) => (name === '' ? undefined : this.valueOf(name, scope))),
        (output) => (node.outputs[output] ?? '') !== '' && used.has(node.outputs[output]!),
        this.options.rebatch ?? null,
        (tensor, name) => this.fromFile(tensor, name, this.layers.has(this.nameOf(tensor, name))),
        (graph) => this.branch(graph, scope),
        this.options.training === true ? this.normalizations : null,
      );
      const results = applyRule(view);
      for (const [index, name] of node.outputs.entries()) {
        const result = results[index];
        if (result !== undefined) values.set(name, result);
        else if (view.isUsed(index)) throw view.error(`output ${index} not supported`);
      }
    }
  }

  /** The value of a tensor; what nothing has needed so far is made now. */
  private valueOf(name: string, scope: Scope): Value {
    const existing = scope.values.get(name);
    if (existing !== undefined) return existing;
    const value = this.made(name, scope);
    scope.values.set(name, value);
    return value;
  }

  private made(name: string, scope: Scope): Value {
    const { file, outer } = scope;
    const own = outer === null || !outer.file.tensors.has(name);
    const tensor = own ? file.tensors.get(name) : undefined;
    if (tensor !== undefined) return this.fromFile(tensor, name, true);
    // Nodes of this graph stand in order: what is missing comes from around it.
    if (outer !== null) return this.outerValue(name, outer);
    const input = file.inputs.find((candidate) => candidate.name === name);
    if (input === undefined) {
      const what = scope.producers.has(name)
        ? 'circular graph: a branch needs its own'
        : 'unknown tensor: a branch needs';
      throw new InputError(`${what} ${JSON.stringify(name)} (${basename(file.path)}); ${DAMAGED}`);
    }
    return inputValue(input, file, this.builder, this.inputs, this.options);
  }

  /** A value that a graph in a node takes from around it; nodes that only such graphs need are imported now. */
  private outerValue(name: string, scope: Scope): Value {
    const { file, producers, values } = scope;
    if (!values.has(name) && producers.has(name)) {
      const wanted = { ...file, outputs: [{ name, dtype: null, shape: null }] };
      this.importNodes(orderedNodes(wanted, producers), scope);
    }
    return this.valueOf(name, scope);
  }

  private branch(graph: Subgraph, outer: Scope): Value[] {
    const info = (name: string): ValueInfo => ({ name, dtype: null, shape: null });
    const file = {
      ...outer.file,
      nodes: graph.nodes,
      tensors: new Map([...outer.file.tensors, ...graph.tensors]),
      inputs: [...capturedNames(graph)].filter((name) => !outer.file.tensors.has(name)).map(info),
      outputs: graph.outputs.map(info),
    };
    const scope = this.scope(file, producersOf(file), outer);
    this.importNodes(orderedNodes(file, scope.producers), scope);
    return graph.outputs.map((name) => this.valueOf(name, scope));
  }

  private fromFile(tensor: StoredTensor, given: string, asParameter: boolean): Value {
    if (!asParameter) return storedValue(tensor, given, false, this.builder, this.file);
    const name = this.nameOf(tensor, given);
    const value = storedValue(tensor, name, true, this.builder, this.file);
    this.stored.set(name, value);
    return value;
  }

  /** Its name in the file, unless a graph beside its own uses that too: parameters are known by their names. */
  private nameOf(tensor: StoredTensor, given: string): string {
    const alike = this.names.get(given) ?? new Map<StoredTensor, string>();
    const known = alike.get(tensor);
    if (known !== undefined) return known;
    let name = given;
    for (let i = Math.max(alike.size + 1, 2); this.taken.has(name) || (name !== given && this.isOfFile(name)); i++) {
      name = `${given} (${i})`;
    }
    this.names.set(given, alike.set(tensor, name));
    this.taken.add(name);
    return name;
  }

  private isOfFile(name: string): boolean {
    this.fileNames ??= new Set([...this.file.tensors.keys(), ...this.file.nodes.flatMap(({ outputs }) => outputs)]);
    return this.fileNames.has(name);
  }
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

function applyRule(view: NodeView): Value[] {
  const { op } = view.node;
  const rule = ruleOf(op);
  if (rule === undefined) {
    throw new InputError(
      `unknown op: ${op} (${nodePlace(view.node, view.path)}); it has no derivative here; export the network with other operators`,
    );
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
