import Long from 'long';
import { onnx } from '../server/src/checkpoint/onnx/generated/onnx';
import { decodeModel, type OnnxFile } from '../server/src/checkpoint/onnx/reader';

/** Small ONNX models for tests, encoded by the schema's own code. */

type AttributeValue =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly tensor: onnx.ITensorProto }
  | { readonly sparseTensor: onnx.ISparseTensorProto }
  | { readonly graph: onnx.IGraphProto };

const types = onnx.AttributeProto.AttributeType;
const dataTypes = onnx.TensorProto.DataType;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const longs = (values: readonly number[]): Long[] => values.map((value) => Long.fromNumber(value));

/** Integers and lists of integers are plain; floats are wrapped. */
function attribute(name: string, value: AttributeValue): onnx.IAttributeProto {
  if (typeof value === 'number') return { name, type: types.INT, i: Long.fromNumber(value) };
  if (typeof value === 'string') return { name, type: types.STRING, s: bytes(value) };
  if ('float' in value) return { name, type: types.FLOAT, f: value.float };
  if ('floats' in value) return { name, type: types.FLOATS, floats: [...value.floats] };
  if ('tensor' in value) return { name, type: types.TENSOR, t: value.tensor };
  if ('sparseTensor' in value) return { name, type: types.SPARSE_TENSOR, sparseTensor: value.sparseTensor };
  if ('graph' in value) return { name, type: types.GRAPH, g: value.graph };
  return { name, type: types.INTS, ints: longs(value) };
}

export function node(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  name = '',
  domain = '',
): onnx.INodeProto {
  return {
    opType: op,
    domain,
    name,
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
  };
}

/** A float32 tensor. */
export function floats(name: string, dims: readonly number[], values: readonly number[]): onnx.ITensorProto {
  return { name, dims: longs(dims), dataType: dataTypes.FLOAT, floatData: [...values] };
}

/** An int64 vector; a scalar when `values` is a number. */
export function ints(name: string, values: readonly number[] | number): onnx.ITensorProto {
  const list = typeof values === 'number' ? [values] : values;
  const dims = typeof values === 'number' ? [] : [list.length];
  return { name, dims: longs(dims), dataType: dataTypes.INT64, int64Data: longs(list) };
}

/** Values 0.1, −0.2, 0.3, … that differ from one another. */
export function ramp(name: string, dims: readonly number[]): onnx.ITensorProto {
  const count = dims.reduce((product, size) => product * size, 1);
  return floats(
    name,
    dims,
    Array.from({ length: count }, (_, i) => ((i % 2 === 0 ? 1 : -1) * (1 + (i % 7))) / 10),
  );
}

export type Declared = readonly [name: string, shape: readonly (number | string)[], type?: onnx.TensorProto.DataType];

function valueInfo([name, shape, type]: Declared): onnx.IValueInfoProto {
  const dim = shape.map((size) =>
    typeof size === 'string' ? { dimParam: size } : { dimValue: Long.fromNumber(size) },
  );
  return { name, type: { tensorType: { elemType: type ?? dataTypes.FLOAT, shape: { dim } } } };
}

export interface ModelParts {
  readonly nodes: readonly onnx.INodeProto[];
  readonly inputs?: readonly Declared[];
  /** Names, or names with shapes. */
  readonly outputs: readonly (string | Declared)[];
  readonly tensors?: readonly onnx.ITensorProto[];
  readonly opset?: number;
  readonly functions?: readonly onnx.IFunctionProto[];
}

export function modelBytes({
  nodes,
  inputs = [],
  outputs,
  tensors = [],
  opset = 17,
  functions = [],
}: ModelParts): Uint8Array {
  const model: onnx.IModelProto = {
    irVersion: Long.fromNumber(8),
    producerName: 'test',
    opsetImport: [{ domain: '', version: Long.fromNumber(opset) }],
    functions: [...functions],
    graph: {
      name: 'test',
      node: [...nodes],
      input: inputs.map(valueInfo),
      output: outputs.map((output) => (typeof output === 'string' ? { name: output } : valueInfo(output))),
      initializer: [...tensors],
    },
  };
  return onnx.ModelProto.encode(model).finish();
}

/** The same, opened as `m.onnx`. */
export function onnxFile(parts: ModelParts): OnnxFile {
  return decodeModel(modelBytes(parts), 'models/m.onnx');
}

/** A product with a matrix whose values lie in a file of that name beside the model. */
export function externalModel(location: string): { readonly model: Uint8Array; readonly data: Uint8Array } {
  const values = Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? 1 : -1) * (1 + i));
  const entries = Object.entries({ location, offset: '0', length: String(4 * values.length) });
  const w = {
    ...floats('w', [4, 3], []),
    dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
    externalData: entries.map(([key, value]) => ({ key, value })),
  };
  const model = modelBytes({
    inputs: [['x', ['N', 4]]],
    outputs: [['y', ['N', 3]]],
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    tensors: [w],
  });
  return { model, data: new Uint8Array(Float32Array.from(values).buffer) };
}
