import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PruneMethod } from '../../../protocol/prune';
import { elementCount } from '../graph/shapes';
import { traceBound } from '../limit/limit';
import { Magnitudes } from '../limit/magnitudes';
import { Random } from '../random';
import { curvatureDensities, erkDensities, pruneMasks, type LayerWeights } from './criteria';

const layer = (
  name: string,
  op: LayerWeights['op'],
  shape: readonly number[],
  scale: number,
  share: number,
): LayerWeights => ({
  op,
  shape,
  weights: Random.stream(3, name)
    .gaussianVector(elementCount(shape))
    .map((x) => x * scale),
  curvatureShare: share,
});
const LAYERS = [
  layer('a', 'Conv', [8, 3, 3, 3], 0.3, 0.5),
  layer('b', 'Conv', [16, 8, 3, 3], 0.1, 0.3),
  layer('c', 'Gemm', [64, 256], 0.05, 0.15),
  layer('d', 'Gemm', [10, 64], 0.2, 0.05),
];
const TOTAL = LAYERS.reduce((sum, { weights }) => sum + weights.length, 0);
const METHODS: readonly PruneMethod[] = ['global', 'uniform', 'erk', 'layers'];
const kept = (mask: Uint8Array): number => mask.reduce((sum, x) => sum + x, 0);

for (const method of METHODS) {
  describe(method, () => {
    for (const sparsity of [0, 0.2, 0.5, 0.9, 0.99, 1]) {
      it(`at ${sparsity} prunes as many as asked and the smallest of each layer`, () => {
        const masks = pruneMasks(method, LAYERS, sparsity);
        const all = masks.reduce((sum, mask) => sum + kept(mask), 0);
        const wanted = TOTAL - Math.floor(sparsity * TOTAL + 1e-7);
        // Uniform rounds in every layer.
        if (method === 'uniform') assert.ok(all >= wanted && all < wanted + LAYERS.length, `${all}, wanted ${wanted}`);
        else assert.equal(all, wanted);
        masks.forEach((mask, i) => {
          const { weights } = LAYERS[i]!;
          const smallestKept = Math.min(...Array.from(weights, (w, at) => (mask[at] === 1 ? Math.abs(w) : Infinity)));
          const largestPruned = Math.max(...Array.from(weights, (w, at) => (mask[at] === 0 ? Math.abs(w) : -Infinity)));
          assert.ok(smallestKept >= largestPruned);
        });
      });
    }

    it('takes neither less than nothing nor more than all', () => {
      for (const sparsity of [-0.1, 1.1, NaN]) assert.throws(() => pruneMasks(method, LAYERS, sparsity), RangeError);
    });
  });
}

describe('global', () => {
  it('is one threshold', () => {
    const masks = pruneMasks('global', LAYERS, 0.9);
    const sorted = LAYERS.flatMap(({ weights }) => Array.from(weights, Math.abs)).sort((a, b) => b - a);
    const threshold = sorted[TOTAL - Math.floor(0.9 * TOTAL) - 1]!;
    masks.forEach((mask, i) => {
      assert.deepEqual(
        Array.from(mask),
        Array.from(LAYERS[i]!.weights, (w) => (Math.abs(w) >= threshold ? 1 : 0)),
      );
    });
  });
});

describe('Erdős–Rényi kernel', () => {
  it('is the formula where no layer is full', () => {
    const shapes = [
      { op: 'Conv', shape: [16, 8, 3, 3] },
      { op: 'Gemm', shape: [64, 256] },
    ] as const;
    const raw = [(16 + 8 + 3 + 3) / (16 * 8 * 9), (64 + 256) / (64 * 256)];
    const [first, second] = erkDensities(shapes, 0.05);
    assert.ok(Math.abs(first! / second! - raw[0]! / raw[1]!) < 1e-12);
    assert.ok(Math.abs(first! * 1152 + second! * 16_384 - 0.05 * (1152 + 16_384)) < 1e-9);
  });

  it('keeps a layer whole rather than more than whole, and the others share the rest', () => {
    const densities = erkDensities(LAYERS, 0.3);
    const all = densities.reduce((sum, density, i) => sum + density * LAYERS[i]!.weights.length, 0);
    assert.ok(Math.abs(all - 0.3 * TOTAL) < 1e-6);
    assert.equal(densities[0], 1);
    assert.ok(densities.every((density) => density <= 1));
  });
});

describe('layers to their own limits', () => {
  it('has one tolerance for all of them', () => {
    const densities = curvatureDensities(LAYERS, 0.1);
    // The tolerance that the first layer's density says, tried on the others.
    const own = LAYERS.map(({ weights }) => Magnitudes.of([weights]));
    const limitAt = (i: number, epsilon: number): number =>
      traceBound(LAYERS[i]!.curvatureShare! / own[i]!.count, epsilon, (s) => own[i]!.squaredRadius(s));
    let [low, high] = [1e-9, 1e3];
    for (let i = 0; i < 200; i++) {
      const middle = Math.sqrt(low * high);
      if (1 - limitAt(0, middle) > densities[0]!) low = middle;
      else high = middle;
    }
    densities.forEach((density, i) => assert.ok(Math.abs(1 - limitAt(i, low) - density) < 1e-6, `layer ${i}`));
  });

  it('keeps more of a layer that bends more, and nothing of one that does not bend', () => {
    const bent = LAYERS.map((layer, i) => ({ ...layer, curvatureShare: i === 2 ? 0.9 : 0.03 }));
    assert.ok(curvatureDensities(bent, 0.1)[2]! > curvatureDensities(LAYERS, 0.1)[2]!);
    const flat = LAYERS.map((layer, i) => (i === 1 ? { ...layer, curvatureShare: 0 } : layer));
    assert.ok(curvatureDensities(flat, 0.1)[1]! < 1e-9);
  });

  it('needs to know the curvature', () => {
    const { op, shape, weights } = LAYERS[0]!;
    assert.throws(() => pruneMasks('layers', [{ op, shape, weights }], 0.5), RangeError);
  });
});
