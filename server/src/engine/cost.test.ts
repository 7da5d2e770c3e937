import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curvatureProgram } from '../curvature/programs';
import { GraphBuilder } from '../graph/builder';
import { resnet18 } from '../../../test/models/resnet18';
import { largestBytes, peakBytes, productFlops } from './cost';

test('the peak of a chain is what two neighbours take, and its source', () => {
  const b = new GraphBuilder();
  const x = b.input('x', [10]);
  const y = b.exp(b.tanh(b.exp(b.tanh(x))));
  assert.equal(peakBytes({ outputs: [{ name: 'y', node: y }] }), 4 * 30);
});

test('a value that is used later is held, and a reshape takes nothing', () => {
  const b = new GraphBuilder();
  const x = b.input('x', [10]);
  const early = b.exp(x);
  const late = b.tanh(b.sqrt(b.abs(b.reshape(early, [2, 5]))));
  const y = b.add(late, b.reshape(early, [2, 5]));
  // x, early, and two neighbours of the chain.
  assert.equal(peakBytes({ outputs: [{ name: 'y', node: y }] }), 4 * 40);
});

test('a product takes memory in proportion to the batch, and eight convolutions', () => {
  const [small, large] = [32, 64].map((batch) => curvatureProgram(resnet18(batch), 'hessian', 1));
  const [low, high] = [peakBytes(small!), peakBytes(large!)];
  // Weights, direction and product do not grow with it.
  assert.ok(high < 2 * low && high > 1.2 * low, `${low} and ${high}`);
  assert.equal(productFlops(large!), 2 * productFlops(small!));
  // The activations behind the first layer, 64 channels of 32 × 32, and not the largest weights, even at batch 1.
  assert.equal(largestBytes(large!), 4 * 64 * 64 * 32 * 32);
  assert.equal(largestBytes(curvatureProgram(resnet18(1), 'hessian', 1)), 4 * 64 * 32 * 32);
});
