import { InputError } from '../../errors';
import { onnx } from './generated/onnx';
import type { Attribute, OnnxNode, Subgraph } from './reader';
import { sparseTensor } from './sparse';
import { storedTensor, toNumber, type StoredTensor } from './tensor';

/** Nodes, and the graphs inside of them, as data. */

export function isOwnDomain(domain: string | null | undefined): boolean {
  return !domain || domain === 'ai.onnx';
}

/** The name of an operator or function, with its domain in front when that is not ONNX's own. */
export function qualified(domain: string | null | undefined, name: string | null | undefined): string {
  return isOwnDomain(domain) ? (name ?? '') : `${domain}.${name ?? ''}`;
}

/** Version of ONNX's own operators among those that are imported; null when not said. */
export function importedOpset(
  imports: readonly onnx.OperatorSetIdProto.$Properties[] | null | undefined,
): number | null {
  const own = (imports ?? []).find(({ domain }) => isOwnDomain(domain));
  return own?.version ? toNumber(own.version) : null;
}

/**
 * The initializers of a graph by name.
 * @throws InputError when two have the same, or one has none
 */
export function initializers(graph: onnx.GraphProto.$Properties, path: string): Map<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>();
  const add = (name: string, index: number, make: () => StoredTensor): void => {
    checkName(name, path);
    if (name === '') throw new InputError(`initializer without a name: number ${index} (${path}); export it again`);
    if (tensors.has(name)) throw new InputError(`duplicate initializer: ${name} (${path}); export it again`);
    tensors.set(name, make());
  };
  for (const [index, proto] of (graph.initializer ?? []).entries()) {
    const name = proto.name ?? '';
    add(name, index, () => storedTensor(proto, name, path));
  }
  for (const [index, proto] of (graph.sparseInitializer ?? []).entries()) {
    const name = proto.values?.name ?? '';
    add(name, index, () => sparseTensor(proto, name, path));
  }
  return tensors;
}

/** Bytes that are no UTF-8 are this sign after decoding, and two names could be the same. */
function checkName(name: string, path: string): void {
  if (!name.includes('\uFFFD')) return;
  throw new InputError(`name not UTF-8: ${JSON.stringify(name)} (${path}); the file is damaged, export it again`);
}

/** @param opset of the node, where it is not the file's */
export function decodeNode(
  node: onnx.NodeProto.$Properties,
  index: number,
  path: string,
  opsetOf: (node: onnx.NodeProto.$Properties) => number | undefined,
): OnnxNode {
  const op = qualified(node.domain, node.opType);
  const attributes = new Map<string, Attribute>();
  const subgraph = (graph: onnx.GraphProto.$Properties): Subgraph => ({
    nodes: (graph.node ?? []).map((inner) => decodeNode(inner, index, path, opsetOf)),
    tensors: initializers(graph, path),
    inputs: (graph.input ?? []).map(({ name }) => name ?? ''),
    outputs: (graph.output ?? []).map(({ name }) => name ?? ''),
  });
  for (const attribute of node.attribute ?? []) {
    const label = `${op || 'node'} ${index} ${attribute.name ?? ''}`;
    // The same constant, stored another way.
    const isSparse = op === 'Constant' && attribute.name === 'sparse_value';
    attributes.set(isSparse ? 'value' : (attribute.name ?? ''), decodeAttribute(attribute, label, path, subgraph));
  }
  for (const name of node.output ?? []) checkName(name, path);
  const opset = opsetOf(node);
  return {
    index,
    name: node.name ?? '',
    op,
    inputs: node.input ?? [],
    outputs: node.output ?? [],
    attributes,
    ...(opset !== undefined && { opset }),
  };
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();

function decodeAttribute(
  proto: onnx.AttributeProto.$Properties,
  label: string,
  path: string,
  subgraph: (graph: onnx.GraphProto.$Properties) => Subgraph,
): Attribute {
  const types = onnx.AttributeProto.AttributeType;
  switch (proto.type || typeByContent(proto)) {
    case types.FLOAT:
      return { kind: 'float', value: proto.f ?? 0 };
    case types.INT:
      return { kind: 'int', value: toNumber(proto.i ?? 0) };
    case types.STRING:
      return { kind: 'string', value: text(proto.s ?? new Uint8Array()) };
    case types.FLOATS:
      return { kind: 'floats', value: proto.floats ?? [] };
    case types.INTS:
      return { kind: 'ints', value: (proto.ints ?? []).map(toNumber) };
    case types.STRINGS:
      return { kind: 'strings', value: (proto.strings ?? []).map(text) };
    case types.TENSOR:
      return { kind: 'tensor', value: storedTensor(proto.t ?? {}, label, path) };
    case types.SPARSE_TENSOR:
      return { kind: 'tensor', value: sparseTensor(proto.sparseTensor ?? {}, label, path) };
    case types.GRAPH:
      return { kind: 'graph', value: subgraph(proto.g ?? {}) };
    case types.GRAPHS:
      return { kind: 'other', value: 'graphs' };
    default:
      return { kind: 'other', value: 'type' };
  }
}

/** Files of IR version 1 do not say an attribute's type. */
function typeByContent(proto: onnx.AttributeProto.$Properties): onnx.AttributeProto.AttributeType {
  const types = onnx.AttributeProto.AttributeType;
  if ((proto.ints ?? []).length > 0) return types.INTS;
  if ((proto.floats ?? []).length > 0) return types.FLOATS;
  if ((proto.strings ?? []).length > 0) return types.STRINGS;
  if (proto.t) return types.TENSOR;
  if (proto.sparseTensor) return types.SPARSE_TENSOR;
  if (proto.g) return types.GRAPH;
  if ((proto.graphs ?? []).length > 0) return types.GRAPHS;
  if (Object.hasOwn(proto, 's')) return types.STRING;
  if (Object.hasOwn(proto, 'f')) return types.FLOAT;
  return Object.hasOwn(proto, 'i') ? types.INT : types.INTS;
}
