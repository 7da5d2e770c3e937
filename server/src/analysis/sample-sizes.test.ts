import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CurvatureKind } from '../../../protocol/analysis';
import { Magnitudes } from '../limit/magnitudes';
import { QuadraticLoss, type QuadraticSample } from '../limit/testing';
import { Random } from '../random';
import type { StudiedOperator } from './limit-study';
import { checkSampleSizes, studySampleSizes } from './sample-sizes';

/** A quadratic loss over samples whose every subset has a known matrix, studied as networks are. */

const D = 40;
const POPULATION = 4000;

function population(kind: CurvatureKind, seed: number) {
  const random = Random.stream(seed, 'population');
  // Of either sign for the Hessian.
  const samples = Array.from({ length: POPULATION }, (_, k): QuadraticSample => ({
    sign: kind === 'hessian' && k % 5 === 0 ? -1 : 1,
    x: Float64Array.from({ length: D }, (_, i) => 3 * (i + 1) ** -0.8 * random.gaussian()),
  }));
  const weights = Float32Array.from({ length: D }, () => -Math.log(1 - random.uniform()));
  const loss = new QuadraticLoss(samples, Magnitudes.of([weights]));
  const operator = (first: number, end: number): StudiedOperator => {
    const entries = loss.matrix(first, end);
    const multiply = (v: Float32Array) =>
      Float32Array.from({ length: D }, (_, i) => v.reduce((sum, x, j) => sum + x * entries[i * D + j]!, 0));
    const apply = (vectors: readonly Float32Array[]) => Promise.resolve(vectors.map(multiply));
    return {
      kind,
      dimension: D,
      positiveSemidefinite: kind === 'ggn',
      products: 1,
      seconds: 0,
      apply,
      rescaled: async (vectors) =>
        (await apply(vectors.map((v) => v.map((x) => 0.625 * x)))).map((product) => product.map((x) => x / 0.625)),
    };
  };
  const limit = (first: number, end: number) => loss.limit(loss.matrix(first, end), EPSILON, kind === 'ggn');
  return { operator, loss, limit };
}

const EPSILON = 0.05;
const layout = { dimension: D, layers: [{ name: 'w', op: 'Gemm', shape: [D], offset: 0, length: D }] } as const;

async function studied(kind: CurvatureKind, samples: number, seed: number, available = POPULATION) {
  const { operator, loss, limit } = population(kind, seed);
  const asked: [number, number][] = [];
  const shares: number[] = [];
  const found = await studySampleSizes({
    limit: { operator: kind, keep: 1 - limit(0, samples) },
    layout,
    magnitudes: loss.magnitudes,
    epsilon: EPSILON,
    seed,
    samples,
    available,
    tolerance: 0.01,
    whole: () => Promise.resolve(operator(0, samples)),
    part: (first, end) => {
      asked.push([first, end]);
      return Promise.resolve(operator(first, end));
    },
    study: (share) => {
      shares.push(share);
      return { steps: 64, vectors: 1000, deadline: Infinity, now: () => 0 };
    },
    announce: () => undefined,
  });
  return { found, asked, shares, loss, limit };
}

for (const kind of ['ggn', 'hessian'] as const) {
  test(`${kind}: every size is the mean of the limits of its parts, which make up the samples`, async () => {
    const { found, asked, shares, limit } = await studied(kind, 203, 1);
    assert.deepEqual(
      found.sizes.map(({ samples, parts }) => [samples, parts]),
      [
        [25, 8],
        [50, 4],
        [100, 2],
        [203, 1],
      ],
    );
    assert.deepEqual(asked, [
      ...Array.from({ length: 8 }, (_, i) => [25 * i, 25 * i + 25]),
      ...Array.from({ length: 4 }, (_, i) => [50 * i, 50 * i + 50]),
      [0, 100],
      [100, 200],
    ]);
    for (const { samples, parts, sparsity, interval } of found.sizes) {
      const limits = Array.from({ length: parts }, (_, i) => limit(i * samples, (i + 1) * samples));
      const mean = limits.reduce((sum, s) => sum + s, 0) / parts;
      assert.ok(Math.abs(sparsity - mean) < 1e-4, `${samples}: ${sparsity}, ${mean}`);
      assert.ok(interval[0] < mean && mean < interval[1]);
    }
    // Every study has the share of the time that its samples have of those left.
    assert.ok(Math.abs(shares[0]! - 25 / (3 * 200 + 203)) < 1e-12 && shares.at(-1) === 1, shares.join());
  });
}

test('the limit on the whole data set lies in the interval, which the bound of the trace ends', async (t) => {
  let [inside, width] = [0, 0];
  for (let seed = 0; seed < 20; seed++) {
    const { found, limit, loss } = await studied('ggn', 256, seed);
    const { samples, interval } = found.whole!;
    const truth = limit(0, POPULATION);
    assert.equal(samples, POPULATION);
    if (interval[0] <= truth && truth <= interval[1]) inside++;
    width += (interval[1] - interval[0]) / 20;
    assert.ok(interval[1] <= found.sizes.at(-1)!.interval[1]);
    assert.ok(interval[0] > loss.traceBound(2 * loss.trace(loss.matrix(0, POPULATION)), EPSILON));
  }
  t.diagnostic(`${inside} of 20 inside, mean width ${width.toFixed(3)}`);
  assert.ok(inside >= 18 && width < 0.3, `${inside} of 20, ${width}`);
});

test('of the whole data set nothing more is said where all of it was chosen', async () => {
  const { found } = await studied('ggn', 128, 3, 128);
  assert.equal(found.whole, null);
  assert.equal(found.heldBack.length, 3);
});

test('too few samples to be cut are refused', () => {
  checkSampleSizes(32, 1);
  assert.throws(() => checkSampleSizes(31, 1), {
    name: 'InputError',
    message: 'samples too few for --sample-sizes: 31, which are cut into 8 parts; choose 32 or more with --samples',
  });
});
