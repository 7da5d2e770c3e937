import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Interval } from '../../../protocol/analysis';
import { Random } from '../random';
import { eigenvalues } from '../spectrum/dense';
import { exactMeasure, ruleBounds } from '../spectrum/estimate';
import { spectralLimit, traceBound } from './limit';
import { Magnitudes } from './magnitudes';
import { NestedSizes, type PartLimit, type SizeLimits } from './sample-size';

/** Sizes that keep what `keep` says at n/8, n/4, n/2 and n of 800 samples, known to `width` relatively. */
function sizesOf(keep: (samples: number) => number, width = 0, standardError = 0): SizeLimits[] {
  return [100, 200, 400, 800].map((samples) => {
    const value = keep(samples);
    const part: PartLimit = { keep: [value * (1 - width), value * (1 + width)], standardError: value * standardError };
    return { samples, parts: new Array<PartLimit>(800 / samples).fill(part) };
  });
}

const close = (actual: Interval, expected: Interval) =>
  actual.forEach((end, i) => assert.ok(Math.abs(end / expected[i]! - 1) < 1e-9, `${actual.join()} ${expected.join()}`));

test('without errors, more samples keep between what all keep and a power law through the two largest sizes', () => {
  const sizes = new NestedSizes(
    sizesOf((n) => 0.01 * Math.log(n)),
    1,
  );
  const [half, all] = [0.01 * Math.log(400), 0.01 * Math.log(800)];
  close(sizes.beyond(800), [all, all]);
  close(sizes.beyond(6400), [all, all * (all / half) ** 3]);
  assert.deepEqual(
    sizes.heldBack().map(({ from, samples, covered }) => [from, samples, covered]),
    [
      [200, 400, true],
      [200, 800, true],
      [400, 800, true],
    ],
  );
  close(sizes.heldBack()[1]!.keep, [0.01 * Math.log(200), 0.01 * Math.log(200) * (Math.log(200) / Math.log(100)) ** 2]);
});

test('what keeps more and more, or less than before, is not covered unless the errors say that it may be', () => {
  const rising = (n: number) => 0.01 + 1e-8 * n ** 2;
  const covered = (sizes: SizeLimits[]) => new NestedSizes(sizes, 1).heldBack().map((held) => held.covered);
  assert.deepEqual(covered(sizesOf(rising)), [false, false, false]);
  assert.deepEqual(covered(sizesOf(rising, 0.1)), [true, true, true]);
  const turning = (n: number) => (n === 800 ? 0.02 : 0.01 * n ** 0.3);
  assert.deepEqual(covered(sizesOf(turning)), [true, false, false]);
  // An operator whose limit rises steadily goes on as a power law too.
  assert.deepEqual(covered(sizesOf((n) => n ** -0.3)), [true, true, true]);
  const [low, high] = new NestedSizes(
    sizesOf((n) => n ** -0.3),
    1,
  ).beyond(6400);
  close([low, high], [6400 ** -0.3, 800 ** -0.3]);
});

test('brackets count at their worst, the errors of the probes as those of means', () => {
  const power = (n: number) => 0.001 * n ** 0.5;
  close(new NestedSizes(sizesOf(power, 0.01), 1).beyond(3200), [
    power(800) * 0.99,
    // The exponent over three doublings is the surest.
    power(3200) * (1.01 ** (5 / 3) / 0.99 ** (2 / 3)),
  ]);
  const { interval } = new NestedSizes(sizesOf(power, 0, 0.01), 1).at(0, 1e9);
  close(interval, [power(100) * Math.exp(-0.0196 / Math.sqrt(8)), power(100) * Math.exp(0.0196 / Math.sqrt(8))]);
});

test('parts that do not make up each other are refused', () => {
  const [smallest, ...others] = sizesOf(() => 0.1);
  assert.throws(() => new NestedSizes(others.slice(0, 2), 1), RangeError);
  assert.throws(() => new NestedSizes([{ ...smallest!, parts: smallest!.parts.slice(1) }, ...others], 1), RangeError);
});

/** Order of the matrices of the random problems, and samples there are. */
const D = 32;
const POPULATION = 2048;
const SAMPLES = 256;
const SMALLEST = 32;

/**
 * A quadratic loss that is a mean over samples, Σ τᵢ(xᵢᵀw)²/2n: xᵢ normal with a
 * spectrum that decays, τᵢ of few samples much larger than of most, as those of
 * which a network is not sure. The limit of every subset is known from its eigenvalues.
 */
function problem(seed: number) {
  const random = Random.stream(seed, 'population');
  const decay = 0.5 + 1.5 * random.uniform();
  const tail = 0.5 + random.uniform();
  const samples = Array.from({ length: POPULATION }, () => {
    const size = Math.exp(tail * random.gaussian());
    return Float64Array.from({ length: D }, (_, i) => size * (i + 1) ** -decay * random.gaussian());
  });
  const magnitudes = Magnitudes.of([Float32Array.from({ length: D }, () => -Math.log(1 - random.uniform()))]);
  const epsilon = 10 ** (-2.5 + 2 * random.uniform());
  const squaredRadius = (s: number) => magnitudes.squaredRadius(s);
  const second = (first: number, end: number) => {
    const entries = new Float64Array(D * D);
    for (const x of samples.slice(first, end)) {
      for (let i = 0; i < D; i++) for (let j = 0; j < D; j++) entries[i * D + j]! += (x[i]! * x[j]!) / (end - first);
    }
    return entries;
  };
  const of = (entries: Float64Array) => {
    const moduli = eigenvalues({ dimension: D, entries, noise: 0 }).map((x) => Math.max(0, x));
    const dimension = ruleBounds(exactMeasure(moduli)).low;
    return 1 - spectralLimit(dimension, epsilon, squaredRadius);
  };
  const trace = (entries: Float64Array) => entries.reduce((sum, x, i) => (i % (D + 1) === 0 ? sum + x : sum), 0);
  const count = SAMPLES / SMALLEST;
  let parts = Array.from({ length: count }, (_, i) => second(i * SMALLEST, (i + 1) * SMALLEST));
  const traces = parts.map(trace);
  const sizes: SizeLimits[] = [];
  for (;;) {
    const limits = parts.map((part): PartLimit => ({ keep: [of(part), of(part)], standardError: 0 }));
    sizes.push({ samples: SAMPLES / parts.length, parts: limits });
    if (parts.length === 1) break;
    const next = parts.length / 2;
    parts = Array.from({ length: next }, (_, i) => parts[2 * i]!.map((x, at) => (x + parts[2 * i + 1]![at]!) / 2));
  }
  const bound = (t: number) => 1 - traceBound(t / D, epsilon, squaredRadius);
  return { sizes, traces, truth: of(second(0, POPULATION)), bound };
}

const PROBLEMS = 100;

test('the interval for eight times as many samples contains the truth in 93 % of random problems or more', (t) => {
  let [inside, underTrace, atSize, heldBack, width, open] = [0, 0, 0, 0, 0, 0];
  for (let seed = 0; seed < PROBLEMS; seed++) {
    const { sizes, traces, truth, bound } = problem(seed);
    const known = new NestedSizes(sizes, seed);
    const [low, high] = known.beyond(POPULATION);
    if (low <= truth && truth <= high) inside++;
    const cap = bound(known.traceAtMost(traces.map((value) => ({ value, standardError: 0 }))));
    if (truth <= cap) underTrace++;
    const { interval } = known.at(sizes.length - 1, POPULATION);
    if (interval[0] <= truth) atSize++;
    if (known.heldBack().every(({ covered }) => covered)) heldBack++;
    width += (high - low) / truth / PROBLEMS;
    open += (cap - low) / truth / PROBLEMS;
  }
  t.diagnostic(`${inside} inside, ${underTrace} under the trace bound, ${atSize} keep as much, ${heldBack} covered`);
  t.diagnostic(`mean width ${width.toFixed(3)} of what is kept, ${open.toFixed(3)} with the trace bound`);
  assert.ok(inside >= 0.93 * PROBLEMS && underTrace >= 0.93 * PROBLEMS && atSize >= 0.93 * PROBLEMS);
  assert.ok(heldBack >= 0.9 * PROBLEMS && width < open, `${heldBack}, ${width} of ${open}`);
});
