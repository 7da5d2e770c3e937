import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { convolutional, fullyConnected } from '../../../../samples/networks';
import { evaluate } from '../../../../test/reference/interpreter';
import type { Model } from '../../graph/model';
import { elementCount } from '../../graph/shapes';
import { Random } from '../../random';
import { openModel } from '../model';
import { onnx } from './generated/onnx';
import { classifierToOnnx } from './write';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'write-'));
});
after(() => rmSync(folder, { recursive: true }));

async function readBack(bytes: Uint8Array, batch: number): Promise<Model> {
  const path = join(folder, 'network.onnx');
  writeFileSync(path, bytes);
  return openModel(path, { batch });
}

function logits({ input, logits: node, parameters }: Model, values: ArrayLike<number>): Float64Array {
  const feeds = new Map<string, ArrayLike<number>>([...parameters].map(([name, { value }]) => [name, value]));
  return evaluate([node], feeds.set(input.attributes.name, values))[0]!;
}

/** He-uniform weights have zero biases, which would hide a bias that is lost. */
function withBiases(model: Model): Model {
  for (const { name, value } of model.parameters.values()) {
    if (name.endsWith('.bias')) value.set(Random.stream(9, name).gaussianVector(value.length));
  }
  return model;
}

const networks = {
  convolutional: (batch: number) =>
    withBiases(convolutional(batch, { image: [2, 8, 8], convolutions: [3, 4], linear: [6, 5] }, 1)),
  'fully connected': (batch: number) => withBiases(fullyConnected(batch, [7, 6, 5], 1)),
};

for (const [name, make] of Object.entries(networks)) {
  for (const batch of [1, 3]) {
    test(`a ${name} network built for 2 samples is read back for ${batch}`, async () => {
      const written = make(2);
      const model = await readBack(classifierToOnnx(written), batch);
      assert.deepEqual(model.layers, written.layers);
      assert.deepEqual(new Map(model.parameters), new Map(written.parameters));
      assert.deepEqual(model.input.shape, [batch, ...written.input.shape.slice(1)]);
      const values = Random.stream(2, 'values').gaussianVector(elementCount(model.input.shape));
      assert.deepEqual(logits(model, values), logits(make(batch), values));
    });
  }
}

test('nodes are those of the layers, under their names, without extensions', () => {
  const { graph, opsetImport } = onnx.ModelProto.decode(classifierToOnnx(networks.convolutional(1)));
  const nodes = graph!.node!.map(({ name, input }) => `${name}(${input!.join(', ')})`);
  assert.deepEqual(nodes, [
    'conv1/Conv(input, conv1.weight, conv1.bias)',
    'conv1/Relu(conv1/Conv)',
    'conv1/MaxPool(conv1/Relu)',
    'conv2/Conv(conv1/MaxPool, conv2.weight, conv2.bias)',
    'conv2/Relu(conv2/Conv)',
    'conv2/MaxPool(conv2/Relu)',
    'conv2/Reshape(conv2/MaxPool, conv2/int)',
    'fc1/Gemm(conv2/Reshape, fc1.weight, fc1.bias)',
    'fc1/Relu(fc1/Gemm)',
    'fc2/Gemm(fc1/Relu, fc2.weight, fc2.bias)',
  ]);
  assert.deepEqual(graph!.node!.at(-1)!.output, ['logits']);
  assert.deepEqual(
    opsetImport!.map(({ domain }) => domain),
    [''],
  );
  const leading = [...graph!.input!, ...graph!.output!].map(
    (value) => value.type!.tensorType!.shape!.dim![0]!.dimParam,
  );
  assert.deepEqual(leading, ['batch', 'batch']);
});
