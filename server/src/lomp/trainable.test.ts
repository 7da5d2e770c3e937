import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trainableModel } from '../../../test/cli/train-subject';
import { importForTraining } from '../checkpoint/onnx/classifier';
import { decodeModel } from '../checkpoint/onnx/reader';
import { trainableParameters } from './trainable';

const network = (preprocessed: boolean) =>
  importForTraining(decodeModel(trainableModel(preprocessed), 'net.onnx'), { batch: 2 });

test('weights, biases, scales and shifts are trained', () => {
  assert.deepEqual(
    trainableParameters(network(false)).sort(),
    ['conv.weight', 'fc.bias', 'fc.weight', 'norm.bias', 'norm.weight'].sort(),
  );
});

test('the constants of a preprocessing are not, and running statistics are no parameters', () => {
  const model = network(true);
  assert.ok(model.parameters.has('pixel.mean'));
  assert.deepEqual(trainableParameters(model).sort(), trainableParameters(network(false)).sort());
  assert.deepEqual(
    model.normalizations.map(({ mean, variance }) => [mean.name, variance.name]),
    [['norm.mean', 'norm.var']],
  );
});
