import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CurvatureKind, LayerLimits } from '../../../protocol/analysis';
import { makeBatches } from '../curvature/batches';
import { CurvatureOperator } from '../curvature/operator';
import { flatWeights, parameterLayout, type ParameterLayout } from '../curvature/parameters';
import { randomSamples, smallConvNet } from '../curvature/testing';
import { createOrtEngine } from '../engine/ort';
import { spectralLimit } from '../limit/limit';
import { Magnitudes } from '../limit/magnitudes';
import { exactMeasure, ruleBounds } from '../spectrum/estimate';
import { naiveEigen } from '../spectrum/testing';
import { studyLayers } from './layer-limits';

/** Limits of the layers against the eigenvalues of the blocks of the whole matrix, taken column by column. */

const EPSILON = 0.02;
const BATCH = 4;

async function studied(kind: CurvatureKind) {
  const engine = await createOrtEngine(1);
  const model = smallConvNet(BATCH);
  const layout = parameterLayout(model);
  const weights = flatWeights(model, layout);
  const batches = makeBatches(randomSamples(10, [2, 5, 5], 3, 1), BATCH, 3);
  const operator = (part: ParameterLayout) => new CurvatureOperator(engine, model, part, kind, batches);
  const whole = operator(layout);
  const columns: Float32Array[] = [];
  for (let i = 0; i < layout.dimension; i++) {
    const unit = new Float32Array(layout.dimension);
    unit[i] = 1;
    columns.push(...(await whole.apply([unit])));
  }
  const updates: LayerLimits[] = [];
  const limits = await studyLayers({
    kind,
    layout,
    weights,
    epsilon: EPSILON,
    seed: 3,
    whole,
    block: operator,
    study: () => ({ steps: 64, vectors: 1000, tolerance: 0.001, deadline: Infinity, now: () => 0 }),
    announce: () => undefined,
    update: (partial) => void updates.push({ ...partial, layers: [...partial.layers] }),
  });
  await whole.dispose();
  return { layout, weights, columns, limits, updates };
}

for (const kind of ['hessian', 'ggn'] as const) {
  test(`${kind}: every layer has the limit of its own block, and the blocks leave out what lies between`, async () => {
    const { layout, weights, columns, limits, updates } = await studied(kind);
    let [inBlocks, everywhere] = [0, 0];
    for (const column of columns) for (const x of column) everywhere += x * x;
    for (const [i, { name, offset, length }] of layout.layers.entries()) {
      const block = columns.slice(offset, offset + length).map((column) => column.slice(offset, offset + length));
      for (const column of block) for (const x of column) inBlocks += x * x;
      const { values } = naiveEigen(block);
      const dimension = ruleBounds(exactMeasure(values.map(Math.abs))).low;
      const own = Magnitudes.of([weights.subarray(offset, offset + length)]);
      const truth = spectralLimit(dimension, EPSILON, (s) => own.squaredRadius(s));
      const limit = limits.layers[i]!;
      assert.equal(limit.name, name);
      assert.ok(limit.resolved);
      assert.ok(limit.interval[0] - 1e-4 <= truth && truth <= limit.interval[1] + 1e-4, `${name}: ${truth}`);
      assert.ok(truth > 0.02 && truth < 0.98, `${name}: ${truth} would be easy to meet`);
    }
    const { share, standardError } = limits.coupling!;
    const truth = 1 - inBlocks / everywhere;
    assert.ok(Math.abs(share - truth) <= 3 * standardError, `${share} ± ${standardError}, is ${truth}`);
    assert.ok(standardError < 0.2 && truth > 0.01, `${standardError}, ${truth}`);
    assert.deepEqual(
      updates.map(({ coupling, layers }) => [coupling, layers.length]),
      [
        [null, 1],
        [null, 2],
      ],
    );
  });
}
