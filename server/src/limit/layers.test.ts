import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layerSparsities } from './layers';
import { Magnitudes } from './magnitudes';

const magnitudes = Magnitudes.of([
  Float32Array.of(5, -6, 7, 0),
  Float32Array.of(0.1, -0.2),
  Float32Array.of(3, 0.3, 0, -0.4),
  new Float32Array(0),
]);

test('layers keep what global magnitude pruning leaves them', () => {
  assert.deepEqual(layerSparsities(magnitudes, 0.6), [
    { weights: 4, zeros: 1, kept: 3, sparsity: 0.25 },
    { weights: 2, zeros: 0, kept: 0, sparsity: 1 },
    { weights: 4, zeros: 1, kept: 1, sparsity: 0.75 },
    { weights: 0, zeros: 0, kept: 0, sparsity: 0 },
  ]);
});

test('at the ends everything is kept or nothing, and the counts always add up', () => {
  assert.deepEqual(
    layerSparsities(magnitudes, 0).map((layer) => layer.kept),
    // The zeros of the first and the third layer are pruned already.
    [3, 2, 3, 0],
  );
  assert.ok(layerSparsities(magnitudes, 1).every((layer) => layer.kept === 0));
  for (let s = 0; s <= 1; s += 0.05) {
    const total = layerSparsities(magnitudes, s).reduce((sum, layer) => sum + layer.kept, 0);
    assert.equal(total, Math.min(8, magnitudes.keptCount(s)));
  }
});

test('a layer of which only zeros are kept has nothing left', () => {
  const sparse = Magnitudes.of([new Float32Array(3), Float32Array.of(1, 2)]);
  const [zeros, weights] = layerSparsities(sparse, 0.2);
  assert.deepEqual([zeros!.kept, zeros!.sparsity], [0, 1]);
  assert.deepEqual([weights!.kept, weights!.sparsity], [2, 0]);
});
