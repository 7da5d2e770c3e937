import { InputError } from '../../errors';
import type { Edit } from '../edit';
import { dataTypeName } from '../elements';
import { onnx } from './generated/onnx';
import { storedTensor } from './tensor';
import { lengthDelimited, rewriteField, rewriteMessage, varintBytes, WireError, type WireField } from './wire';

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
}

/**
 * @param file bytes of the model
 * @param path of the model, for messages and as the base of external data
 * @param edits by name of an initializer, or of a Constant node's output
 * @param relocate new location of the n-th file of external data
 * @throws InputError when the file is damaged, or a name is not in it
 */
export function updateWeights(
  file: Uint8Array,
  path: string,
  edits: ReadonlyMap<string, Edit>,
  relocate: (index: number) => string,
): UpdatedModel {
  try {
    return new Update(path, edits, relocate).run(file);
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
    private readonly edits: ReadonlyMap<string, Edit>,
    private readonly relocate: (index: number) => string,
  ) {
    this.missing = new Set(edits.keys());
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

  /** @param main whether names of the graph's tensors are those of `edits`; in subgraphs they may hide them */
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
    const update = known ?? { location: this.relocate(this.external.size), patches: [] };
    if (known === undefined) this.external.set(old, update);
    if (content !== undefined) {
      update.patches.push({ offset: Number(entries.get('offset') ?? '0'), bytes: content });
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

function nameOf(tensor: Uint8Array): string {
  return onnx.TensorProto.decode(tensor).name ?? '';
}

function numbersOf16Bits(raw: Uint8Array): Uint8Array {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  return Buffer.concat(Array.from({ length: raw.length / 2 }, (_, i) => varintBytes(view.getUint16(2 * i, true))));
}
