import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { denseOperator } from '../../bench/estimators/oracle';
import type { AnalysisResult, CurvatureKind } from '../../protocol/analysis';
import { analyze } from '../../server/src/analysis/analyze';
import { Evaluator, lossGradient } from '../../server/src/analysis/evaluator';
import { MemoryGuard } from '../../server/src/analysis/memory';
import { measurePath } from '../../server/src/analysis/path';
import { openSubject, type Subject } from '../../server/src/analysis/subject';
import { CurvatureOperator } from '../../server/src/curvature/operator';
import type { Engine } from '../../server/src/engine/engine';
import { createOrtEngine } from '../../server/src/engine/ort';
import { pruningLimit, spectralLimit } from '../../server/src/limit/limit';
import { Magnitudes } from '../../server/src/limit/magnitudes';
import { Random } from '../../server/src/random';
import { eigenvalues, exactTraces, wholeMatrix, type WholeMatrix } from '../../server/src/spectrum/dense';
import { exactMeasure, ruleBounds, spectralMeasure } from '../../server/src/spectrum/estimate';
import { lanczos, LanczosRun } from '../../server/src/spectrum/lanczos';
import { modulusBounds } from '../../server/src/spectrum/modulus';
import { combineTraces, traceSample, type IndexRange } from '../../server/src/spectrum/traces';
import { oracleEigenvalues, readGolden, type OracleGolden } from './golden';
import { oracleNames, oracleRequest } from './oracles';

/**
 * Trained networks whose every eigenvalue is known from LAPACK in float64
 * on PyTorch's double backward: what the estimators say of them has to contain
 * the truth. The values are committed; README.md says how they were made.
 */

/**
 * Steps for a bracket of 0.5 points. The sampling error of these probes is two
 * or three times that: for less, the whole matrix is cheaper.
 */
const LANCZOS_STEPS = 240;
const LANCZOS_PROBES = 12;

const kinds: readonly CurvatureKind[] = ['hessian', 'ggn'];

for (const name of oracleNames) {
  describe(name, () => {
    const golden = readGolden<OracleGolden>(name);
    const matrices = new Map<CurvatureKind, WholeMatrix>();
    const truth = new Map<CurvatureKind, number>();
    let result: AnalysisResult;
    let subject: Subject;
    let engine: Engine;
    let magnitudes: Magnitudes;

    before(async () => {
      const request = oracleRequest(name);
      result = await analyze(request, () => undefined);
      subject = await openSubject(request, new MemoryGuard(request.options.memory));
      const { layout, weights, model, batches } = subject;
      magnitudes = Magnitudes.of(layout.layers.map(({ offset, length }) => weights.subarray(offset, offset + length)));
      engine = await createOrtEngine(1);
      for (const kind of kinds) {
        const operator = new CurvatureOperator(engine, model, layout, kind, batches);
        matrices.set(kind, (await wholeMatrix(operator, 16))!);
        await operator.dispose();
        const measure = exactMeasure(oracleEigenvalues(name, kind));
        const squaredRadius = (s: number) => magnitudes.squaredRadius(s);
        truth.set(kind, spectralLimit(ruleBounds(measure).low, result.epsilon.value, squaredRadius));
      }
    });

    test('is the network of the golden values', () => {
      assert.deepEqual(
        result.layers.map(({ weights }) => weights),
        golden.sizes,
      );
      close(result.loss, golden.loss, 1e-6);
      close(result.validity.gradientNorm!, golden.gradientNorm, 1e-5);
    });

    test('measures the path that PyTorch does', async () => {
      const gradient = await lossGradient(engine, subject, () => undefined);
      const evaluator = await Evaluator.create(engine, subject);
      const operator = new CurvatureOperator(engine, subject.model, subject.layout, 'hessian', subject.batches);
      const sparsities = golden.path.map(({ sparsity }) => sparsity);
      const path = await measurePath(
        subject,
        magnitudes,
        evaluator,
        operator,
        gradient,
        sparsities,
        0,
        () => undefined,
      );
      await evaluator.dispose();
      await operator.dispose();
      golden.path.forEach((wanted, i) => {
        const point = path[i]!;
        close(point.R, wanted.R, 1e-6);
        close(point.loss, wanted.loss, 1e-5);
        close(point.linear, wanted.linear, 1e-4);
        close(point.quadratic, wanted.quadratic, 1e-4);
      });
    });

    for (const kind of kinds) {
      test(`every eigenvalue of the ${kind} matrix is within the stated error`, (t) => {
        const matrix = matrices.get(kind)!;
        const found = eigenvalues(matrix);
        const wanted = oracleEigenvalues(name, kind);
        let square = 0;
        for (let i = 0; i < wanted.length; i++) square += (found[i]! - wanted[i]!) ** 2;
        t.diagnostic(`displacement ${Math.sqrt(square).toExponential(1)}, asymmetry ${matrix.noise.toExponential(1)}`);
        assert.ok(Math.sqrt(square) <= 4 * matrix.noise, `${Math.sqrt(square)} for ${matrix.noise}`);
        assert.ok(matrix.noise < 1e-5 * wanted.at(-1)!, `asymmetry ${matrix.noise}`);
      });

      test(`the whole analysis ends with the ${kind} limit in an interval of at most 0.5 points`, (t) => {
        const limit = result.limits.find(({ operator }) => operator === kind)!;
        const [low, high] = limit.interval;
        const s = truth.get(kind)!;
        t.diagnostic(`${low} … ${high} for ${s}, ${limit.curvature.exact ? 'whole matrix' : 'Lanczos'}`);
        assert.ok(low <= s && s <= high, `${low} … ${high} for ${s}`);
        assert.ok(high - low <= 0.005 && limit.resolved);
      });

      test(`Lanczos alone has the ${kind} limit in its interval, its bracket at most 0.5 points`, async (t) => {
        const { interval, bracket } = await byLanczos(matrices.get(kind)!, kind, result.epsilon.value, magnitudes);
        const [low, high] = interval;
        const s = truth.get(kind)!;
        t.diagnostic(`${low} … ${high} for ${s}, bracket ${(bracket[1] - bracket[0]).toExponential(1)}`);
        assert.ok(low <= s && s <= high, `${low} … ${high} for ${s}`);
        assert.ok(bracket[1] - bracket[0] <= 0.005, `${LANCZOS_STEPS} steps leave ${bracket.join(' … ')}`);
        assert.ok(high - low <= 0.02, `${LANCZOS_PROBES} probes leave ${high - low}`);
      });

      test(`traces of the ${kind} matrix and of its layers, exact and by Hutchinson`, async () => {
        const matrix = matrices.get(kind)!;
        const ranges = layerRanges(golden.sizes);
        const exact = exactTraces(matrix, ranges);
        const samples = await Promise.all(
          Array.from({ length: 8 }, async (_, i) => {
            const v = Random.stream(4, i).rademacher(matrix.dimension);
            return traceSample(v, (await denseOperator(matrix, false).apply([v]))[0]!, ranges);
          }),
        );
        const estimated = combineTraces(samples);
        const wanted = [golden[kind].trace, ...golden[kind].blocks];
        [exact.trace, ...exact.blocks].forEach((one, i) => close(one.value, wanted[i]!, 1e-5));
        [estimated.trace, ...estimated.blocks].forEach(({ value, standardError }, i) => {
          assert.ok(Math.abs(value - wanted[i]!) <= 4 * standardError, `${value} ± ${standardError} for ${wanted[i]}`);
        });
      });
    }
  });
}

/**
 * As deep as the quadrature needs, and as many probes as the sampling error
 * does. The matrix is the operator, so that a product takes no network.
 */
async function byLanczos(
  matrix: WholeMatrix,
  kind: CurvatureKind,
  epsilon: number,
  magnitudes: Magnitudes,
): Promise<ReturnType<typeof pruningLimit>> {
  const operator = denseOperator(matrix, kind === 'ggn');
  const runs = Array.from({ length: LANCZOS_PROBES }, (_, i) =>
    LanczosRun.from(Random.stream(11, `probe ${i}`).rademacher(matrix.dimension)),
  );
  for await (const { steps } of lanczos(operator, runs)) if (steps === LANCZOS_STEPS) break;
  const jacobis = runs.map(({ jacobi }) => jacobi);
  const measure = spectralMeasure(matrix.dimension, jacobis);
  return pruningLimit({
    operator: kind,
    measure,
    bounds: kind === 'ggn' ? ruleBounds(measure) : modulusBounds(jacobis),
    magnitudes,
    epsilon,
    eta: 0.05,
    tolerance: 0.005,
    trace: { value: 0, standardError: 0 },
  });
}

function layerRanges(sizes: readonly number[]): IndexRange[] {
  let offset = 0;
  return sizes.map((length) => ({ offset: (offset += length) - length, length }));
}

function close(value: number, wanted: number, relative: number): void {
  assert.ok(Math.abs(value - wanted) <= relative * Math.abs(wanted), `${value} for ${wanted}`);
}
