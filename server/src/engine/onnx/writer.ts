import Long from 'long';
import { onnx } from '../../checkpoint/onnx/generated/onnx';
import type { Shape } from '../../graph/ir';

/** ONNX opset that the emission speaks, and the one of onnxruntime's own ops. */
const OPSET = 18;
const IR_VERSION = 9;

type AttributeValue = number | string | readonly number[] | { readonly float: number };

/**
 * Collects the nodes of an ONNX graph. Values are names; equal nodes and equal
 * small initializers are written once.
 */
export class OnnxWriter {
  /** Begins the names of new values; unset, they are numbers apart from all names of a checkpoint. */
  scope: string | undefined;
  private readonly nodes: onnx.INodeProto[] = [];
  private readonly initializers: onnx.ITensorProto[] = [];
  private readonly inputs: onnx.IValueInfoProto[] = [];
  private readonly outputs: onnx.IValueInfoProto[] = [];
  private readonly known = new Map<string, readonly string[]>();
  private readonly taken: Set<string>;
  private readonly domains = new Set(['']);
  /** Results of nodes, and the names that results of the graph gave them. */
  private readonly made = new Map<string, string>();
  private names = 0;

  /**
   * @param taken names that are used for something else
   * @param batch name of the leading dimension of inputs and outputs; the number when absent
   */
  constructor(
    taken: Iterable<string> = [],
    private readonly batch?: string,
  ) {
    this.taken = new Set(taken);
  }

  /** Adds a node and answers the name of its first result. */
  node(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    domain = '',
  ): string {
    return this.nodeWithResults(op, inputs, attributes, 1, domain)[0]!;
  }

  nodeWithResults(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>>,
    results: number,
    domain = '',
  ): readonly string[] {
    const key = `${domain}.${op}(${inputs.join()})${JSON.stringify(attributes)}`;
    const existing = this.known.get(key);
    if (existing !== undefined && existing.length >= results) return existing;
    const output = Array.from({ length: results }, () => this.freshName(op));
    const attribute = Object.entries(attributes).map(([name, value]) => toAttribute(name, value));
    this.nodes.push({ opType: op, domain, name: output[0]!, input: [...inputs], output, attribute });
    this.domains.add(domain);
    for (const name of output) this.made.set(name, name);
    this.known.set(key, output);
    return output;
  }

  input(name: string, shape: Shape): string {
    this.inputs.push(valueInfo(name, shape, this.batch));
    return name;
  }

  /** Makes `value` a result of the graph under `name`: its name from now on, unless it has been given one. */
  output(name: string, value: string, shape: Shape): void {
    if (this.made.get(value) === value) this.made.set(value, name);
    else this.nodes.push({ opType: 'Identity', name, input: [value], output: [name] });
    this.outputs.push(valueInfo(name, shape, this.batch));
  }

  floats(values: Float32Array, shape: Shape, name = this.freshName('float')): string {
    return this.initializer(onnx.TensorProto.DataType.FLOAT, values, shape, name);
  }

  /** A small float constant, shared by value. */
  scalar(value: number): string {
    return this.shared(`scalar ${value}`, () => this.floats(Float32Array.of(value), []));
  }

  /** A one-dimensional int64 constant, shared by value. */
  ints(values: readonly number[]): string {
    return this.shared(`ints ${values.join()}`, () => this.indices(Int32Array.from(values), [values.length]));
  }

  /** One-dimensional int32 constant, made once for a key. */
  narrow(key: string, make: () => Int32Array): string {
    return this.shared(`narrow ${key}`, () => {
      const values = make();
      return this.initializer(onnx.TensorProto.DataType.INT32, values, [values.length], this.freshName('int'));
    });
  }

  /** int64 constant of any shape. */
  indices(values: Int32Array, shape: Shape): string {
    const wide = BigInt64Array.from(values, BigInt);
    return this.initializer(onnx.TensorProto.DataType.INT64, wide, shape, this.freshName('int'));
  }

  /** The model as protobuf bytes. */
  encode(): Uint8Array {
    return onnx.ModelProto.encode({
      irVersion: Long.fromNumber(IR_VERSION),
      producerName: 'pruning-limit',
      opsetImport: [...this.domains].map((domain) => ({
        domain,
        version: Long.fromNumber(domain === '' ? OPSET : 1),
      })),
      graph: {
        name: 'graph',
        node: this.usedNodes().map((node) => ({
          ...node,
          input: node.input!.map((name) => this.made.get(name) ?? name),
          output: node.output!.map((name) => this.made.get(name) ?? name),
        })),
        initializer: this.initializers,
        input: this.inputs,
        output: this.outputs,
      },
    }).finish();
  }

  /** Those that a result needs: a value may have been written in two layouts and be wanted in one. */
  private usedNodes(): onnx.INodeProto[] {
    const wanted = new Set(this.outputs.map(({ name }) => name!));
    for (const [value, name] of this.made) if (wanted.has(name)) wanted.add(value);
    const used: onnx.INodeProto[] = [];
    for (const node of [...this.nodes].reverse()) {
      if (!node.output!.some((name) => wanted.has(name))) continue;
      used.push(node);
      for (const name of node.input!) wanted.add(name);
    }
    return used.reverse();
  }

  private freshName(kind: string): string {
    // The sign keeps these apart from the names of a checkpoint.
    if (this.scope === undefined) return `%${kind}${this.names++}`;
    const base = this.scope === '' ? kind : `${this.scope}/${kind}`;
    let name = base;
    for (let i = 1; this.taken.has(name); i++) name = `${base}_${i}`;
    this.taken.add(name);
    return name;
  }

  private shared(key: string, make: () => string): string {
    const existing = this.known.get(key);
    if (existing !== undefined) return existing[0]!;
    const name = make();
    this.known.set(key, [name]);
    return name;
  }

  private initializer(dataType: number, values: ArrayBufferView, shape: Shape, name: string): string {
    const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.initializers.push({ name, dataType, dims: shape.map((size) => Long.fromNumber(size)), rawData });
    return name;
  }
}

function valueInfo(name: string, shape: Shape, batch: string | undefined): onnx.IValueInfoProto {
  const dim = shape.map((size, axis) =>
    axis === 0 && batch !== undefined ? { dimParam: batch } : { dimValue: Long.fromNumber(size) },
  );
  return { name, type: { tensorType: { elemType: onnx.TensorProto.DataType.FLOAT, shape: { dim } } } };
}

/** Numbers are integers unless wrapped as `{ float }`. */
function toAttribute(name: string, value: AttributeValue): onnx.IAttributeProto {
  const { AttributeType } = onnx.AttributeProto;
  if (typeof value === 'number') return { name, type: AttributeType.INT, i: Long.fromNumber(value) };
  if (typeof value === 'string') return { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) };
  if ('float' in value) return { name, type: AttributeType.FLOAT, f: value.float };
  return { name, type: AttributeType.INTS, ints: value.map((item) => Long.fromNumber(item)) };
}
