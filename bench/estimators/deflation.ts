import { sampleStandardError, spectralWeight } from '../../server/src/spectrum/estimate';
import { lanczos, LanczosRun } from '../../server/src/spectrum/lanczos';
import { modulusBounds } from '../../server/src/spectrum/modulus';
import { naiveEigen } from '../../server/src/spectrum/testing';
import { basisProducts, squaredNorm, subtractCombination } from '../../server/src/spectrum/vector';
import { Random } from '../../server/src/random';
import { BlockRun, probes } from './block';
import type { Estimator } from './estimator';

/** Probes of the first Krylov space, and steps of those of the rest. */
const WIDTH = 4;
const DEPTH = 32;

/**
 * Krylov-aware deflation (Chen and Hallman 2023): the trace of f(A) over a
 * Krylov space as block Lanczos has it, a few steps deeper than the space, and
 * over its complement by probes that are projected there. Half of the products
 * go into either.
 *
 * Only the second part has a bracket. The first is taken as it is.
 */
export const deflated: Estimator = {
  name: 'Krylov-aware deflation',
  async estimate(operator, budget, seed) {
    const { dimension } = operator;
    const run = BlockRun.from(probes(dimension, WIDTH, seed));
    while (run.products + WIDTH <= budget / 2) run.absorb(await operator.apply(run.next));
    // Two thirds of the steps are the space, the others make f accurate on it.
    const deflatedCount = WIDTH * Math.max(1, Math.floor((2 * run.diagonal.length) / 3));
    const space = run.basis.slice(0, deflatedCount);
    const { values, vectors } = naiveEigen(run.matrix());
    const shares = vectors.map((vector) => vector.slice(0, deflatedCount).reduce((sum, x) => sum + x * x, 0));
    const within = (c: number) =>
      values.reduce((sum, value, k) => sum + shares[k]! * spectralWeight(Math.abs(value), c), 0);

    const depth = Math.min(DEPTH, Math.floor(budget / 2));
    const rest = Array.from({ length: Math.max(1, Math.floor(budget / 2 / depth)) }, (_, i) => {
      const v = Random.stream(seed, `rest ${i}`).rademacher(dimension);
      const h = new Float64Array(space.length);
      basisProducts(space, v, h);
      subtractCombination(space, h, v);
      return v;
    });
    const runs = rest.map((v) => LanczosRun.from(v));
    for await (const { steps } of lanczos(operator, runs)) if (steps >= depth) break;
    const brackets = runs.map(({ jacobi }) => modulusBounds([jacobi]));
    const norms = rest.map(squaredNorm);
    const at = (end: 'low' | 'high', c: number) => brackets.map((bracket, i) => norms[i]! * bracket[end](c));
    const mean = (values_: readonly number[]) => values_.reduce((sum, value) => sum + value, 0) / values_.length;
    const complement = dimension - deflatedCount;
    return {
      products: run.products + runs.reduce((sum, { steps }) => sum + steps, 0),
      bounds: {
        low: (c) => (within(c) + mean(at('low', c))) / dimension,
        high: (c) => (within(c) + mean(at('high', c))) / dimension,
      },
      // The scatter where there is one, and for a single probe the bound ‖f‖_F ≤ √D of what is left.
      standardError: (c) =>
        Math.min(
          Math.max(...(['low', 'high'] as const).map((end) => sampleStandardError(at(end, c)))),
          Math.sqrt((2 * complement) / runs.length),
        ) / dimension,
    };
  },
};
