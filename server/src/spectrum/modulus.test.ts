import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../random';
import { flatShare, modulusBounds } from './modulus';
import { gaussRule, truncate } from './quadrature';
import { inner, naiveJacobi } from './testing';

/** Some large eigenvalues and a bulk of either sign, over a random range of scales, often with zeros. */
function randomSpectrum(random: Random, dimension: number): number[] {
  const outliers = 1 + random.below(20);
  const decay = 0.5 + 1.5 * random.uniform();
  const scale = 10 ** (-4 * random.uniform());
  const spread = 2 * random.uniform();
  const negative = random.uniform();
  const rank = random.uniform() < 0.5 ? dimension : Math.ceil(random.uniform() * dimension);
  return Array.from({ length: dimension }, (_, i) => {
    const sign = random.uniform() < negative ? -1 : 1;
    if (i < outliers) return sign * 3 * (i + 1) ** -decay;
    return i < rank ? sign * scale * Math.exp(spread * random.gaussian()) : 0;
  });
}

const scales = [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10];

/** vᵀf(|A|)v of the normalised direction, term by term. */
function truth(spectrum: readonly number[], direction: Float64Array, c: number): number {
  const terms = spectrum.map((lambda, i) => (direction[i]! ** 2 * c) / (Math.abs(lambda) + c));
  return terms.reduce((sum, term) => sum + term, 0) / inner(direction, direction);
}

test('at one scale are attained by the spectra that the run cannot tell from the true one, and not exceeded', () => {
  for (let seed = 0; seed < 20; seed++) {
    const random = Random.stream(seed, 'disk');
    const steps = 1 + random.below(12);
    const { alpha, beta } = naiveJacobi(
      randomSpectrum(random, 60),
      Float64Array.from(random.gaussianVector(60)),
      steps,
    );
    // A last diagonal entry x gives the first m steps the same result, whatever it is; near the one that makes
    // the matrix singular it matters most.
    const pivot = alpha.reduce((d, a, j) => a - (j > 0 ? beta[j - 1]! ** 2 : 0) / d, 1);
    const singular = beta.at(-1)! ** 2 / pivot;
    const flatIf = (x: number, s: number): number => {
      const { nodes, weights } = gaussRule({ alpha: Float64Array.of(...alpha, x), beta: Float64Array.of(...beta, 0) });
      return nodes.reduce((sum, node, i) => sum + (weights[i]! * s * s) / (node * node + s * s), 0);
    };
    for (const s of [1e-3, 0.03, 1]) {
      const [low, high] = flatShare({ alpha, beta }, s);
      const offsets = Array.from({ length: 2000 }, (_, i) => 1e-7 * 1e14 ** (i / 1999));
      const values = offsets.flatMap((offset) => [flatIf(singular - offset, s), flatIf(singular + offset, s)]);
      const found = [Math.min(...values), Math.max(...values)] as const;
      const where = `problem ${seed}, scale ${s}: ${low} … ${high}, found ${found.join(' … ')}`;
      assert.ok(low - 1e-9 <= found[0] && found[1] <= high + 1e-9, where);
      assert.ok(found[1] - found[0] > 0.98 * (high - low) - 1e-9, where);
    }
  }
});

test('contain the truth at every depth and scale, and tighten with every step', () => {
  let widest = 0;
  let narrowest = 1;
  for (let seed = 0; seed < 200; seed++) {
    const random = Random.stream(seed, 'modulus');
    const spectrum = randomSpectrum(random, 120);
    const direction = Float64Array.from(random.gaussianVector(120));
    const jacobi = naiveJacobi(spectrum, direction, 60);
    const before = scales.map(() => 1);
    for (const depth of [1, 2, 3, 5, 9, 20, 40, 60]) {
      if (depth > jacobi.alpha.length) break;
      const bounds = modulusBounds([truncate(jacobi, depth)]);
      scales.forEach((c, i) => {
        const [low, high] = [bounds.low(c), bounds.high(c)];
        const value = truth(spectrum, direction, c);
        const where = `${value} not in ${low} … ${high}, problem ${seed}, ${depth} steps, c ${c}`;
        assert.ok(low - 1e-9 <= value && value <= high + 1e-9, where);
        // The grid of scales moves with the norm that is known so far.
        assert.ok(high - low <= before[i]! + 2e-3, `wider than ${before[i]}: ${where}`);
        before[i] = high - low;
        widest = Math.max(widest, high - low);
        narrowest = Math.min(narrowest, high - low);
      });
    }
  }
  // They say much of some and little of others: neither is by construction.
  assert.ok(widest > 0.5 && narrowest < 1e-6, `${narrowest} to ${widest}`);
});

test('are exact once the run is', () => {
  for (let seed = 0; seed < 20; seed++) {
    const random = Random.stream(seed, 'exact');
    const spectrum = [-2, -0.3, -1e-3, 0, 1e-4, 0.2, 1];
    const direction = Float64Array.from(random.gaussianVector(7));
    const bounds = modulusBounds([naiveJacobi(spectrum, direction, 7)]);
    for (const c of [1e-10, 1e-9, 1e-8, 1e-7, 1e-6, ...scales]) {
      const value = truth(spectrum, direction, c);
      const [low, high] = [bounds.low(c), bounds.high(c)];
      assert.ok(low <= value && value <= high, `${value} not in ${low} … ${high} at ${c}`);
      // Scales below 10⁻¹³ of the norm are not looked at, which shows at the smallest c.
      assert.ok(high - low < 4e-7 + 1e-12 / c, `${low} … ${high} at ${c}`);
    }
  }
});

test('one eigenvalue: the average over scales is the formula, whatever the units', () => {
  for (const lambda of [1, -1, -7e-30, 3e20]) {
    const bounds = modulusBounds([{ alpha: Float64Array.of(lambda), beta: Float64Array.of(0) }]);
    for (const c of [1e-10, 1e-9, 1e-8, 1e-7, 1e-6, ...scales].map((scale) => scale * Math.abs(lambda))) {
      const value = c / (Math.abs(lambda) + c);
      assert.ok(
        bounds.low(c) <= value && value <= bounds.high(c),
        `${value} not in ${bounds.low(c)} … ${bounds.high(c)}`,
      );
      assert.ok(Math.abs(bounds.low(c) - value) < 3e-7, `${bounds.low(c)} for ${value}`);
      assert.ok(Math.abs(bounds.high(c) - value) < 3e-7, `${bounds.high(c)} for ${value}`);
    }
    assert.equal(bounds.high(Infinity), 1);
  }
});

test('of several probes bound the mean', () => {
  const random = Random.stream(5, 'several');
  const spectrum = randomSpectrum(random, 90);
  const directions = Array.from({ length: 3 }, () => Float64Array.from(random.gaussianVector(90)));
  const jacobis = directions.map((direction) => naiveJacobi(spectrum, direction, 30));
  const together = modulusBounds(jacobis);
  const single = jacobis.map((jacobi) => modulusBounds([jacobi]));
  for (const c of scales) {
    const mean = directions.reduce((sum, direction) => sum + truth(spectrum, direction, c) / 3, 0);
    assert.ok(together.low(c) - 1e-9 <= mean && mean <= together.high(c) + 1e-9);
    // The grids differ in their unit, the norm.
    const low = single.reduce((sum, bounds) => sum + bounds.low(c) / 3, 0);
    assert.ok(Math.abs(together.low(c) - low) < 1e-3);
  }
});

test('nothing that curves, and nothing known', () => {
  const flat = modulusBounds([{ alpha: Float64Array.of(0), beta: Float64Array.of(0) }]);
  assert.equal(flat.low(1e-3), 1);
  assert.throws(() => modulusBounds([]), /at least one Lanczos step/);
  assert.throws(() => modulusBounds([{ alpha: new Float64Array(0), beta: new Float64Array(0) }]), /at least one/);
});
