import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lanczos, LanczosRun } from './lanczos';
import { gaussRule, integrate, radauRule, truncate, type JacobiMatrix } from './quadrature';
import { Random } from '../random';
import { inner, naiveJacobi, prescribedOperator, type PrescribedOperator } from './testing';

const sum = (values: Float64Array) => values.reduce((total, value) => total + value, 0);

async function jacobiOf(operator: PrescribedOperator, steps: number, start: Float32Array): Promise<JacobiMatrix> {
  const run = LanczosRun.from(start);
  for await (const progress of lanczos(operator, [run])) if (progress.steps >= steps) break;
  return run.jacobi;
}

/** Every depth, lower and upper, against the dense truth. `slack` is what float32 products blur. */
async function checkBracket(eigenvalues: number[], seed: number, c: number, slack: number, steps: number) {
  const n = eigenvalues.length;
  const operator = prescribedOperator(eigenvalues, seed);
  const start = Random.stream(seed, 'probe').rademacher(n);
  const jacobi = await jacobiOf(operator, steps, start);
  const f = (modulus: number) => c / (modulus + c);
  const truth = operator.quadraticForm(start, f) / n;
  let [low, high] = [0, 1];
  for (let depth = 1; depth <= jacobi.alpha.length; depth++) {
    const gauss = gaussRule(truncate(jacobi, depth));
    const radau = radauRule(truncate(jacobi, depth));
    for (const rule of [gauss, radau]) {
      assert.ok(Math.abs(sum(rule.weights) - 1) < 1e-12);
      assert.ok(rule.nodes.every((node, i) => i === 0 || rule.nodes[i - 1]! <= node));
    }
    assert.ok(radau.nodes.includes(0));
    const [lower, upper] = [integrate(gauss, f), integrate(radau, f)];
    assert.ok(lower <= truth + slack && truth <= upper + slack, `${depth}: ${lower} ${truth} ${upper}`);
    assert.ok(lower >= low - slack && upper <= high + slack, `${depth}: not monotone`);
    [low, high] = [lower, upper];
  }
  return { low, high, truth };
}

test('Gauss and Radau bracket the truth at every depth, monotonically', async () => {
  for (let seed = 0; seed < 4; seed++) {
    const n = 160;
    const random = Random.stream(seed, 'decay');
    const decay = 0.5 + 2 * random.uniform();
    const eigenvalues = Array.from({ length: n }, (_, i) => (i + 1) ** -decay * (0.5 + random.uniform()));
    const { low, high } = await checkBracket(eigenvalues, seed, 1e-2, 2e-6, 80);
    assert.ok(high - low < 1e-3, `${seed}: ${low} … ${high}`);
  }
});

test('the bracket survives and closes where the null space has converged to float32 noise', async () => {
  const n = 200;
  for (const rank of [3, 20, 60]) {
    const eigenvalues = Array.from({ length: n }, (_, i) => (i < rank ? (i + 1) ** -2 : 0));
    const { low, high } = await checkBracket(eigenvalues, rank, 1e-3, 1e-4, 120);
    assert.ok(high - low < 2e-4, `rank ${rank}: ${low} … ${high}`);
  }
});

test('zeros that noise turned negative cost the bound no more than noise over c', () => {
  const [n, rank, c] = [300, 20, 1e-3];
  for (const noise of [1e-8, 1e-7, 1e-6]) {
    const random = Random.stream(6, 'noise');
    const eigenvalues = Array.from({ length: n }, (_, i) => (i < rank ? (i + 1) ** -2 : noise * random.gaussian()));
    const z = Float64Array.from(random.gaussianVector(n));
    const jacobi = naiveJacobi(eigenvalues, z, 60);
    const f = (modulus: number) => c / (modulus + c);
    const meant = eigenvalues.map((lambda, i) => (i < rank ? f(lambda) : 1));
    const truth =
      inner(
        meant,
        z.map((value) => value * value),
      ) / inner(z, z);
    for (let depth = 1; depth <= jacobi.alpha.length; depth++) {
      const upper = integrate(radauRule(truncate(jacobi, depth)), f);
      assert.ok(upper >= truth - (5 * noise) / c, `depth ${depth}, noise ${noise}: ${upper} below ${truth}`);
    }
    assert.ok(integrate(radauRule(jacobi), f) - truth < (5 * noise) / c + 1e-9);
  }
});

test('a Gauss rule of m nodes is exact to degree 2m − 1, Radau with m free nodes to 2m', async () => {
  const n = 60;
  const operator = prescribedOperator(
    Array.from({ length: n }, (_, i) => (i + 1) / n),
    1,
  );
  const start = Random.stream(1, 'v').rademacher(n);
  const depth = 4;
  const jacobi = await jacobiOf(operator, depth, start);
  const moment = (power: number) => operator.quadraticForm(start, (lambda) => lambda ** power) / n;
  for (let power = 0; power <= 2 * depth; power++) {
    const f = (modulus: number) => modulus ** power;
    if (power < 2 * depth) assert.ok(Math.abs(integrate(gaussRule(jacobi), f) - moment(power)) < 1e-6);
    assert.ok(Math.abs(integrate(radauRule(jacobi), f) - moment(power)) < 1e-6, `Radau at ${power}`);
  }
  const beyond = Math.abs(integrate(gaussRule(jacobi), (modulus) => modulus ** (2 * depth)) - moment(2 * depth));
  assert.ok(beyond > 1e-6, 'one degree more is not exact');
});

test('T with an eigenvalue at the pinned node falls back instead of degenerating', () => {
  // T = [[1, 1], [1, 1]] is singular; with β = 1 the pinning entry would be infinite.
  const singular: JacobiMatrix = { alpha: Float64Array.of(1, 1), beta: Float64Array.of(1, 1) };
  const f = (modulus: number) => 0.1 / (modulus + 0.1);
  const rule = radauRule(singular);
  assert.deepEqual(rule, radauRule(truncate(singular, 1)));
  assert.notEqual(integrate(rule, f), integrate(gaussRule(singular), f));

  // Without any usable depth the rule is the node 0 alone: f(0), the trivial bound.
  const hollow = radauRule({ alpha: Float64Array.of(0), beta: Float64Array.of(1) });
  assert.deepEqual([Array.from(hollow.nodes), Array.from(hollow.weights)], [[0], [1]]);

  // Close to singular, from both sides, the value is continuous where it is accepted.
  const near = (shift: number) => ({ alpha: Float64Array.of(1, 1 + shift), beta: Float64Array.of(1, 1) });
  const above = integrate(radauRule(near(1e-5)), f);
  const below = integrate(radauRule(near(-1e-5)), f);
  assert.ok(Math.abs(above - below) < 1e-4);
});

test('β = 0 and an empty matrix', () => {
  const exact: JacobiMatrix = { alpha: Float64Array.of(2, 0), beta: Float64Array.of(1, 0) };
  assert.deepEqual(radauRule(exact), gaussRule(exact));
  const empty: JacobiMatrix = { alpha: new Float64Array(0), beta: new Float64Array(0) };
  assert.equal(gaussRule(empty).nodes.length, 0);
  assert.deepEqual(Array.from(radauRule(empty).nodes), [0]);
});

test('an indefinite spectrum enters by its moduli', async () => {
  const n = 80;
  const eigenvalues = Array.from({ length: n }, (_, i) => (i % 2 === 0 ? 1 : -1) / (i + 1));
  const operator = prescribedOperator(eigenvalues, 3);
  const start = Random.stream(3, 'v').rademacher(n);
  const jacobi = await jacobiOf(operator, n, start);
  const f = (modulus: number) => 0.05 / (modulus + 0.05);
  const truth = operator.quadraticForm(start, (lambda) => f(Math.abs(lambda))) / n;
  assert.ok(Math.abs(integrate(gaussRule(jacobi), f) - truth) < 1e-5);
});
