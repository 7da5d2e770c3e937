import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exactMeasure, ruleBounds, spectralMeasure, spectralWeight, type SpectralMeasure } from '../spectrum/estimate';
import { Random } from '../random';
import { modulusBounds } from '../spectrum/modulus';
import { naiveJacobi } from '../spectrum/testing';
import {
  curvatureScale,
  pruningLimit,
  sharpKeep,
  spectralLimit,
  statisticalDimension,
  traceBound,
  transitionHalfWidth,
  type LimitInput,
} from './limit';
import { Magnitudes } from './magnitudes';

const close = (actual: number, expected: number, tolerance: number, what = '') =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what} ${actual} instead of ${expected}`);

const gaussianWeights = (count: number, name: string | number) =>
  Magnitudes.of([Random.stream(31, name).gaussianVector(count)]);

/** δ/D of known eigenvalues, from the definition: semi-axes r_i² = 2ε/|λ_i|. */
function naiveDimension(eigenvalues: readonly number[], epsilon: number, squaredRadius: number): number {
  const terms = eigenvalues.map((lambda) => {
    const axis = (2 * epsilon) / Math.abs(lambda);
    return axis === Infinity ? 1 : axis / (squaredRadius + axis);
  });
  return terms.reduce((sum, term) => sum + term, 0) / terms.length;
}

function input(measure: SpectralMeasure, magnitudes: LimitInput['magnitudes'], epsilon: number): LimitInput {
  const trace = { value: 1, standardError: 0.1 };
  return { operator: 'ggn', measure, magnitudes, epsilon, eta: 0.05, tolerance: 0.01, trace };
}

/** Spectra of several kinds, seeded; not negative. */
function randomSpectrum(seed: number, count: number): number[] {
  const random = Random.stream(seed, 'spectrum');
  const kind = seed % 3;
  const [decay, share, scale] = [0.3 + 2 * random.uniform(), 0.02 + 0.3 * random.uniform(), 10 ** random.gaussian()];
  return Array.from({ length: count }, (_, i) => {
    if (kind === 0) return scale * (i + 1) ** -decay;
    if (kind === 1) return scale * (random.uniform() < share ? 1 + random.uniform() : 1e-3 * random.uniform());
    return scale * Math.exp(3 * random.gaussian());
  });
}

const ball = exactMeasure(new Array<number>(300).fill(1));
const powerLaw = exactMeasure(Array.from({ length: 300 }, (_, i) => (i + 1) ** -1.5));
const twoLevels = exactMeasure(Array.from({ length: 300 }, (_, i) => (i < 15 ? 10 : 1e-3)));

/** Spectra, tolerance, distance; kept fraction by the paper's formula and by the sharp one. */
const table = [
  { name: 'ball', measure: ball, epsilon: 0.5, R: 2, paper: 0.8, sharp: 0.75 },
  { name: 'i^-1.5', measure: powerLaw, epsilon: 0.01, R: 2, paper: 0.198, sharp: 0.012 },
  { name: '5 % at 10, ε 0.05', measure: twoLevels, epsilon: 0.05, R: 1, paper: 0.059, sharp: 0.04 },
  { name: '5 % at 10, ε 0.01', measure: twoLevels, epsilon: 0.01, R: 2, paper: 0.208, sharp: 0.061 },
];

test('the phase transition’s table: the paper’s limit and the sharp one at a fixed distance', () => {
  for (const { name, measure, epsilon, R, paper, sharp } of table) {
    close(1 - spectralLimit(ruleBounds(measure).low, epsilon, () => R * R), paper, 5e-4, name);
    close(
      sharpKeep(measure, 'gauss', epsilon, () => R * R),
      sharp,
      6e-4,
      name,
    );
  }
});

/**
 * The smallest k at which a random k-dimensional subspace through a point at
 * distance R, in a random direction, meets the ellipsoid Σ λ_i w_i²/2 ≤ ε: least
 * squares, one basis vector more at a time by Gram–Schmidt.
 */
function feasibleDimension(eigenvalues: Float64Array, epsilon: number, R: number, random: Random): number {
  const D = eigenvalues.length;
  const draw = () => Float64Array.from({ length: D }, () => random.gaussian());
  const product = (x: Float64Array, y: Float64Array) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  const u = draw();
  const scale = R / Math.sqrt(product(u, u));
  const residual = u.map((value, i) => Math.sqrt(eigenvalues[i]!) * scale * value);
  const basis: Float64Array[] = [];
  while (product(residual, residual) / 2 > epsilon) {
    const q = draw().map((value, i) => Math.sqrt(eigenvalues[i]!) * value);
    for (let pass = 0; pass < 2; pass++) {
      for (const other of basis) {
        let h = 0;
        for (let i = 0; i < D; i++) h += other[i]! * q[i]!;
        for (let i = 0; i < D; i++) q[i]! -= h * other[i]!;
      }
    }
    const norm = Math.sqrt(product(q, q));
    for (let i = 0; i < D; i++) q[i]! /= norm;
    const h = product(q, residual);
    for (let i = 0; i < D; i++) residual[i]! -= h * q[i]!;
    basis.push(q);
  }
  return basis.length;
}

test('simulated random subspaces turn feasible at the sharp limit', () => {
  for (const { name, measure, epsilon, R } of table) {
    const eigenvalues = measure.probes[0]!.gauss.nodes;
    const random = Random.stream(8, name);
    const trials = Array.from({ length: 31 }, () => feasibleDimension(eigenvalues, epsilon, R, random));
    const median = trials.sort((a, b) => a - b)[15]! / eigenvalues.length;
    close(
      median,
      sharpKeep(measure, 'gauss', epsilon, () => R * R),
      0.02,
      name,
    );
  }
});

test('a flat spectrum has the closed form', () => {
  // λ = ℓ and all weights ±a: R² = s·D·a², so s = c/(ℓ + c) with c = 2ε/(s·D·a²) is a quadratic equation.
  const [D, level, a, epsilon] = [400, 0.7, 0.05, 0.02];
  const magnitudes = Magnitudes.of([Float32Array.from({ length: D }, (_, i) => (i % 2 ? a : -a))]);
  const g = (2 * epsilon) / (D * Math.fround(a) ** 2);
  const expected = (-g + Math.sqrt(g * g + 4 * level * g)) / (2 * level);
  const measure = exactMeasure(new Array<number>(D).fill(level));
  const result = pruningLimit(input(measure, magnitudes, epsilon));
  close(result.sparsity, expected, 1e-12);
  close(result.keep, 1 - expected, 1e-12);
  close(result.traceBound, expected, 1e-12, 'trace bound of a flat spectrum is the limit itself');
  // Sharp: α = ℓ/(ℓ + c/α) is α = 1 − c/ℓ with c = g/(1 − α), so (1 − α)² = g/ℓ.
  close(result.sharp, Math.sqrt(g / level), 1e-12);
  assert.ok(result.standardError < 1e-9 && result.resolved);
  close(result.R ** 2, expected * D * Math.fround(a) ** 2, 1e-9);
});

test('bisection finds the crossing that a scan over all integer k finds', () => {
  for (let seed = 0; seed < 12; seed++) {
    const D = 300 + seed;
    const eigenvalues = randomSpectrum(seed, D);
    const magnitudes = gaussianWeights(D, seed);
    const epsilon = 10 ** Random.stream(seed, 'epsilon').gaussian();
    const s = spectralLimit(ruleBounds(exactMeasure(eigenvalues)).low, epsilon, (at) => magnitudes.squaredRadius(at));
    let most = 0;
    for (let pruned = 0; pruned <= D; pruned++) {
      const dimension = naiveDimension(eigenvalues, epsilon, magnitudes.squaredRadius(pruned / D));
      if (pruned / D <= dimension) most = pruned;
    }
    assert.equal(magnitudes.keptCount(s), D - most, `seed ${seed}`);
  }
});

test('the sharp limit solves its equation, and is 0 when no weight is needed', () => {
  const eigenvalues = randomSpectrum(0, 300);
  const measure = exactMeasure(eigenvalues);
  const magnitudes = gaussianWeights(300, 'sharp');
  const squaredRadius = (s: number) => magnitudes.squaredRadius(s);
  for (const epsilon of [1e-3, 0.1, 1]) {
    const alpha = sharpKeep(measure, 'gauss', epsilon, squaredRadius);
    const c = (2 * epsilon) / squaredRadius(1 - alpha);
    const right = eigenvalues.reduce((sum, lambda) => sum + lambda / (lambda + c / alpha), 0) / 300;
    close(right, alpha, 1e-12);
    assert.ok(alpha <= 1 - spectralLimit(ruleBounds(measure).low, epsilon, squaredRadius));
  }
  const trace = eigenvalues.reduce((sum, lambda) => sum + lambda, 0) / 300;
  const enough = (trace * squaredRadius(1)) / 2;
  assert.equal(sharpKeep(measure, 'gauss', 1.001 * enough, squaredRadius), 0);
  assert.ok(sharpKeep(measure, 'gauss', 0.99 * enough, squaredRadius) > 0);
});

test('the bounds of the phase transition solve their own equations, from the far ends', () => {
  const D = 3000;
  const epsilon = 5;
  const eigenvalues = randomSpectrum(3, D);
  const magnitudes = gaussianWeights(D, 'bounds');
  // ε puts the crossing inside, a large η the bounds.
  // As if it came from a probe, so that there is a sampling error.
  const measure = { ...exactMeasure(eigenvalues), isExact: false };
  const result = pruningLimit({ ...input(measure, magnitudes, epsilon), eta: 0.9 });
  const width = transitionHalfWidth(0.9, D);
  close(width, Math.sqrt(8 * Math.log(4 / 0.9)) / Math.sqrt(D), 1e-15);
  const gap = (keep: number) => 1 - keep - naiveDimension(eigenvalues, epsilon, magnitudes.squaredRadius(1 - keep));
  assert.ok(result.lower > 0 && result.upper < 1, `${result.lower} ${result.upper}`);
  assert.ok(result.standardError > 0);
  // Beyond the transition by what the sampling error adds.
  assert.ok(gap(result.lower) >= width && gap(result.lower) < 1.5 * width);
  assert.ok(gap(result.upper) <= -width && gap(result.upper) > -1.5 * width);
  assert.ok(result.lower < 1 - result.interval[1] && 1 - result.interval[0] < result.upper);
});

test('degenerate cases have defined answers and never NaN', () => {
  const D = 50;
  const weights = Float32Array.from({ length: D }, (_, i) => (i < 15 ? 0 : 0.1 + i));
  const some = Magnitudes.of([weights]);
  const zero = Magnitudes.of([new Float32Array(D)]);
  const curved = exactMeasure(Array.from({ length: D }, (_, i) => 1 + i));
  const flat = exactMeasure(new Array<number>(D).fill(0));
  const halfFlat = exactMeasure(Array.from({ length: D }, (_, i) => (i < 25 ? 0 : 1)));
  const finite = (result: ReturnType<typeof pruningLimit>) => {
    const { sparsity, keep, lower, upper, bracket, interval, standardError, traceBound: bound, sharp, R } = result;
    const numbers = [sparsity, keep, lower, upper, ...bracket, ...interval, standardError, bound, sharp, R];
    assert.ok(numbers.every(Number.isFinite), numbers.join());
    return result;
  };
  for (const epsilon of [0, 1]) {
    // No weights: nothing is lost by pruning them.
    assert.equal(finite(pruningLimit(input(curved, zero, epsilon))).sparsity, 1);
    // No curvature: the loss does not change.
    const free = finite(pruningLimit(input(flat, some, epsilon)));
    assert.deepEqual([free.sparsity, free.sharp, free.traceBound, free.keep], [1, 1, 1, 0]);
  }
  // No tolerance: only what is zero already, or as much as is exactly flat.
  close(finite(pruningLimit(input(curved, some, 0))).sparsity, 15 / D, 1e-12);
  close(finite(pruningLimit(input(halfFlat, some, 0))).sparsity, 25 / D, 1e-12);
  assert.equal(curvatureScale(0, 0), Infinity);
  assert.deepEqual([spectralWeight(0, 0), spectralWeight(1, 0), spectralWeight(1, Infinity)], [1, 0, 1]);
  // A tolerance beyond measure.
  close(finite(pruningLimit(input(curved, some, 1e12))).sparsity, 1, 1e-3);
});

test('requests that make no sense are refused', () => {
  const magnitudes = gaussianWeights(300, 'bad');
  assert.throws(() => pruningLimit(input(ball, magnitudes, -1)), /epsilon out of range: -1/);
  assert.throws(() => pruningLimit(input(ball, magnitudes, NaN)), /epsilon out of range/);
  assert.throws(() => pruningLimit({ ...input(ball, magnitudes, 1), eta: 0 }), /eta out of range: 0/);
  assert.throws(() => pruningLimit(input(ball, gaussianWeights(299, 'x'), 1)), /spectrum of 300 weights.* of 299/);
  assert.throws(() => pruningLimit(input({ dimension: 300, probes: [] }, magnitudes, 1)), /spectrum unknown/);
});

/** One probe of a random rotation of `eigenvalues`, after `steps` products. */
function probed(eigenvalues: readonly number[], seed: number, steps: number): SpectralMeasure {
  // Qᵀv of a random rotation Q is a random direction.
  const direction = Float64Array.from(Random.stream(seed, 'direction').gaussianVector(eigenvalues.length));
  return spectralMeasure(eigenvalues.length, [naiveJacobi(eigenvalues, direction, steps)]);
}

test('over random spectra the interval contains the dense truth', () => {
  const trials = 120;
  let inside = 0;
  let informative = 0;
  for (let seed = 0; seed < trials; seed++) {
    const D = 200 + (seed % 7) * 30;
    const eigenvalues = randomSpectrum(seed, D);
    const magnitudes = gaussianWeights(D, seed);
    const mean = eigenvalues.reduce((sum, lambda) => sum + lambda, 0) / D;
    // ε in units of the loss that pruning half of the weights costs on average.
    const epsilon = ((mean * magnitudes.squaredRadius(0.5)) / 2) * 10 ** Random.stream(seed, 'ε').gaussian();
    const result = pruningLimit(input(probed(eigenvalues, seed, 3 + (seed % 20)), magnitudes, epsilon));
    const truth = spectralLimit(ruleBounds(exactMeasure(eigenvalues)).low, epsilon, (s) => magnitudes.squaredRadius(s));
    if (result.interval[0] <= truth && truth <= result.interval[1]) inside++;
    if (result.interval[1] - result.interval[0] < 0.25) informative++;
    assert.ok(result.interval[0] <= result.bracket[0] && result.bracket[1] <= result.interval[1]);
    assert.ok(result.traceBound <= result.bracket[0] + 1e-12, `trace bound of ${seed}`);
    assert.ok(result.lower <= 1 - result.interval[1] && 1 - result.interval[0] <= result.upper);
    assert.ok(result.sharp >= result.bracket[0] - 1e-12, `sharp limit of ${seed}`);
    assert.equal(result.resolved, result.interval[1] - result.interval[0] <= 0.01);
  }
  assert.ok(inside >= 0.93 * trials, `${inside} of ${trials}`);
  // An interval that is everything would contain the truth too.
  assert.ok(informative >= 0.8 * trials, `${informative} of ${trials}`);
});

test('the standard error of the limit is what repeated probes scatter by', () => {
  const D = 300;
  const eigenvalues = randomSpectrum(2, D);
  const magnitudes = gaussianWeights(D, 'scatter');
  const results = Array.from({ length: 80 }, (_, seed) =>
    pruningLimit(input(probed(eigenvalues, seed, 60), magnitudes, 20)),
  );
  const mean = results.reduce((sum, { sparsity }) => sum + sparsity / 80, 0);
  const scatter = Math.sqrt(results.reduce((sum, { sparsity }) => sum + (sparsity - mean) ** 2, 0) / 79);
  const claimed = results.reduce((sum, { standardError }) => sum + standardError / 80, 0);
  assert.ok(scatter < 1.25 * claimed && claimed < 1.5 * scatter, `${scatter} against ${claimed}`);
});

test('for an indefinite operator the bracket is where the given bounds cross', () => {
  const D = 250;
  const eigenvalues = randomSpectrum(2, D).map((lambda, i) => (i % 3 === 0 ? -lambda : lambda));
  const direction = Float64Array.from(Random.stream(1, 'direction').gaussianVector(D));
  const jacobi = naiveJacobi(eigenvalues, direction, 12);
  const measure = spectralMeasure(D, [jacobi]);
  const bounds = modulusBounds([jacobi]);
  const magnitudes = gaussianWeights(D, 'hull');
  const { bracket, sparsity, curvature } = pruningLimit({
    ...input(measure, magnitudes, 2),
    operator: 'hessian',
    bounds,
  });
  const at = (s: number) => curvatureScale(2, magnitudes.squaredRadius(s));
  // R² has a kink at every weight, and the bounds none.
  close(bounds.low(at(bracket[0])), bracket[0], 1e-9);
  close(bounds.high(at(bracket[1])), bracket[1], 1e-9);
  assert.equal(sparsity, (bracket[0] + bracket[1]) / 2);
  assert.ok(curvature.lambdaMin < 0);
  assert.equal(curvature.steps, 12);
  assert.equal(curvature.probes, 1);
  close(
    curvature.weights.reduce((sum, weight) => sum + weight, 0),
    1,
    1e-12,
  );
  assert.equal(statisticalDimension(measure, 'gauss', Infinity).toFixed(12), '1.000000000000');
  assert.ok(traceBound(1, 1, () => 2) === 0.5);
});
