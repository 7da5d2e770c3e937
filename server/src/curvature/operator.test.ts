import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { CurvatureKind } from '../../../protocol/analysis';
import type { PreparedSamples } from '../dataset/dataset';
import type { Engine } from '../engine/engine';
import { createOrtEngine } from '../engine/ort';
import type { Model } from '../graph/model';
import { makeBatches } from './batches';
import { CurvatureOperator } from './operator';
import { layersInARow, parameterLayout } from './parameters';
import { gradient, gradientProgram, LOSS, TARGETS } from './programs';
import { randomFloats, randomSamples, smallConvNet, softmaxRegression } from './testing';

let engine: Engine;
before(async () => {
  engine = await createOrtEngine(1);
});

const kinds = ['hessian', 'ggn'] satisfies CurvatureKind[];

/** Products of `vectors`, `batch` samples at a time. */
async function products(
  make: (batch: number) => Model,
  samples: PreparedSamples,
  batch: number,
  kind: CurvatureKind,
  vectors: readonly Float32Array[],
): Promise<Float32Array[]> {
  const model = make(batch);
  const batches = makeBatches(samples, batch, model.logits.shape[1]!);
  const operator = new CurvatureOperator(engine, model, parameterLayout(model), kind, batches);
  const results = await operator.apply(vectors);
  await operator.dispose();
  return results;
}

/** Loss and flat gradient, summed over batches. */
async function lossAndGradient(
  make: (batch: number) => Model,
  samples: PreparedSamples,
  batch: number,
): Promise<Float64Array> {
  const model = make(batch);
  const { layers, dimension } = parameterLayout(model);
  const compiled = await engine.compile(gradientProgram(model), { parameters: model.parameters });
  const sum = new Float64Array(dimension + 1);
  for (const { inputs, targets } of makeBatches(samples, batch, model.logits.shape[1]!)) {
    const feeds = new Map([
      ['x', inputs],
      [TARGETS, targets],
    ]);
    const results = await compiled.run(feeds);
    sum[dimension]! += results.get(LOSS)![0]!;
    for (const { name, offset } of layers) {
      results.get(gradient(name))!.forEach((x, i) => (sum[offset + i]! += x));
    }
  }
  await compiled.dispose();
  return sum;
}

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, label: string): void {
  assert.equal(actual.length, expected.length, label);
  let [error, size] = [0, 0];
  for (let i = 0; i < actual.length; i++) {
    error += (actual[i]! - expected[i]!) ** 2;
    size += expected[i]! ** 2;
  }
  assert.ok(Math.sqrt(error / size) <= tolerance, `${label}: relative error ${Math.sqrt(error / size)}`);
}

const images = randomSamples(10, [2, 5, 5], 3, 1);
const { dimension } = parameterLayout(smallConvNet(1));

describe('whatever the batch, with a partial one at the end', () => {
  // 10 samples: one batch, several, one each, one that is larger than all.
  for (const batch of [4, 3, 1, 16]) {
    test(`loss and gradient are the same in batches of ${batch}`, async () => {
      const whole = await lossAndGradient(smallConvNet, images, 10);
      assertClose(await lossAndGradient(smallConvNet, images, batch), whole, 1e-6, `batches of ${batch}`);
    });
    for (const kind of kinds) {
      test(`${kind} products are the same in batches of ${batch}`, async () => {
        const v = randomFloats(dimension, 5);
        const [whole] = await products(smallConvNet, images, 10, kind, [v]);
        const [cut] = await products(smallConvNet, images, batch, kind, [v]);
        assertClose(cut!, whole!, 1e-6, `batches of ${batch}`);
      });
    }
  }
});

test('a sum over batches is the mean over samples', async () => {
  const v = randomFloats(dimension, 6);
  const mean = new Float64Array(dimension);
  for (let i = 0; i < images.count; i++) {
    const one: PreparedSamples = {
      count: 1,
      sampleShape: images.sampleShape,
      inputs: images.inputs.subarray(i * 50, (i + 1) * 50),
      labels: images.labels.subarray(i, i + 1),
    };
    const [product] = await products(smallConvNet, one, 1, 'hessian', [v]);
    product!.forEach((x, k) => (mean[k]! += x / images.count));
  }
  const [sum] = await products(smallConvNet, images, 4, 'hessian', [v]);
  assertClose(sum!, mean, 1e-6, 'mean over samples');
});

for (const kind of kinds) {
  for (const probes of [1, 3, 4]) {
    test(`${kind}: ${probes} products in one pass are those of single passes`, async () => {
      const vectors = Array.from({ length: probes }, (_, i) => randomFloats(dimension, 20 + i));
      const together = await products(smallConvNet, images, 4, kind, vectors);
      for (const [i, v] of vectors.entries()) {
        const [alone] = await products(smallConvNet, images, 4, kind, [v]);
        assertClose(together[i]!, alone!, 1e-6, `probe ${i}`);
      }
    });
  }

  test(`${kind} is symmetric`, async () => {
    const [u, v] = [randomFloats(dimension, 30), randomFloats(dimension, 31)];
    const [au, av] = await products(smallConvNet, images, 4, kind, [u, v]);
    const inner = (x: Float32Array, y: Float32Array): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
    assert.ok(Math.abs(inner(v, au!) - inner(u, av!)) <= 1e-6 * Math.abs(inner(u, au!)));
  });

  test(`${kind} of softmax regression is (1/N) Σ xxᵀ ⊗ (diag p − ppᵀ)`, async () => {
    const [features, classes, count] = [4, 3, 7];
    const make = (batch: number): Model => softmaxRegression(batch, features, classes);
    const samples = randomSamples(count, [features], classes, 3);
    const { parameters } = make(1);
    const [w, bias] = [parameters.get('w')!.value, parameters.get('b')!.value];
    const v = randomFloats(features * classes, 9);
    const expected = new Float64Array(features * classes);
    for (let n = 0; n < count; n++) {
      const x = samples.inputs.subarray(n * features, (n + 1) * features);
      // Rows of W and v are features, columns classes.
      const along = (matrix: Float32Array, k: number): number =>
        x.reduce((sum, xf, f) => sum + xf * matrix[f * classes + k]!, 0);
      const scores = Array.from({ length: classes }, (_, k) => Math.exp(along(w, k) + bias[k]!));
      const total = scores.reduce((sum, score) => sum + score, 0);
      const p = scores.map((score) => score / total);
      const moved = p.map((_, k) => along(v, k));
      const mean = p.reduce((sum, pk, k) => sum + pk * moved[k]!, 0);
      x.forEach((xf, f) =>
        p.forEach((pk, k) => (expected[f * classes + k]! += (xf * pk * (moved[k]! - mean)) / count)),
      );
    }
    const [product] = await products(make, samples, 3, kind, [v]);
    assertClose(product!, expected, 2e-6, kind);
  });
}

for (const kind of kinds) {
  for (const name of ['conv', 'linear']) {
    test(`${kind}: the diagonal block of ${name} is that of the whole matrix`, async () => {
      const model = smallConvNet(4);
      const whole = parameterLayout(model);
      const { offset, length } = whole.layers.find((layer) => layer.name === name)!;
      const block = layersInARow(model.layers.filter((layer) => layer.name === name));
      assert.equal(block.dimension, length);
      const v = randomFloats(length, 40);
      const padded = new Float32Array(whole.dimension);
      padded.set(v, offset);
      const [expected] = await products(smallConvNet, images, 4, kind, [padded]);
      const operator = new CurvatureOperator(engine, model, block, kind, makeBatches(images, 4, 3));
      const [product] = await operator.apply([v]);
      await operator.dispose();
      assertClose(product!, expected!.subarray(offset, offset + length), 1e-6, name);
    });
  }
}

test('products and their seconds are counted, and every batch is told', async () => {
  const model = smallConvNet(4);
  let shares = 0;
  let calls = 0;
  const operator = new CurvatureOperator(
    engine,
    model,
    parameterLayout(model),
    'ggn',
    makeBatches(images, 4, 3),
    (share) => {
      shares += share;
      calls++;
    },
  );
  await operator.apply([randomFloats(dimension, 1)]);
  await operator.apply([randomFloats(dimension, 1), randomFloats(dimension, 2)]);
  await operator.dispose();
  assert.equal(operator.products, 3);
  assert.equal(calls, 6);
  assert.ok(Math.abs(shares - 3) < 1e-9);
  assert.ok(operator.seconds > 0);
  assert.equal(operator.positiveSemidefinite, true);
});

test('a layer that the logits depend on piecewise constantly has products of zero', async () => {
  const make = (batch: number): Model => {
    const model = softmaxRegression(batch, 4, 3);
    const { builder: b } = model;
    const value = Float32Array.of(1, -1, 1, -1);
    const extra = b.parameter('sign', [4, 1]);
    const gate = b.expand(b.sign(b.matmul(model.input, extra)), [batch, 3]);
    return {
      ...model,
      logits: b.add(model.logits, gate),
      parameters: new Map([...model.parameters, ['sign', { name: 'sign', shape: [4, 1], value }]]),
      layers: [...model.layers, { name: 'sign', op: 'MatMul', shape: [4, 1] }],
    };
  };
  const samples = randomSamples(5, [4], 3, 4);
  for (const kind of kinds) {
    const [product] = await products(make, samples, 5, kind, [randomFloats(16, 8)]);
    assert.ok(product!.subarray(0, 12).some((x) => x !== 0));
    assert.deepEqual([...product!.subarray(12)], [0, 0, 0, 0]);
  }
});

test('what does not depend on the vectors is computed once, kept within the bytes granted, and changes nothing', async () => {
  const samples = randomSamples(11, [2, 5, 5], 3, 6);
  const model = smallConvNet(4);
  const layout = parameterLayout(model);
  const batches = makeBatches(samples, 4, model.logits.shape[1]!);
  const vectors = [1, 2, 3, 4, 5, 6].map((seed) => randomFloats(layout.dimension, seed));
  for (const kind of kinds) {
    const names: string[][] = [];
    let kept = 0;
    const counting: Engine = {
      ...engine,
      compile: async (graph, options) => {
        const compiled = await engine.compile(graph, options);
        return {
          feeds: compiled.feeds,
          dispose: () => compiled.dispose(),
          run: async (feeds) => {
            names.push(graph.outputs.map(({ name }) => name));
            const results = await compiled.run(feeds);
            if (graph.outputs[0]?.name.startsWith('fixed'))
              kept = [...results.values()].reduce((sum, value) => sum + value.byteLength, 0);
            return results;
          },
        };
      },
    };
    const fixedRuns = (): number => names.filter(([first]) => first?.startsWith('fixed')).length;
    const make = (bytes: number): CurvatureOperator =>
      new CurvatureOperator(counting, model, layout, kind, batches, undefined, undefined, bytes);
    const plain = await make(0).apply(vectors);
    assert.equal(fixedRuns(), 0);
    const caching = make(2 ** 30);
    // One at a time, then more than go into one pass.
    const [alone] = await caching.apply(vectors.slice(0, 1));
    const all = await caching.apply(vectors);
    assert.equal(fixedRuns(), batches.length, 'every batch once');
    for (const [i, value] of [alone!, ...all].entries()) {
      const expected = plain[Math.max(0, i - 1)]!;
      const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      value.forEach((x, j) => assert.ok(Math.abs(x - expected[j]!) < 1e-5 * largest, `${kind} ${i} at ${j}`));
    }
    // Room for one batch: the others are computed at every product, to the same result.
    names.length = 0;
    const tight = make(kept);
    await tight.apply(vectors.slice(0, 1));
    assert.deepEqual(await tight.apply(vectors.slice(0, 1)), [alone]);
    assert.equal(fixedRuns(), 2 * batches.length - 1);
    await caching.dispose();
    await tight.dispose();
  }
});
