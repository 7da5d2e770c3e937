import assert from 'node:assert/strict';
import { before, test, type TestContext } from 'node:test';
import type { CurvatureKind } from '../../protocol/analysis';
import { makeBatches } from '../../server/src/curvature/batches';
import { CurvatureOperator } from '../../server/src/curvature/operator';
import { gradient, gradientProgram, LOSS, TARGETS } from '../../server/src/curvature/programs';
import type { Engine } from '../../server/src/engine/engine';
import { ROUNDING_FACTOR } from '../../server/src/analysis/limit-study';
import { createOrtEngine } from '../../server/src/engine/ort';
import { goldenCases, goldenInputs, type GoldenInputs } from './cases';
import { compareWithGolden, readGolden, type ProductGolden } from './golden';

/**
 * Loss, gradient and curvature products against PyTorch in float64. The
 * values are committed; README.md says how they were made.
 */

/**
 * ‖error‖/‖product‖ that float32 products may have; twice the estimate bounds
 * it (golden.ts). Measured: 3·10⁻⁷ (ResNet-18) to 2·10⁻⁶ (mnist_zoo).
 */
const TOLERANCE = 2e-5;

let engine: Engine;
before(async () => {
  engine = await createOrtEngine(2);
});

for (const golden of goldenCases) {
  test(`products of ${golden.name} agree with PyTorch's double backward`, { skip: golden.skip }, async (t) => {
    const expected = readGolden<ProductGolden>(golden.name);
    let inputs: GoldenInputs;

    const assertClose = (what: string, vector: ArrayLike<number>, summary: ProductGolden['hessian']): number => {
      const error = compareWithGolden(vector, summary, expected.indices, inputs.layout.layers);
      t.diagnostic(
        `${golden.name} ${what}: relative error ${error.whole.toExponential(1)} (all), ` +
          `${error.sampled.toExponential(1)} (sampled entries), ${error.norms.toExponential(1)} (worst layer's norm)`,
      );
      assert.ok(2 * error.whole <= TOLERANCE, `${what}: ${error.whole} in all`);
      assert.ok(error.sampled <= TOLERANCE, `${what}: ${error.sampled} in sampled entries`);
      assert.ok(error.norms <= TOLERANCE, `${what}: ${error.norms} in a layer's norm`);
      return error.whole;
    };

    await t.test('the inputs are those of the golden values', async () => {
      inputs = await goldenInputs(golden);
      assert.deepEqual(
        inputs.layout.layers.map(({ name }) => name),
        expected.layers,
      );
      assert.equal(inputs.fingerprint, expected.fingerprint);
    });

    await t.test('loss and gradient', async () => {
      const { model, layout, samples } = inputs;
      const batches = makeBatches(samples, golden.batch, model.logits.shape[1]!);
      const compiled = await engine.compile(gradientProgram(model), { parameters: model.parameters });
      let loss = 0;
      const sum = new Float64Array(layout.dimension);
      for (const batch of batches) {
        const results = await compiled.run(
          new Map([
            [model.input.attributes.name, batch.inputs],
            [TARGETS, batch.targets],
          ]),
        );
        loss += results.get(LOSS)![0]!;
        for (const { name, offset } of layout.layers) {
          results.get(gradient(name))!.forEach((x, i) => (sum[offset + i]! += x));
        }
      }
      await compiled.dispose();
      t.diagnostic(
        `${golden.name} loss: relative error ${(Math.abs(loss - expected.loss) / expected.loss).toExponential(1)}`,
      );
      assert.ok(Math.abs(loss - expected.loss) <= 1e-5 * expected.loss, `loss ${loss} for ${expected.loss}`);
      assertClose('gradient', sum, expected.gradient);
    });

    for (const kind of ['hessian', 'ggn'] satisfies CurvatureKind[]) {
      await t.test(`${kind} product`, async (t) => {
        const { product, rescaled } = await products(kind, inputs, golden.batch);
        const error = assertClose(kind, product, expected[kind]);
        assertEstimated(t, `${golden.name} ${kind}`, error, relativeDifference(product, rescaled));
      });
    }
  });

  // ResNet-18 would take minutes.
  const skip = golden.skip || golden.name === 'resnet18';
  test(`the error of products of ${golden.name} is known with few samples at a time, too`, { skip }, async (t) => {
    const expected = readGolden<ProductGolden>(golden.name);
    for (const batch of [1, 2]) {
      const inputs = await goldenInputs({ ...golden, batch });
      for (const kind of ['hessian', 'ggn'] satisfies CurvatureKind[]) {
        const { product, rescaled } = await products(kind, inputs, batch);
        const { whole } = compareWithGolden(product, expected[kind], expected.indices, inputs.layout.layers);
        assertEstimated(t, `${golden.name} ${kind}, ${batch} at a time`, whole, relativeDifference(product, rescaled));
      }
    }
  });
}

/** The product with the golden direction, and the same at another scale. */
async function products(kind: CurvatureKind, { model, layout, samples, direction }: GoldenInputs, batch: number) {
  const batches = makeBatches(samples, batch, model.logits.shape[1]!);
  const operator = new CurvatureOperator(engine, model, layout, kind, batches);
  const [product] = await operator.apply([direction]);
  const [rescaled] = await operator.rescaled([direction]);
  await operator.dispose();
  return { product: product!, rescaled: rescaled! };
}

/** That an error is at most what a study takes it for, and not far below. */
function assertEstimated(t: TestContext, what: string, error: number, difference: number): void {
  t.diagnostic(
    `${what}: off by ${error.toExponential(1)}, ${(error / difference).toFixed(1)} times what another scale changes`,
  );
  assert.ok(
    error <= ROUNDING_FACTOR * difference,
    `${what} is off by ${error}, and another scale changes ${difference}`,
  );
  assert.ok(
    error >= difference / ROUNDING_FACTOR,
    `${what} is off by ${error} only, and another scale changes ${difference}`,
  );
}

function relativeDifference(x: Float32Array, y: Float32Array): number {
  let [difference, norm] = [0, 0];
  x.forEach((value, i) => {
    difference += (value - y[i]!) ** 2;
    norm += value * value;
  });
  return Math.sqrt(difference / 2 / norm);
}
