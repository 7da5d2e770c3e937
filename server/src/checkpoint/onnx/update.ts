import { InputError } from '../../errors';
import { elementInfo, numberToBfloat16, numberToFloat16, type ElementType } from '../elements';
import { onnx } from './generated/onnx';
import { storedTensor } from './tensor';
import { lengthDelimited, rewriteField, rewriteMessage, varintBytes, WireError, type WireField } from './wire';

/**
 * A model with other weights and everything else as it was: names, operators,
 * metadata, element types, where a tensor's values lie. Values that float32
 * cannot tell from the wished ones keep their bits.
 */
export interface UpdatedModel {
  /** The model file. */
  readonly bytes: Uint8Array;
  /** Files with external data by their old location, all of which the model now expects at a new one. */
  readonly external: ReadonlyMap<string, ExternalUpdate>;
}

export interface ExternalUpdate {
  readonly location: string;
  /** What changes in a copy of the old file. */
  readonly patches: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
}

/**
 * @param file bytes of the model
 * @param path of the model, for messages and as the base of external data
 * @param values row-major values by name of an initializer, or of a Constant node's output
 * @param relocate new location of the n-th file of external data
 * @throws InputError when the file is damaged, or a name is not in it
 */
export function updateWeights(
  file: Uint8Array,
  path: string,
  values: ReadonlyMap<string, Float32Array>,
  relocate: (index: number) => string,
): UpdatedModel {
  try {
    return new Update(path, values, relocate).run(file);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new InputError(`ONNX file damaged: ${path} (${error.message}); copy or export it again`);
  }
}

/** Numbers of the fields that lead to tensors (onnx.proto). */
const MODEL = { graph: 7, trainingInfo: 20, functions: 25 };
const GRAPH = { node: 1, initializer: 5, sparseInitializer: 15 };
const NODE = { attribute: 5 };
const ATTRIBUTE = { tensor: 5, graph: 6, tensors: 10, graphs: 11, sparseTensor: 22, sparseTensors: 23 };
const TENSOR = { floats: 4, int32s: 5, raw: 9, doubles: 10, external: 13 };
const FUNCTION_NODE = 7;

type Rewrite = (content: Uint8Array) => Uint8Array | undefined;

class Update {
  private readonly external = new Map<string, { location: string; patches: { offset: number; bytes: Uint8Array }[] }>();
  private readonly missing: Set<string>;

  constructor(
    private readonly path: string,
    private readonly values: ReadonlyMap<string, Float32Array>,
    private readonly relocate: (index: number) => string,
  ) {
    this.missing = new Set(values.keys());
  }

  run(file: Uint8Array): UpdatedModel {
    const bytes = rewriteMessage(
      file,
      choose({
        [MODEL.graph]: (graph) => this.graph(graph, true),
        [MODEL.functions]: (content) =>
          rewriteMessage(content, choose({ [FUNCTION_NODE]: (node) => this.node(node, false) })),
        [MODEL.trainingInfo]: (content) =>
          rewriteMessage(
            content,
            choose({ 1: (graph) => this.graph(graph, false), 2: (graph) => this.graph(graph, false) }),
          ),
      }),
    );
    const [missing] = this.missing;
    if (missing !== undefined) throw new InputError(`weights not found: ${missing} (${this.path}); export it again`);
    return { bytes: bytes ?? file, external: this.external };
  }

  /** @param main whether names of the graph's tensors are those of `values`; in subgraphs they may hide them */
  private graph(graph: Uint8Array, main: boolean): Uint8Array | undefined {
    return rewriteMessage(
      graph,
      choose({
        [GRAPH.node]: (node) => this.node(node, main),
        [GRAPH.initializer]: (tensor) => this.tensor(tensor, main ? nameOf(tensor) : undefined),
        [GRAPH.sparseInitializer]: (sparse) => this.sparse(sparse),
      }),
    );
  }

  private node(node: Uint8Array, main: boolean): Uint8Array | undefined {
    const { output, opType } = main ? onnx.NodeProto.decode(node) : {};
    const name = opType === 'Constant' ? output?.[0] : undefined;
    const attribute: Rewrite = (content) =>
      rewriteMessage(
        content,
        choose({
          [ATTRIBUTE.tensor]: (tensor) => this.tensor(tensor, name),
          [ATTRIBUTE.graph]: (graph) => this.graph(graph, false),
          [ATTRIBUTE.tensors]: (tensor) => this.tensor(tensor, undefined),
          [ATTRIBUTE.graphs]: (graph) => this.graph(graph, false),
          [ATTRIBUTE.sparseTensor]: (sparse) => this.sparse(sparse),
          [ATTRIBUTE.sparseTensors]: (sparse) => this.sparse(sparse),
        }),
      );
    return rewriteMessage(node, choose({ [NODE.attribute]: attribute }));
  }

  private sparse(sparse: Uint8Array): Uint8Array | undefined {
    return rewriteMessage(
      sparse,
      choose({ 1: (tensor) => this.tensor(tensor, undefined), 2: (tensor) => this.tensor(tensor, undefined) }),
    );
  }

  private tensor(tensor: Uint8Array, name: string | undefined): Uint8Array | undefined {
    const proto = onnx.TensorProto.decode(tensor);
    const isExternal = proto.dataLocation === onnx.TensorProto.DataLocation.EXTERNAL;
    const wished = name === undefined ? undefined : this.values.get(name);
    if (wished !== undefined) this.missing.delete(name!);
    if (isExternal) return this.externalTensor(tensor, proto, name, wished);
    return wished === undefined ? undefined : this.inlineTensor(tensor, proto, name!, wished);
  }

  private externalTensor(
    tensor: Uint8Array,
    proto: onnx.TensorProto.$Properties,
    name: string | undefined,
    wished: Float32Array | undefined,
  ): Uint8Array | undefined {
    const entries = new Map((proto.externalData ?? []).map(({ key, value }) => [key ?? '', value ?? '']));
    const old = entries.get('location') ?? '';
    const known = this.external.get(old);
    const update = known ?? { location: this.relocate(this.external.size), patches: [] };
    if (known === undefined) this.external.set(old, update);
    if (wished !== undefined) {
      const { type, values } = this.merged(proto, name!, wished);
      update.patches.push({ offset: Number(entries.get('offset') ?? '0'), bytes: encode(type, values) });
    }
    return rewriteMessage(
      tensor,
      choose({
        [TENSOR.external]: (entry) => {
          if (onnx.StringStringEntryProto.decode(entry).key !== 'location') return undefined;
          const value = lengthDelimited(2, Buffer.from(update.location));
          return Buffer.concat([lengthDelimited(1, Buffer.from('location')), value]);
        },
      }),
    );
  }

  private inlineTensor(
    tensor: Uint8Array,
    proto: onnx.TensorProto.$Properties,
    name: string,
    wished: Float32Array,
  ): Uint8Array | undefined {
    const { type, values } = this.merged(proto, name, wished);
    const raw = encode(type, values);
    const isRaw = (proto.rawData ?? []).length > 0;
    const number = isRaw
      ? TENSOR.raw
      : type === 'float32'
        ? TENSOR.floats
        : type === 'float64'
          ? TENSOR.doubles
          : TENSOR.int32s;
    // 16-bit values outside raw data are numbers of their own.
    const content = number === TENSOR.int32s ? numbersOf16Bits(raw) : raw;
    let written = false;
    // A repeated field may come in pieces.
    return rewriteMessage(tensor, (field) => {
      if (field.number !== number) return undefined;
      const replacement = written ? new Uint8Array() : lengthDelimited(number, content);
      written = true;
      return replacement;
    });
  }

  /** The tensor's own values, and the wished ones where float32 tells them apart. */
  private merged(
    proto: onnx.TensorProto.$Properties,
    name: string,
    wished: Float32Array,
  ): { readonly type: ElementType; readonly values: ArrayLike<number> } {
    const { type, values } = storedTensor(proto, name, this.path).read();
    if (values.length !== wished.length) {
      throw new InputError(
        `weights do not fit: ${name} (${this.path}) has ${values.length} values, not ${wished.length}`,
      );
    }
    return { type, values: Float64Array.from(values, (own, i) => (Math.fround(own) === wished[i] ? own : wished[i]!)) };
  }
}

/** Rewrites the fields that are named, by number. */
function choose(rewrites: Readonly<Record<number, Rewrite>>): (field: WireField) => Uint8Array | undefined {
  return (field) => {
    const rewrite = rewrites[field.number];
    return rewrite === undefined ? undefined : rewriteField(field, rewrite);
  };
}

function nameOf(tensor: Uint8Array): string {
  return onnx.TensorProto.decode(tensor).name ?? '';
}

/** Little-endian, as raw data have it. */
function encode(type: ElementType, values: ArrayLike<number>): Uint8Array {
  const { bytes } = elementInfo[type];
  const view = new DataView(new ArrayBuffer(values.length * bytes));
  for (let i = 0; i < values.length; i++) {
    const at = i * bytes;
    if (type === 'float32') view.setFloat32(at, values[i]!, true);
    else if (type === 'float64') view.setFloat64(at, values[i]!, true);
    else if (type === 'float16') view.setUint16(at, numberToFloat16(values[i]!), true);
    else if (type === 'bfloat16') view.setUint16(at, numberToBfloat16(values[i]!), true);
    else throw new InputError(`weights of type ${type} cannot be written; only those of floating point can`);
  }
  return new Uint8Array(view.buffer);
}

function numbersOf16Bits(raw: Uint8Array): Uint8Array {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  return Buffer.concat(Array.from({ length: raw.length / 2 }, (_, i) => varintBytes(view.getUint16(2 * i, true))));
}
