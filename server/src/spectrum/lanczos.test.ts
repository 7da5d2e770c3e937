import assert from 'node:assert/strict';
import { test } from 'node:test';
import { average, spectralMeasure } from './estimate';
import { lanczos, LanczosRun } from './lanczos';
import type { SymmetricOperator } from './operator';
import { gaussRule, integrate } from './quadrature';
import { Random } from '../random';
import { prescribedOperator } from './testing';
import { dot } from './vector';

const probe = (n: number, name: string | number = 'probe') => Random.stream(5, name).rademacher(n);

async function run(operator: SymmetricOperator, steps: number, start = probe(operator.dimension)): Promise<LanczosRun> {
  const state = LanczosRun.from(start);
  for await (const progress of lanczos(operator, [state])) if (progress.steps >= steps) break;
  return state;
}

/** Largest |q_iᵀq_j − δ_ij|. */
function orthogonalityLoss(basis: readonly Float32Array[]): number {
  let worst = 0;
  basis.forEach((q, i) => {
    for (let j = 0; j <= i; j++) worst = Math.max(worst, Math.abs(dot(q, basis[j]!) - (i === j ? 1 : 0)));
  });
  return worst;
}

const spectra: Record<string, (n: number) => number[]> = {
  uniform: (n) => Array.from({ length: n }, (_, i) => (i + 1) / n),
  'power law': (n) => Array.from({ length: n }, (_, i) => (i + 1) ** -1.5),
  'eight decades': (n) => Array.from({ length: n }, (_, i) => 10 ** ((-8 * i) / n)),
  'few large': (n) => Array.from({ length: n }, (_, i) => (i < n / 20 ? 10 : 1e-3)),
  indefinite: (n) => Array.from({ length: n }, (_, i) => (i - n / 3) / n),
  clusters: (n) => Array.from({ length: n }, (_, i) => 1 + (i % 5) + 1e-6 * i),
};

for (const [name, spectrum] of Object.entries(spectra)) {
  test(`${name}: the basis stays orthogonal and full depth gives vᵀf(A)v`, async () => {
    const n = 240;
    const operator = prescribedOperator(spectrum(n), 3);
    const start = probe(n);
    const state = await run(operator, n, start);
    assert.ok(orthogonalityLoss(state.state.basis) <= 1e-6, String(orthogonalityLoss(state.state.basis)));
    const rule = gaussRule(state.jacobi);
    for (const c of [0.01, 0.1, 1]) {
      const f = (modulus: number) => c / (modulus + c);
      const truth = operator.quadraticForm(start, (lambda) => f(Math.abs(lambda))) / n;
      assert.ok(Math.abs(integrate(rule, f) - truth) < 1e-6, `c ${c}: ${integrate(rule, f)} instead of ${truth}`);
    }
  });
}

test('T is the projection of the operator on the basis', async () => {
  const n = 100;
  const operator = prescribedOperator(spectra['power law']!(n), 1);
  const { basis, alpha, beta } = (await run(operator, 20)).state;
  const products = await operator.apply(basis.slice(0, 20));
  for (let i = 0; i < 20; i++) {
    for (let j = 0; j < 20; j++) {
      const expected = i === j ? alpha[i]! : Math.abs(i - j) === 1 ? beta[Math.min(i, j)]! : 0;
      assert.ok(Math.abs(dot(basis[i]!, products[j]!) - expected) < 2e-7, `${i} ${j}`);
    }
  }
});

test('probes together reproduce Tr f to their Monte Carlo error', async () => {
  const n = 200;
  const eigenvalues = spectra['power law']!(n);
  const operator = prescribedOperator(eigenvalues, 2);
  const runs = Array.from({ length: 16 }, (_, i) => LanczosRun.from(probe(n, i)));
  for await (const progress of lanczos(operator, runs)) if (progress.steps === 60) break;
  assert.equal(operator.products, 16 * 60);
  const measure = spectralMeasure(
    n,
    runs.map((state) => state.jacobi),
  );
  const f = (modulus: number) => 0.01 / (modulus + 0.01);
  const truth = eigenvalues.reduce((sum, lambda) => sum + f(lambda) / n, 0);
  const deviation = Math.sqrt(2 * eigenvalues.reduce((sum, lambda) => sum + (f(lambda) - truth) ** 2, 0)) / n;
  assert.ok(Math.abs(average(measure, 'gauss', f) - truth) < (3.5 * deviation) / 4);
});

test('an operator of low rank breaks down soon after rank + 1 steps, with the exact spectrum', async () => {
  const n = 150;
  const values = [5, 3, 1, 0.2];
  const operator = prescribedOperator([...values, ...new Array<number>(n - values.length).fill(0)], 4);
  const start = probe(n);
  const state = await run(operator, n, start);
  assert.equal(state.status, 'invariant');
  // In exact arithmetic after 5; rounding in the basis, divided by a small β, can add a step or two.
  assert.ok(state.steps >= 5 && state.steps <= 7, String(state.steps));
  assert.equal(state.next, null);
  const { nodes } = gaussRule(state.jacobi);
  const spectrum = [0, ...values];
  for (const value of spectrum) assert.ok(nodes.some((node) => Math.abs(node - value) < 1e-6));
  for (const node of nodes) assert.ok(spectrum.some((value) => Math.abs(node - value) < 1e-6));
  assert.throws(() => state.absorb(new Float32Array(n)), /has ended: invariant/);
});

test('zero, identity and one-dimensional operators are invariant at once', async () => {
  const zero = await run(prescribedOperator(new Array<number>(20).fill(0), 1), 20);
  assert.deepEqual([zero.status, zero.steps, zero.jacobi.alpha[0]], ['invariant', 1, 0]);
  const identity = await run(prescribedOperator(new Array<number>(20).fill(3), 1), 20);
  assert.deepEqual([identity.status, identity.steps], ['invariant', 1]);
  assert.ok(Math.abs(identity.jacobi.alpha[0]! - 3) < 1e-6);
  const scalar = await run(prescribedOperator([7], 1), 5);
  assert.deepEqual([scalar.status, scalar.steps, scalar.jacobi.alpha[0]], ['invariant', 1, 7]);
});

test('a small bulk beside a large eigenvalue is no breakdown', async () => {
  const n = 120;
  const operator = prescribedOperator(
    Array.from({ length: n }, (_, i) => (i === 0 ? 1 : 2e-5 * (1 + i / n))),
    6,
  );
  const state = await run(operator, 12);
  assert.equal(state.status, 'running');
});

test('same seed, same run; an interrupted run goes on as if it had not been', async () => {
  const n = 90;
  const operator = prescribedOperator(spectra['indefinite']!(n), 8);
  const whole = await run(operator, 30);
  const again = await run(operator, 30);
  assert.deepEqual(whole.state, again.state);

  const half = (await run(operator, 12)).state;
  const resumed = LanczosRun.restore(structuredClone(half));
  for await (const progress of lanczos(operator, [resumed])) if (progress.steps >= 30) break;
  assert.deepEqual(resumed.state, whole.state);

  assert.throws(() => LanczosRun.restore({ ...half, beta: half.beta.subarray(1) }), /state inconsistent/);
  assert.throws(() => LanczosRun.restore({ ...half, basis: half.basis.slice(1) }), /state inconsistent/);
});

test('a product that is not finite ends the run without harm to its state', async () => {
  const n = 30;
  const operator = prescribedOperator(spectra['uniform']!(n), 9);
  const failing: SymmetricOperator = {
    dimension: n,
    positiveSemidefinite: true,
    async apply(vectors) {
      const products = await operator.apply(vectors);
      if (operator.products > 6) products[0]![3] = NaN;
      return products;
    },
  };
  const state = await run(failing, 30);
  assert.equal(state.status, 'non-finite');
  assert.equal(state.steps, 6);
  assert.ok(state.jacobi.alpha.every(Number.isFinite));
});

test('runs that end early drop out of the rounds of the others', async () => {
  const n = 40;
  const columns = prescribedOperator([4, 2, 1, ...new Array<number>(n - 3).fill(0.5)], 10);
  const long = LanczosRun.from(probe(n));
  // An eigenvector as probe is invariant at once: take one by power iteration.
  let v = probe(n, 'power');
  for (let i = 0; i < 60; i++) v = (await columns.apply([v]))[0]!.map((value) => value / 4);
  const short = LanczosRun.from(v);
  const rounds: number[] = [];
  for await (const progress of lanczos(columns, [short, long])) rounds.push(progress.products);
  assert.equal(short.status, 'invariant');
  assert.ok(short.steps <= 2 && long.steps >= 4);
  assert.equal(rounds[0], 2);
  assert.equal(rounds.at(-1), 1);
});

test('probes and products of the wrong shape are refused', async () => {
  assert.throws(() => LanczosRun.from(new Float32Array(4)), /probe has no direction/);
  assert.throws(() => LanczosRun.from(Float32Array.of(1, NaN)), /probe has no direction/);
  assert.throws(() => LanczosRun.from(probe(4)).absorb(new Float32Array(3)), /product of wrong length: 3, not 4/);
  await assert.rejects(run(prescribedOperator([1, 2], 1), 2, probe(3)), /probe of wrong length: 3, not 2/);
});
