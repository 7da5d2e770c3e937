import { InputError } from '../../errors';
import type { Edit } from '../edit';
import { elementCount } from '../../graph/shapes';
import { dataTypeName, isElementType, isFloat } from '../elements';
import { onnx } from './generated/onnx';
import { number, sparseMessage, sparseTensor } from './sparse';
import { storedTensor, toNumber } from './tensor';
import {
  lengthDelimited,
  rewriteField,
  rewriteMessage,
  varintBytes,
  wireFields,
  WireError,
  type WireField,
} from './wire';

/**
 * A model with other weights and everything else as it was: names, operators,
 * metadata, element types, where a tensor's values lie.
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
  /** The parts of the old file that the new one is made of; null where it is a copy. */
  readonly parts: readonly ExternalPart[] | null;
}

export interface ExternalPart {
  readonly from: number;
  readonly to: number;
  readonly length: number;
}

/**
 * @param file bytes of the model
 * @param path of the model, for messages and as the base of external data
 * @param edits by name of an initializer, or of a Constant node's output
 * @param relocate new location of the n-th file of external data
 * @param sparse whether the float tensors of the graph become sparse where that takes fewer bytes
 * @throws InputError when the file is damaged, or a name is not in it
 */
export function updateWeights(
  file: Uint8Array,
  path: string,
  edits: ReadonlyMap<string, Edit>,
  relocate: (index: number) => string,
  sparse = false,
): UpdatedModel {
  try {
    return new Update(path, edits, relocate, sparse).run(file);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new InputError(`ONNX file damaged: ${path} (${error.message}); copy or export it again`);
  }
}

/** Numbers of the fields that lead to tensors (onnx.proto). */
const MODEL = { irVersion: 1, opset: 8, graph: 7, trainingInfo: 20, functions: 25 };
const GRAPH = { node: 1, initializer: 5, input: 11, sparseInitializer: 15 };
const NODE = { attribute: 5 };
const ATTRIBUTE = {
  name: 1,
  type: 20,
  tensor: 5,
  graph: 6,
  tensors: 10,
  graphs: 11,
  sparseTensor: 22,
  sparseTensors: 23,
};
const TENSOR = { floats: 4, int32s: 5, raw: 9, doubles: 10, external: 13 };
const FUNCTION_NODE = 7;

/** The first version of the format, and of the operator Constant, that knows sparse tensors. */
const SPARSE_IR_VERSION = 6;
const SPARSE_CONSTANT = 11;
/** Tensors in a file of external data begin at multiples of this, so that they can be mapped into memory. */
const PAGE = 4096;

type Rewrite = (content: Uint8Array) => Uint8Array | undefined;

class Update {
  private readonly external = new Map<
    string,
    { location: string; patches: { offset: number; bytes: Uint8Array }[]; parts: ExternalPart[] | null }
  >();
  private anySparse = false;
  private sparseConstants = false;
  private readonly missing: Set<string>;

  constructor(
    private readonly path: string,
    private readonly edits: ReadonlyMap<string, Edit>,
    private readonly relocate: (index: number) => string,
    private readonly sparse: boolean,
  ) {
    this.missing = new Set(edits.keys());
  }

  run(file: Uint8Array): UpdatedModel {
    this.sparseConstants = this.sparse && opsetOf(file) >= SPARSE_CONSTANT;
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
    const updated = bytes ?? file;
    return { bytes: this.anySparse ? withIrVersion(updated, SPARSE_IR_VERSION) : updated, external: this.external };
  }

  /** @param main whether names of the graph's tensors are those of `edits`; in subgraphs they may hide them */
  private graph(graph: Uint8Array, main: boolean): Uint8Array | undefined {
    const rewrite = choose({
      [GRAPH.node]: (node) => this.node(node, main),
      [GRAPH.initializer]: (tensor) => this.tensor(tensor, main ? nameOf(tensor) : undefined),
      [GRAPH.sparseInitializer]: (sparse) => this.sparseTensor(sparse, main ? '' : undefined),
    });
    return rewriteMessage(graph, (field) => {
      const isDense = main && field.number === GRAPH.initializer && field.type === 2;
      const sparse = isDense ? this.asSparse(field.content, nameOf(field.content)) : undefined;
      return sparse === undefined ? rewrite(field) : lengthDelimited(GRAPH.sparseInitializer, sparse);
    });
  }

  private node(node: Uint8Array, main: boolean): Uint8Array | undefined {
    const { output, opType } = main ? onnx.NodeProto.decode(node) : {};
    const name = opType === 'Constant' ? output?.[0] : undefined;
    const attribute: Rewrite = (content) => {
      const sparse = name === undefined || !this.sparseConstants ? undefined : this.sparseAttribute(content, name);
      if (sparse !== undefined) return sparse;
      return rewriteMessage(
        content,
        choose({
          [ATTRIBUTE.tensor]: (tensor) => this.tensor(tensor, name),
          [ATTRIBUTE.graph]: (graph) => this.graph(graph, false),
          [ATTRIBUTE.tensors]: (tensor) => this.tensor(tensor, undefined),
          [ATTRIBUTE.graphs]: (graph) => this.graph(graph, false),
          [ATTRIBUTE.sparseTensor]: (sparse) => this.sparseTensor(sparse, name),
          [ATTRIBUTE.sparseTensors]: (sparse) => this.sparseTensor(sparse, undefined),
        }),
      );
    };
    return rewriteMessage(node, choose({ [NODE.attribute]: attribute }));
  }

  /** `value` of a Constant node as `sparse_value`, where that is shorter. */
  private sparseAttribute(content: Uint8Array, name: string): Uint8Array | undefined {
    for (const field of wireFields(content)) {
      if (field.number !== ATTRIBUTE.tensor || field.type !== 2) continue;
      const sparse = this.asSparse(field.content, name);
      if (sparse === undefined) return undefined;
      return Buffer.concat([
        lengthDelimited(ATTRIBUTE.name, Buffer.from('sparse_value')),
        number(ATTRIBUTE.type, onnx.AttributeProto.AttributeType.SPARSE_TENSOR),
        lengthDelimited(ATTRIBUTE.sparseTensor, sparse),
      ]);
    }
    return undefined;
  }

  /** A dense tensor as a sparse one; undefined where it stays dense. */
  private asSparse(tensor: Uint8Array, name: string): Uint8Array | undefined {
    if (!this.sparse) return undefined;
    const proto = onnx.TensorProto.decode(tensor);
    const stored = storedTensor(proto, name, this.path);
    const { dtype, shape } = stored;
    if (!isElementType(dtype) || !isFloat(dtype) || shape.length === 0 || elementCount(shape) === 0) return undefined;
    const raw = this.edits.get(name)?.(stored) ?? stored.bytes();
    const sparse = sparseMessage(tensor, shape, raw);
    // What is outside of the model takes room as well.
    if (sparse.length >= Math.max(tensor.length, raw.length)) return undefined;
    this.missing.delete(name);
    this.anySparse = true;
    return sparse;
  }

  /** @param name whose edit it takes; '' for that of its values */
  private sparseTensor(sparse: Uint8Array, name: string | undefined): Uint8Array | undefined {
    const proto = onnx.SparseTensorProto.decode(sparse);
    const own = name === '' ? (proto.values?.name ?? '') : name;
    const edit = own === undefined ? undefined : this.edits.get(own);
    if (edit !== undefined) {
      this.missing.delete(own!);
      const stored = sparseTensor(proto, own!, this.path);
      const values = [...wireFields(sparse)].find((field) => field.number === 1)!.content;
      return sparseMessage(values, stored.shape, edit(stored));
    }
    return rewriteMessage(
      sparse,
      choose({ 1: (tensor) => this.tensor(tensor, undefined), 2: (tensor) => this.tensor(tensor, undefined) }),
    );
  }

  private tensor(tensor: Uint8Array, name: string | undefined): Uint8Array | undefined {
    const proto = onnx.TensorProto.decode(tensor);
    const isExternal = proto.dataLocation === onnx.TensorProto.DataLocation.EXTERNAL;
    const edit = name === undefined ? undefined : this.edits.get(name);
    if (edit !== undefined) this.missing.delete(name!);
    const content = edit?.(storedTensor(proto, name!, this.path));
    if (isExternal) return this.externalTensor(tensor, proto, content);
    return content === undefined ? undefined : this.inlineTensor(tensor, proto, content);
  }

  private externalTensor(
    tensor: Uint8Array,
    proto: onnx.TensorProto.$Properties,
    content: Uint8Array | undefined,
  ): Uint8Array | undefined {
    const entries = new Map((proto.externalData ?? []).map(({ key, value }) => [key ?? '', value ?? '']));
    const old = entries.get('location') ?? '';
    const known = this.external.get(old);
    const update = known ?? {
      location: this.relocate(this.external.size),
      patches: [],
      parts: this.sparse ? [] : null,
    };
    if (known === undefined) this.external.set(old, update);
    const now = new Map([['location', update.location]]);
    let offset = Number(entries.get('offset') ?? '0');
    if (update.parts !== null) {
      // Without the tensors that are sparse now.
      const declared = Number(entries.get('length'));
      const length = Number.isSafeInteger(declared) ? declared : storedTensor(proto, '', this.path).bytes().length;
      const last = update.parts.at(-1);
      const to = Math.ceil(((last?.to ?? 0) + (last?.length ?? 0)) / PAGE) * PAGE;
      update.parts.push({ from: offset, to, length });
      offset = to;
      now.set('offset', String(offset));
    }
    if (content !== undefined) update.patches.push({ offset, bytes: content });
    const rewritten = rewriteMessage(
      tensor,
      choose({
        [TENSOR.external]: (entry) => {
          const key = onnx.StringStringEntryProto.decode(entry).key ?? '';
          const value = now.get(key);
          return value === undefined ? undefined : externalEntry(key, value);
        },
      }),
    );
    if (rewritten === undefined || !now.has('offset') || entries.has('offset')) return rewritten;
    return Buffer.concat([rewritten, lengthDelimited(TENSOR.external, externalEntry('offset', now.get('offset')!))]);
  }

  private inlineTensor(
    tensor: Uint8Array,
    proto: onnx.TensorProto.$Properties,
    raw: Uint8Array,
  ): Uint8Array | undefined {
    const type = dataTypeName(proto.dataType ?? 0);
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
}

/** Rewrites the fields that are named, by number. */
function choose(rewrites: Readonly<Record<number, Rewrite>>): (field: WireField) => Uint8Array | undefined {
  return (field) => {
    const rewrite = rewrites[field.number];
    return rewrite === undefined ? undefined : rewriteField(field, rewrite);
  };
}

function externalEntry(key: string, value: string): Uint8Array {
  return Buffer.concat([lengthDelimited(1, Buffer.from(key)), lengthDelimited(2, Buffer.from(value))]);
}

/** Version of ONNX's own operators; 0 where it is not said. */
function opsetOf(file: Uint8Array): number {
  for (const field of wireFields(file)) {
    if (field.number !== MODEL.opset || field.type !== 2) continue;
    const { domain, version } = onnx.OperatorSetIdProto.decode(field.content);
    if (!domain || domain === 'ai.onnx') return toNumber(version ?? 0);
  }
  return 0;
}

/**
 * The model, of that version of the format at least. Before version 4 every
 * initializer had to be an input as well; since then that would make it a
 * default that whoever runs the model can replace.
 */
function withIrVersion(file: Uint8Array, least: number): Uint8Array {
  const { irVersion, graph } = onnx.ModelProto.decode(file);
  const version = toNumber(irVersion ?? 0);
  if (version >= least) return file;
  const initializers = new Set([
    ...(graph?.initializer ?? []).map(({ name }) => name),
    ...(graph?.sparseInitializer ?? []).map(({ values }) => values?.name),
  ]);
  const isRepeated = (input: Uint8Array): boolean => initializers.has(onnx.ValueInfoProto.decode(input).name);
  const withoutInputs: Rewrite = (content) =>
    rewriteMessage(content, (field) =>
      field.number === GRAPH.input && isRepeated(field.content) ? new Uint8Array() : undefined,
    );
  const rest =
    rewriteMessage(file, (field) => {
      if (field.number === MODEL.irVersion) return new Uint8Array();
      return field.number === MODEL.graph && version < 4 ? rewriteField(field, withoutInputs) : undefined;
    }) ?? file;
  return Buffer.concat([number(MODEL.irVersion, least), rest]);
}

function nameOf(tensor: Uint8Array): string {
  return onnx.TensorProto.decode(tensor).name ?? '';
}

function numbersOf16Bits(raw: Uint8Array): Uint8Array {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  return Buffer.concat(Array.from({ length: raw.length / 2 }, (_, i) => varintBytes(view.getUint16(2 * i, true))));
}
