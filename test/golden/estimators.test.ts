import assert from 'node:assert/strict';
import { test } from 'node:test';
import { estimators, traceEstimators } from '../../bench/estimators';
import { createOrtEngine } from '../../server/src/engine/ort';
import { limitInterval, oracleProblem } from '../../bench/estimators/oracle';
import { oracleNames } from './oracles';

/** Every estimator that was compared, on the Hessians of networks whose eigenvalues are known. */

const SEEDS = 2;
const PRODUCTS = 64;

for (const name of oracleNames) {
  test(`${name}: every estimator has the truth within its error bar, those of traces within three standard errors`, async (t) => {
    const problem = await oracleProblem(await createOrtEngine(1), name, 'hessian');
    for (const estimator of estimators) {
      let [inside, width] = [0, 0];
      for (let seed = 0; seed < SEEDS; seed++) {
        const estimated = await estimator.estimate(problem.operator, PRODUCTS, seed);
        assert.ok(estimated.products <= PRODUCTS, `${estimator.name}: ${estimated.products} products`);
        const [low, high] = limitInterval(problem, estimated);
        if (low <= problem.limit && problem.limit <= high) inside++;
        width += (high - low) / SEEDS;
      }
      t.diagnostic(`${estimator.name}: ${inside} of ${SEEDS}, mean width ${width.toFixed(3)}`);
      assert.ok(inside === SEEDS && width < 0.6, `${estimator.name}: ${inside} of ${SEEDS}, ${width} wide`);
    }
    for (const estimator of traceEstimators) {
      let inside = 0;
      for (let seed = 0; seed < SEEDS; seed++) {
        const { value, standardError } = await estimator.estimate(problem.operator, 24, seed);
        if (Math.abs(value - problem.trace) <= 3 * standardError) inside++;
      }
      assert.ok(inside === SEEDS, `${estimator.name}: ${inside} of ${SEEDS}`);
    }
  });
}
