import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { CurvatureKind } from '../../protocol/analysis';
import { makeBatches } from '../../server/src/curvature/batches';
import { CurvatureOperator } from '../../server/src/curvature/operator';
import { gradient, gradientProgram, LOSS, TARGETS } from '../../server/src/curvature/programs';
import type { Engine } from '../../server/src/engine/engine';
import { ROUNDING_FACTOR, SINGLE_ERROR } from '../../server/src/analysis/limit-study';
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
      await t.test(`${kind} product`, async () => {
        const { model, layout, samples, direction } = inputs;
        const batches = makeBatches(samples, golden.batch, model.logits.shape[1]!);
        const operator = new CurvatureOperator(engine, model, layout, kind, batches);
        const [product] = await operator.apply([direction]);
        const [other] = (await operator.reordered([direction]))!;
        await operator.dispose();
        const error = assertClose(kind, product!, expected[kind]);
        const floor = relativeDifference(product!, other!);
        t.diagnostic(`${golden.name} ${kind}: ${floor.toExponential(1)} in another order of the samples`);
        assert.ok(error <= ROUNDING_FACTOR * floor, `off by ${error}, and ${floor} in another order`);
      });
    }
  });

  // ResNet-18 would take minutes.
  const skip = golden.skip || golden.name === 'resnet18';
  test(`products of ${golden.name}, one sample at a time, are off by what is assumed of such`, { skip }, async () => {
    const expected = readGolden<ProductGolden>(golden.name);
    const { model, layout, samples, direction } = await goldenInputs({ ...golden, batch: 1 });
    const batches = makeBatches(samples, 1, model.logits.shape[1]!);
    for (const kind of ['hessian', 'ggn'] satisfies CurvatureKind[]) {
      const operator = new CurvatureOperator(engine, model, layout, kind, batches);
      const [product] = await operator.apply([direction]);
      assert.equal(await operator.reordered([direction]), null);
      await operator.dispose();
      const { whole } = compareWithGolden(product!, expected[kind], expected.indices, layout.layers);
      assert.ok(whole <= SINGLE_ERROR, `${kind}: off by ${whole}`);
    }
  });
}

function relativeDifference(x: Float32Array, y: Float32Array): number {
  let [difference, norm] = [0, 0];
  x.forEach((value, i) => {
    difference += (value - y[i]!) ** 2;
    norm += value * value;
  });
  return Math.sqrt(difference / 2 / norm);
}
