import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import Long from 'long';
import { InputError } from '../../errors';
import type { NetworkFile } from '../checkpoint';
import { withValues, type Edit } from '../edit';
import { dataTypeCode, isElementType, isFloat, toFloat32 } from '../elements';
import type { StoredTensor } from '../stored-tensor';
import { onnx } from './generated/onnx';
import { importGraph } from './import';
import { openCheckpoint } from '../open';
import { OPSET } from './nodes';
import type { Attribute, OnnxFile, OnnxNode, ValueInfo } from './reader';
import { updateWeights } from './update';

/** The version of the format that opset 18 came with is 8; since 9 attributes of functions have defaults. */
const IR_VERSION = 9;
/** What protocol buffers can hold. */
const LARGEST = 2 ** 31 - 1;

/**
 * A network of another format as an ONNX model, with the nodes by which it was
 * read here, its own names for the weights and their layout. Floats become
 * float32, which the nodes are written for.
 *
 * @throws InputError when it is too large for one file, or a node cannot be written down
 */
export function networkToOnnx(network: NetworkFile): Uint8Array {
  const used = new Set(network.nodes.flatMap(({ inputs }) => inputs));
  const tensors = [...network.tensors].filter(([name]) => used.has(name));
  const bytes = tensors.reduce((sum, [, tensor]) => sum + 4 * tensor.shape.reduce((n, size) => n * size, 1), 0);
  if (bytes > LARGEST) {
    throw new InputError(
      `network too large for one ONNX file: ${(bytes / 2 ** 30).toFixed(1)} GiB of weights (${basename(network.path)}); write it in its own format`,
    );
  }
  const taken = new Set<string>();
  return onnx.ModelProto.encode({
    irVersion: Long.fromNumber(IR_VERSION),
    producerName: 'pruning-limit',
    opsetImport: [{ domain: '', version: Long.fromNumber(network.opset ?? OPSET) }],
    graph: {
      name: 'network',
      node: network.nodes.map((node) => nodeProto(node, taken, network)),
      initializer: tensors.map(([name, tensor]) => tensorProto(name, tensor)),
      input: network.inputs.map(valueInfo),
      output: withShapes(network).map(valueInfo),
    },
  }).finish();
}

/**
 * Any network as an ONNX model: with the nodes by which it was read, or, where
 * it borrowed the graph of an ONNX file, that file with its own weights.
 *
 * @param graph path of the file whose graph it borrowed
 * @throws InputError where `networkToOnnx` does, or when the graph keeps its tensors in other files
 */
export async function exportNetwork(network: NetworkFile, graph: string | undefined): Promise<Uint8Array> {
  const lender = graph === undefined ? undefined : await openCheckpoint(graph);
  return lender?.container === 'onnx' ? lentToOnnx(graph!, network) : networkToOnnx(network);
}

async function lentToOnnx(graph: string, network: OnnxFile): Promise<Uint8Array> {
  const edits = new Map<string, Edit>();
  for (const [name, tensor] of network.tensors) {
    if (!isElementType(tensor.dtype) || !isFloat(tensor.dtype)) continue;
    edits.set(name, (own) => withValues(own, toFloat32(tensor.read())));
  }
  return updateWeights(await readFile(graph), graph, edits, () => {
    throw new InputError(`graph with external data: ${graph}; save it in one file to export weights with it`);
  }).bytes;
}

/** The outputs with the shapes that the nodes give them, where the inputs say theirs. */
function withShapes(network: NetworkFile): readonly ValueInfo[] {
  if (network.outputs.every(({ shape }) => shape !== null)) return network.outputs;
  try {
    const { outputs } = importGraph(network, { batch: 1 });
    return network.outputs.map((output) => {
      const shape = outputs.get(output.name)?.shape;
      return shape === undefined ? output : { ...output, shape: shape.map((size, axis) => (axis === 0 ? 'N' : size)) };
    });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return network.outputs;
  }
}

function nodeProto(node: OnnxNode, taken: Set<string>, network: NetworkFile): onnx.INodeProto {
  let { name } = node;
  // Nodes of one layer have its name.
  for (let i = 1; taken.has(name); i++) name = `${node.name}/${i}`;
  taken.add(name);
  const attribute = [...node.attributes].map(([key, value]) => attributeProto(key, value, node, network));
  return { opType: node.op, name, input: [...node.inputs], output: [...node.outputs], attribute };
}

function attributeProto(
  name: string,
  attribute: Attribute,
  { op }: OnnxNode,
  { path }: NetworkFile,
): onnx.IAttributeProto {
  const types = onnx.AttributeProto.AttributeType;
  const long = (value: number): Long => Long.fromNumber(value);
  switch (attribute.kind) {
    case 'float':
      return { name, type: types.FLOAT, f: attribute.value };
    case 'int':
      return { name, type: types.INT, i: long(attribute.value) };
    case 'string':
      return { name, type: types.STRING, s: Buffer.from(attribute.value) };
    case 'floats':
      return { name, type: types.FLOATS, floats: [...attribute.value] };
    case 'ints':
      return { name, type: types.INTS, ints: attribute.value.map(long) };
    case 'strings':
      return { name, type: types.STRINGS, strings: attribute.value.map((value) => Buffer.from(value)) };
    case 'tensor':
      return { name, type: types.TENSOR, t: tensorProto('', attribute.value) };
    default:
      throw new InputError(`attribute not exported: ${name} of ${op} (${basename(path)}); export the network to ONNX`);
  }
}

function tensorProto(name: string, tensor: StoredTensor): onnx.ITensorProto {
  const { dtype, shape } = tensor;
  const dims = shape.map((size) => Long.fromNumber(size));
  if (!isElementType(dtype) || !isFloat(dtype) || dtype === 'float32') {
    return { name, dataType: dataTypeCode(dtype), dims, rawData: tensor.bytes() };
  }
  const { buffer, byteOffset, byteLength } = toFloat32(tensor.read());
  return { name, dataType: dataTypeCode('float32'), dims, rawData: new Uint8Array(buffer, byteOffset, byteLength) };
}

function valueInfo({ name, shape }: ValueInfo): onnx.IValueInfoProto {
  const dim = shape?.map((size) =>
    typeof size === 'number' ? { dimValue: Long.fromNumber(size) } : size === '?' ? {} : { dimParam: size },
  );
  const elemType = dataTypeCode('float32');
  return { name, type: { tensorType: { elemType, ...(dim !== undefined && { shape: { dim } }) } } };
}
