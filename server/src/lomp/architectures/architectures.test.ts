import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importClassifier } from '../../checkpoint/onnx/classifier';
import { decodeModel } from '../../checkpoint/onnx/reader';
import type { Model } from '../../graph/model';
import { elementCount } from '../../graph/shapes';
import { ARCHITECTURES, freshNetwork } from './architectures';

function network(name: string, sample: readonly number[], seed = 1): Model {
  return importClassifier(decodeModel(freshNetwork(name, sample, 10, seed), name), { batch: 3 });
}

/** Prunable weights, as the literature counts them: the paper's FC5 and FC12, LeNet of docs, He et al.'s 0.27 M. */
const counts: readonly (readonly [string, readonly number[], number])[] = [
  ['fc5', [3, 32, 32], 3072 * 1000 + 1000 * 600 + 600 * 300 + 300 * 100 + 100 * 10],
  ['fc12', [1, 28, 28], [784, 1000, 900, 800, 750, 700, 650, 600, 500, 400, 200, 100, 10].reduce(products, 0)],
  ['fc-300-100', [1, 28, 28], 266_200],
  ['fc-100-50', [64], 6400 + 5000 + 500],
  ['lenet', [1, 28, 28], 85_560],
  ['lenet5', [1, 28, 28], 150 + 2400 + 256 * 120 + 120 * 84 + 840],
  ['resnet20', [3, 32, 32], 268_336],
  ['alexnet', [3, 32, 32], 23_262_912],
  ['vgg16', [3, 32, 32], 14_715_584],
  ['resnet18', [3, 32, 32], 11_164_352],
  ['resnet50', [3, 32, 32], 23_467_712],
  ['fc5/10', [3, 32, 32], 3072 * 100 + 100 * 60 + 60 * 30 + 30 * 10 + 10 * 10],
  ['resnet18/8', [3, 32, 32], 175_192],
];

function products(sum: number, size: number, i: number, sizes: readonly number[]): number {
  return i === 0 ? sum : sum + sizes[i - 1]! * size;
}

for (const [name, sample, weights] of counts) {
  test(`${name} has ${weights} prunable weights and answers for any batch`, () => {
    const model = network(name, sample);
    assert.equal(
      model.layers.reduce((sum, { shape }) => sum + elementCount(shape), 0),
      weights,
    );
    assert.deepEqual(model.logits.shape, [3, 10]);
  });
}

test('every architecture is counted above', () => {
  const pattern = (name: string): string =>
    name.includes('/') ? 'NAME/N' : /^fc(-\d+)+$/.test(name) ? 'fc-N-N-...' : name;
  const known = counts.map(([name]) => pattern(name));
  assert.deepEqual([...ARCHITECTURES.keys()].sort(), [...new Set(known)].sort());
});

test('weights are drawn as PyTorch draws them: uniform to one over the root of the fan-in', () => {
  const weights = network('fc-300-100', [1, 28, 28]).parameters.get('fc1.weight')!.value;
  const bound = 1 / 28;
  const variance = weights.reduce((sum, w) => sum + w * w, 0) / weights.length;
  assert.ok(weights.every((w) => Math.abs(w) <= bound) && weights.some((w) => Math.abs(w) > 0.999 * bound));
  assert.ok(Math.abs(variance / (bound ** 2 / 3) - 1) < 0.01, `${variance}`);
});

test('the same seed draws the same weights', () => {
  assert.deepEqual(freshNetwork('lenet', [1, 28, 28], 10, 1), freshNetwork('lenet', [1, 28, 28], 10, 1));
  assert.notDeepEqual(freshNetwork('lenet', [1, 28, 28], 10, 1), freshNetwork('lenet', [1, 28, 28], 10, 2));
});

test('data that do not fit are refused', () => {
  assert.throws(() => freshNetwork('lenet', [64], 10, 1), { name: 'InputError', message: /data do not fit lenet/ });
  assert.throws(() => freshNetwork('toString', [64], 10, 1), { name: 'InputError', message: /unknown architecture/ });
  for (const name of ['fc-', 'fc-0', 'fc-10-', 'fc-1e3', 'fc-9999999']) {
    assert.throws(() => freshNetwork(name, [64], 10, 1), { name: 'InputError', message: /unknown architecture/ }, name);
  }
});
