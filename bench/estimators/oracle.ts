import type { CurvatureKind } from '../../protocol/analysis';
import { lossTolerance } from '../../server/src/analysis/epsilon';
import { Evaluator } from '../../server/src/analysis/evaluator';
import { MemoryGuard } from '../../server/src/analysis/memory';
import { openSubject } from '../../server/src/analysis/subject';
import { CurvatureOperator } from '../../server/src/curvature/operator';
import type { Engine } from '../../server/src/engine/engine';
import { spectralLimit } from '../../server/src/limit/limit';
import { Magnitudes } from '../../server/src/limit/magnitudes';
import { wholeMatrix, type WholeMatrix } from '../../server/src/spectrum/dense';
import { exactMeasure, ruleBounds } from '../../server/src/spectrum/estimate';
import type { SymmetricOperator } from '../../server/src/spectrum/operator';
import { oracleEigenvalues } from '../../test/golden/golden';
import { oracleRequest, type OracleName } from '../../test/golden/oracles';
import type { Estimated } from './estimator';

/** A network whose eigenvalues are known, its matrix as the operator. */
export interface OracleProblem {
  readonly operator: SymmetricOperator;
  readonly epsilon: number;
  readonly magnitudes: Magnitudes;
  /** By the eigenvalues, which are LAPACK's in float64. */
  readonly limit: number;
  readonly trace: number;
}

export async function oracleProblem(engine: Engine, name: OracleName, kind: CurvatureKind): Promise<OracleProblem> {
  const request = oracleRequest(name);
  const subject = await openSubject(request, new MemoryGuard(0));
  const { layout, weights, model, batches } = subject;
  const evaluator = await Evaluator.create(engine, subject);
  const { losses, loss } = await evaluator.evaluate(weights);
  await evaluator.dispose();
  const operator = new CurvatureOperator(engine, model, layout, kind, batches);
  const matrix = (await wholeMatrix(operator, 16))!;
  await operator.dispose();
  const magnitudes = Magnitudes.of(
    layout.layers.map(({ offset, length }) => weights.subarray(offset, offset + length)),
  );
  const eigenvalues = oracleEigenvalues(name, kind);
  const epsilon = lossTolerance(request.options.epsilon, losses, loss);
  const dimension = ruleBounds(exactMeasure(eigenvalues)).low;
  return {
    operator: denseOperator(matrix, kind === 'ggn'),
    epsilon,
    magnitudes,
    limit: spectralLimit(dimension, epsilon, (s) => magnitudes.squaredRadius(s)),
    trace: eigenvalues.reduce((sum, value) => sum + value, 0),
  };
}

/** What the limit lies between: of the bracket, and with 1.96 standard errors. */
export function limitInterval(
  { epsilon, magnitudes }: Pick<OracleProblem, 'epsilon' | 'magnitudes'>,
  { bounds, standardError }: Estimated,
  errors = 1.96,
): [low: number, high: number] {
  const at = (bound: (c: number) => number) => spectralLimit(bound, epsilon, (s) => magnitudes.squaredRadius(s));
  return [at((c) => bounds.low(c) - errors * standardError(c)), at((c) => bounds.high(c) + errors * standardError(c))];
}

/** Products with the entries: no network, and float32 at the end alone. */
export function denseOperator({ dimension, entries }: WholeMatrix, positiveSemidefinite: boolean): SymmetricOperator {
  const multiply = (v: Float32Array): Float32Array => {
    const product = new Float32Array(dimension);
    for (let i = 0; i < dimension; i++) {
      let sum = 0;
      for (let j = 0, at = i * dimension; j < dimension; j++, at++) sum += entries[at]! * v[j]!;
      product[i] = sum;
    }
    return product;
  };
  return { dimension, positiveSemidefinite, apply: (vectors) => Promise.resolve(vectors.map(multiply)) };
}
