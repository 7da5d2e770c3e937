import assert from 'node:assert/strict';
import { test } from 'node:test';
import { average, exactMeasure, pooledRule, sampleStandardError, spectralMeasure, standardError } from './estimate';
import type { JacobiMatrix } from './quadrature';
import { Random } from '../random';
import { inner, naiveJacobi, randomOrthogonal } from './testing';

const n = 150;
const spectrum = Array.from({ length: n }, (_, i) => (i + 1) ** -1.2);
const f = (modulus: number) => 0.02 / (modulus + 0.02);
const columns = randomOrthogonal(n, 21);

function jacobiOfProbe(name: number): JacobiMatrix {
  const v = Random.stream(21, name).rademacher(n);
  return naiveJacobi(
    spectrum,
    Float64Array.from(columns, (q) => inner(q, v)),
    40,
  );
}

test('the standard error of one probe covers the scatter of many, and is no wild guess', () => {
  const truth = spectrum.reduce((sum, lambda) => sum + f(lambda) / n, 0);
  const errors: number[] = [];
  let claimed = 0;
  const trials = 120;
  for (let trial = 0; trial < trials; trial++) {
    const measure = spectralMeasure(n, [jacobiOfProbe(trial)]);
    errors.push((average(measure, 'gauss', f) - truth) ** 2);
    claimed += standardError(measure, f) / trials;
  }
  const actual = Math.sqrt(errors.reduce((sum, value) => sum + value, 0) / trials);
  assert.ok(actual <= 1.15 * claimed, `actual ${actual}, claimed ${claimed}`);
  assert.ok(claimed <= 1.5 * actual, `actual ${actual}, claimed ${claimed}`);
});

test('the a-priori bound is at most the simpler ones and falls with the root of the probes', () => {
  const probe = spectralMeasure(n, [jacobiOfProbe(0)]).probes[0]!;
  const { nodes, weights } = probe.gauss;
  const second = (g: (x: number) => number) => nodes.reduce((sum, x, i) => sum + weights[i]! * g(x) ** 2, 0);
  // With so many dimensions the correction for few of them is gone.
  const dimension = 1e10;
  const simple = Math.sqrt(
    (2 *
      Math.min(
        second(f),
        second((x) => 1 - f(x)),
      )) /
      dimension,
  );
  const one = standardError({ dimension, probes: [probe] }, f);
  assert.ok(one <= simple * (1 + 1e-3));
  assert.ok(Math.abs(one - standardError({ dimension, probes: [probe] }, (x) => 1 - f(x))) < 1e-9 * one);
  const four = standardError({ dimension, probes: [probe, probe, probe, probe] }, f);
  assert.ok(Math.abs(four / one - 0.5) < 1e-3);
});

test('a flat spectrum has no sampling error, and eight equal probes have none either', () => {
  assert.ok(standardError(exactMeasure([2, 2, 2]), f) < 1e-9);
  const probe = spectralMeasure(n, [jacobiOfProbe(0)]).probes[0]!;
  assert.ok(standardError({ dimension: n, probes: new Array<typeof probe>(8).fill(probe) }, f) < 1e-12);
});

test('the sample standard error has the definition times Student', () => {
  assert.equal(sampleStandardError([1]), Infinity);
  // 97.5 % quantiles of t: 2.3646 at 7, 2.1314 at 15 degrees of freedom.
  for (const [count, quantile] of [
    [8, 2.3646],
    [16, 2.1314],
  ] as const) {
    const values = Array.from({ length: count }, (_, i) => (i % 2 === 0 ? 1 : -1));
    const plain = Math.sqrt(count / (count - 1) / count);
    assert.ok(Math.abs(sampleStandardError(values) / plain - quantile / 1.96) < 2e-3);
  }
});

test('the pooled rule is the union, ascending, of mass 1', () => {
  const measure = spectralMeasure(n, [jacobiOfProbe(0), jacobiOfProbe(1)]);
  const pooled = pooledRule(measure, 'gauss');
  assert.equal(pooled.nodes.length, 80);
  assert.ok(pooled.nodes.every((node, i) => i === 0 || pooled.nodes[i - 1]! <= node));
  const mean = pooled.nodes.reduce((sum, node, i) => sum + pooled.weights[i]! * f(node), 0);
  assert.ok(Math.abs(mean - average(measure, 'gauss', f)) < 1e-14);
});
