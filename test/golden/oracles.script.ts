// Makes the ONNX files of the oracle networks from the weights that
// train_oracles.py left in FOLDER, and the samples that define their loss:
// `node out/test/golden/oracles.script.cjs FOLDER`.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OnnxWriter } from '../../server/src/engine/onnx/writer';
import { goldenFolder, oracleNames, writeOracleData, type OracleName } from './oracles';

/** Adds the network to `writer` and answers the name of its logits. `weight` adds a stored tensor. */
type Network = (writer: OnnxWriter, x: string, weight: (name: string) => string) => string;

const networks: { readonly [N in OracleName]: Network } = {
  'oracle-mlp': (writer, x, weight) => {
    const linear = (input: string, name: string) =>
      writer.node('Gemm', [input, weight(`${name}.weight`), weight(`${name}.bias`)], { transB: 1 });
    const hidden = (input: string, name: string) => writer.node('Tanh', [linear(input, name)]);
    return linear(hidden(hidden(writer.node('Flatten', [x]), 'fc1'), 'fc2'), 'fc3');
  },
  'oracle-cnn': (writer, x, weight) => {
    const conv = (input: string, name: string) =>
      writer.node('Conv', [input, weight(`${name}.weight`), weight(`${name}.bias`)], { pads: [1, 1, 1, 1] });
    const window = { kernel_shape: [2, 2], strides: [2, 2] };
    const norm = ['weight', 'bias', 'running_mean', 'running_var'].map((part) => weight(`bn1.${part}`));
    let y = writer.node('BatchNormalization', [conv(x, 'conv1'), ...norm], { epsilon: { float: 1e-5 } });
    y = writer.node('MaxPool', [writer.node('Relu', [y])], window);
    y = writer.node('AveragePool', [writer.node('Relu', [conv(y, 'conv2')])], window);
    return writer.node('Gemm', [writer.node('Flatten', [y]), weight('fc.weight'), weight('fc.bias')], { transB: 1 });
  },
  'oracle-residual': (writer, x, weight) => {
    const conv = (input: string, index: number, stride: number) => {
      const strides = [stride, stride];
      const y = writer.node('Conv', [input, weight(`conv${index}.weight`)], { pads: [1, 1, 1, 1], strides });
      const norm = ['weight', 'bias', 'running_mean', 'running_var'].map((part) => weight(`bn${index}.${part}`));
      return writer.node('BatchNormalization', [y, ...norm], { epsilon: { float: 1e-5 } });
    };
    const relu = (input: string) => writer.node('Relu', [input]);
    const shortcut = relu(conv(x, 1, 2));
    const y = relu(writer.node('Add', [shortcut, conv(relu(conv(shortcut, 2, 1)), 3, 1)]));
    const pooled = writer.node('AveragePool', [y], { kernel_shape: [2, 2], strides: [2, 2] });
    const flat = writer.node('Flatten', [pooled]);
    return writer.node('Gemm', [flat, weight('fc.weight'), weight('fc.bias')], { transB: 1 });
  },
  'oracle-attention': (writer, x, weight) => {
    const linear = (input: string, name: string) => writer.node('MatMul', [input, weight(`${name}.weight`)]);
    const rows = writer.node('Squeeze', [x, writer.ints([1])]);
    const tokens = writer.node('Add', [linear(rows, 'embed'), weight('position')]);
    const [query, key, value] = [linear(tokens, 'query'), linear(tokens, 'key'), linear(tokens, 'value')];
    const products = writer.node('MatMul', [query, writer.node('Transpose', [key], { perm: [0, 2, 1] })]);
    const shares = writer.node('Softmax', [writer.node('Div', [products, writer.scalar(Math.sqrt(12))])], { axis: 2 });
    const mixed = linear(writer.node('MatMul', [shares, value]), 'mix');
    const y = writer.node('Tanh', [writer.node('Add', [tokens, mixed])]);
    const mean = writer.node('ReduceMean', [y, writer.ints([1])], { keepdims: 0 });
    return writer.node('Gemm', [mean, weight('fc.weight'), weight('fc.bias')], { transB: 1 });
  },
};

const folder = process.argv[2];
if (folder === undefined) throw new Error('folder missing: node out/test/golden/oracles.script.cjs FOLDER');
for (const name of oracleNames) {
  const trained = join(folder, `${name}-trained`);
  // Trained at another time, and committed.
  if (!existsSync(trained)) continue;
  const { parameters } = JSON.parse(readFileSync(join(trained, 'manifest.json'), 'utf8')) as {
    parameters: readonly { name: string; shape: readonly number[] }[];
  };
  const bytes = readFileSync(join(trained, 'parameters.bin'));
  const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const writer = new OnnxWriter();
  const stored = new Map<string, string>();
  let offset = 0;
  for (const { name: parameter, shape } of parameters) {
    const length = shape.reduce((product, size) => product * size, 1);
    stored.set(parameter, writer.floats(values.subarray(offset, offset + length), shape, parameter));
    offset += length;
  }
  const x = writer.input('input', [1, 1, 8, 8]);
  writer.output(
    'logits',
    networks[name](writer, x, (parameter) => stored.get(parameter)!),
    [1, 10],
  );
  const path = join(goldenFolder(), `${name}.onnx`);
  writeFileSync(path, writer.encode());
  console.log(path);
}
void writeOracleData();
