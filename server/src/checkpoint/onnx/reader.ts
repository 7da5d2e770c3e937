import { stat } from 'node:fs/promises';
import { InputError } from '../../errors';
import { dataTypeName } from '../elements';
import { importedOpset, initializers } from './decode-node';
import { inlinedNodes } from './functions';
import { onnx } from './generated/onnx';
import { readSkeleton } from './skeleton';
import { toNumber, type StoredTensor } from './tensor';

/**
 * ONNX files as data: names, shapes, nodes and tensors, checked for form and
 * not for meaning. Nothing is evaluated here; `import.ts` gives the nodes
 * their meaning and `../inspect.ts` lists them.
 */

/** A tensor's declared name, type and shape. A dimension is a number or a name; `null` is "not said". */
export interface ValueInfo {
  readonly name: string;
  /** Element type, or the kind of a value that is no tensor; null when not said. */
  readonly dtype: string | null;
  /** Null when not even the rank is said. An unnamed unknown dimension is `?`. */
  readonly shape: readonly (number | string)[] | null;
}

export type Attribute =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: StoredTensor }
  | { readonly kind: 'graph'; readonly value: Subgraph }
  /** Several subgraphs, or a type. */
  | { readonly kind: 'other'; readonly value: string };

/** A graph in a node, which sees the values of the graph around it. */
export interface Subgraph {
  readonly nodes: readonly OnnxNode[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export interface OnnxNode {
  /** Position in the file; of a node in a graph or function, that of the node it belongs to. */
  readonly index: number;
  readonly name: string;
  /** Operator type; with its domain in front when that is not ONNX's own. */
  readonly op: string;
  /** '' is an omitted optional input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
  /** Version of ONNX's operators, where it is not the file's. */
  readonly opset?: number;
  /** Whether it stands in the body of a function, which all its calls share. */
  readonly ofFunction?: boolean;
}

/** As it is shown. */
export const FORMAT = 'ONNX';

export interface OnnxFile {
  /** As it is shown: ONNX, or where the graph was made from another. */
  readonly format: string;
  /** As it was opened. */
  readonly path: string;
  /** Exporter and its version, '' when not said. */
  readonly producer: string;
  /** Version of ONNX's own operators; null when not said. */
  readonly opset: number | null;
  /** Graph inputs that are not initializers. */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** In file order; those of a model-local function stand where it is called. */
  readonly nodes: readonly OnnxNode[];
  /** Initializers by name, in file order, those that are stored sparse behind the others. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/** Field numbers of `ModelProto` and their wire types. */
const modelFields = new Map([
  [1, 0],
  [2, 2],
  [3, 2],
  [4, 2],
  [5, 0],
  [6, 2],
  [7, 2],
  [8, 2],
  [14, 2],
  [20, 2],
  [25, 2],
  [26, 2],
]);

/**
 * Whether a file that begins with `head` can be an ONNX model. The format has
 * no signature, so the first fields are walked.
 */
export function match(head: Uint8Array): boolean {
  let at = 0;
  let fields = 0;
  while (at < head.length) {
    const tag = varint(head, at);
    if (tag === null) return fields > 0;
    if (modelFields.get(Math.floor(tag.value / 8)) !== tag.value % 8) return false;
    const body = varint(head, tag.next);
    if (body === null) return fields > 0 && tag.next + 10 > head.length;
    fields++;
    at = tag.value % 8 === 0 ? body.next : body.next + body.value;
  }
  return fields > 0;
}

function varint(bytes: Uint8Array, start: number): { value: number; next: number } | null {
  let value = 0;
  for (let i = 0; i < 10 && start + i < bytes.length; i++) {
    value += (bytes[start + i]! & 0x7f) * 2 ** (7 * i);
    if (bytes[start + i]! < 0x80) return { value, next: start + i + 1 };
  }
  return null;
}

const LARGEST = 2 ** 31 - 1;

/**
 * Opens a model. Large tensors are read when they are asked for.
 * @throws InputError when the file cannot be read, is too large, or is no ONNX model
 */
export async function open(path: string): Promise<OnnxFile> {
  let size: number;
  try {
    size = (await stat(path)).size;
  } catch (error) {
    throw new InputError(`file not readable: ${path}; ${(error as Error).message}`);
  }
  if (size > LARGEST) {
    throw new InputError(
      `file too large: ${(size / 2 ** 30).toFixed(1)} GiB (${path}); ONNX files end at 2 GiB, save the weights as external data`,
    );
  }
  return decodeModel(readSkeleton(path, size), path);
}

/**
 * @param path for messages, and as the base of external data
 * @throws InputError when the bytes are no ONNX model
 */
export function decodeModel(bytes: Uint8Array, path: string): OnnxFile {
  if (bytes.length === 0) throw new InputError(`file empty: ${path}; copy or export it again`);
  let model: onnx.ModelProto.$Properties;
  try {
    model = onnx.ModelProto.decode(bytes);
  } catch (error) {
    throw new InputError(
      `ONNX file not readable: ${path} (${(error as Error).message}); it is truncated or no ONNX model, copy or export it again`,
    );
  }
  const graph = model.graph;
  if (!graph || ((graph.node ?? []).length === 0 && (graph.output ?? []).length === 0)) {
    throw new InputError(`ONNX file without a graph: ${path}; it is truncated or no ONNX model, export it again`);
  }
  const tensors = initializers(graph, path);
  const isFree = ({ name }: ValueInfo): boolean => !tensors.has(name);
  return {
    format: FORMAT,
    path,
    producer: [model.producerName, model.producerVersion].filter(Boolean).join(' '),
    opset: opsetOf(model),
    inputs: (graph.input ?? []).map(valueInfo).filter(isFree),
    outputs: (graph.output ?? []).map(valueInfo),
    nodes: inlinedNodes(model, path),
    tensors,
  };
}

function opsetOf(model: onnx.ModelProto.$Properties): number | null {
  const said = importedOpset(model.opsetImport);
  if (said !== null) return said;
  // Before IR version 3 there was no such field and one operator set.
  return model.irVersion && toNumber(model.irVersion) < 3 ? 1 : null;
}

function valueInfo({ name, type }: onnx.ValueInfoProto.$Properties): ValueInfo {
  const tensor = type?.tensorType;
  if (!tensor) {
    const kind = type?.sequenceType ?? type?.mapType ?? type?.optionalType ?? type?.sparseTensorType;
    return { name: name ?? '', dtype: kind ? 'no dense tensor' : null, shape: null };
  }
  const dims = tensor.shape?.dim?.map((dim) =>
    dim.dimParam ? dim.dimParam : !dim.dimValue || toNumber(dim.dimValue) < 0 ? '?' : toNumber(dim.dimValue),
  );
  return { name: name ?? '', dtype: dataTypeName(tensor.elemType ?? 0), shape: dims ?? null };
}
