import { onnx } from '../../server/src/checkpoint/onnx/generated/onnx';

/** A checkpoint in ONNX with other values in its weights: `change` gets each tensor of floats by name, to write into. */
export function edited(checkpoint: Uint8Array, change: (name: string, values: Float32Array) => void): Uint8Array {
  const model = onnx.ModelProto.decode(checkpoint);
  for (const tensor of model.graph!.initializer!) {
    if (tensor.dataType !== onnx.TensorProto.DataType.FLOAT) continue;
    // Whatever they lie at in the file, floats want their own alignment.
    const values = new Float32Array(Uint8Array.from(tensor.rawData!).buffer);
    change(tensor.name!, values);
    tensor.rawData = new Uint8Array(values.buffer);
  }
  return onnx.ModelProto.encode(model).finish();
}

/** A checkpoint in ONNX whose weights have other names. */
export function renamed(checkpoint: Uint8Array, rename: (name: string) => string): Uint8Array {
  const model = onnx.ModelProto.decode(checkpoint);
  const graph = model.graph!;
  const weights = new Set(graph.initializer!.map(({ name }) => name));
  for (const tensor of graph.initializer!) tensor.name = rename(tensor.name!);
  for (const node of graph.node!) node.input = node.input!.map((name) => (weights.has(name) ? rename(name) : name));
  return onnx.ModelProto.encode(model).finish();
}
