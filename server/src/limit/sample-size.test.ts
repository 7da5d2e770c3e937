import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Interval } from '../../../protocol/analysis';
import { Random } from '../random';
import { Magnitudes } from './magnitudes';
import { NestedSizes, type PartLimit, type SizeLimits } from './sample-size';
import { QuadraticLoss, type QuadraticSample } from './testing';

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
  const sizes = new NestedSizes(sizesOf((n) => 0.01 * Math.log(n)));
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
  const covered = (sizes: SizeLimits[]) => new NestedSizes(sizes).heldBack().map((held) => held.covered);
  assert.deepEqual(covered(sizesOf(rising)), [false, false, false]);
  // Of one doubling, of a tenth, nothing is told by values this uncertain.
  assert.deepEqual(covered(sizesOf(rising, 0.1)), [null, true, true]);
  const turning = (n: number) => (n === 800 ? 0.02 : 0.01 * n ** 0.3);
  assert.deepEqual(covered(sizesOf(turning)), [true, false, false]);
  // An operator whose limit rises steadily goes on as a power law too.
  assert.deepEqual(covered(sizesOf((n) => n ** -0.3)), [true, true, true]);
  const [low, high] = new NestedSizes(sizesOf((n) => n ** -0.3)).beyond(6400);
  close([low, high], [6400 ** -0.3, 800 ** -0.3]);
});

test('brackets count at their worst, the errors of the probes as those of means', () => {
  const power = (n: number) => 0.001 * n ** 0.5;
  close(new NestedSizes(sizesOf(power, 0.01)).beyond(3200), [
    power(800) * 0.99,
    // The exponent over three doublings is the surest.
    power(3200) * (1.01 ** (5 / 3) / 0.99 ** (2 / 3)),
  ]);
  const { interval } = new NestedSizes(sizesOf(power, 0, 0.01)).at(0, 1e9);
  close(interval, [power(100) * Math.exp(-0.0196 / Math.sqrt(8)), power(100) * Math.exp(0.0196 / Math.sqrt(8))]);
});

test('where all samples were chosen, only smaller sizes depend on how they were cut', () => {
  const [, half, all] = sizesOf(() => 0.1);
  const quarters = [0.08, 0.1, 0.12, 0.1].map((k): PartLimit => ({ keep: [k, k], standardError: 0 }));
  const halves = [0.1, 0.13].map((k): PartLimit => ({ keep: [k, k], standardError: 0 }));
  const sizes = new NestedSizes([
    { ...half!, parts: quarters },
    { ...all!, parts: halves },
    { ...sizesOf(() => 0.12)[3]!, samples: 800 },
  ]);
  // Two differences, with one degree of freedom.
  const step = (12.71 * Math.abs(Math.log(0.1 / 0.09) - Math.log(0.13 / 0.11))) / 2;
  close(sizes.at(2, 800).interval, [0.12, 0.12]);
  close(sizes.at(1, 800).interval, [0.115 * Math.exp(-step), 0.115 * Math.exp(step)]);
  close(sizes.at(0, 800).interval, [0.1 * Math.exp(-Math.SQRT2 * step), 0.1 * Math.exp(Math.SQRT2 * step)]);
  // Of many more, the mean of the quarters has the error of any four values.
  const draw = (3.182 * Math.sqrt(0.0008 / 12)) / 0.1;
  close(sizes.at(2, 1e12).interval, [0.12 * Math.exp(-draw), 0.12 * Math.exp(draw)]);
  // The slope up to all samples is no surer than that below.
  const [, high] = sizes.beyond(1600);
  assert.ok(high > 0.12 * (0.12 / 0.115) * Math.exp(step), String(high));
});

test('parts that do not make up each other are refused', () => {
  const [smallest, ...others] = sizesOf(() => 0.1);
  assert.throws(() => new NestedSizes(others.slice(1)), RangeError);
  assert.throws(() => new NestedSizes([{ ...smallest!, parts: smallest!.parts.slice(1) }, ...others]), RangeError);
});

/** Order of the matrices of the random problems, and samples there are. */
const D = 32;
const POPULATION = 2048;
const SAMPLES = 256;
const SMALLEST = 32;

interface Family {
  /** Of the deviation of log τ, least and most. */
  readonly tail: readonly [number, number];
  /** Share of the entries of x that are not 0. */
  readonly filled: number;
  /** Magnitude of a weight. */
  readonly weight: (random: Random) => number;
}

const exponential = (random: Random): number => -Math.log(1 - random.uniform());
/** Of half of the weights a hundredth, as of a network that was trained with L1. */
const bimodal = (random: Random): number => (random.uniform() < 0.5 ? 0.01 : 1) * (1 + 0.1 * random.uniform());

const FAMILIES: Readonly<Record<string, Family>> = {
  'of which few samples count': { tail: [0.5, 1.5], filled: 1, weight: exponential },
  'of sparse samples': { tail: [0.5, 1.5], filled: 0.05, weight: exponential },
  'of which very few samples count, with weights of two sizes': { tail: [1.5, 2.5], filled: 1, weight: bimodal },
};

/** Losses Σ τᵢ(xᵢᵀw)²/2n: xᵢ normal with a spectrum that decays, τᵢ of few samples much larger than of most, as those of which a network is not sure. */
function problem({ tail: [least, most], filled, weight }: Family, seed: number) {
  const random = Random.stream(seed, 'population');
  const decay = 0.5 + 1.5 * random.uniform();
  const tail = least + (most - least) * random.uniform();
  const entry = () => (filled === 1 || random.uniform() < filled ? random.gaussian() : 0);
  const samples = Array.from({ length: POPULATION }, (): QuadraticSample => {
    const size = Math.exp(tail * random.gaussian());
    return { x: Float64Array.from({ length: D }, (_, i) => size * (i + 1) ** -decay * entry()) };
  });
  const loss = new QuadraticLoss(samples, Magnitudes.of([Float32Array.from({ length: D }, () => weight(random))]));
  const epsilon = 10 ** (-2.5 + 2 * random.uniform());
  const kept = (entries: Float64Array) => 1 - loss.limit(entries, epsilon, true);
  const count = SAMPLES / SMALLEST;
  let parts = Array.from({ length: count }, (_, i) => loss.matrix(i * SMALLEST, (i + 1) * SMALLEST));
  const traces = parts.map((part) => loss.trace(part));
  const sizes: SizeLimits[] = [];
  for (;;) {
    const limits = parts.map((part): PartLimit => ({ keep: [kept(part), kept(part)], standardError: 0 }));
    sizes.push({ samples: SAMPLES / parts.length, parts: limits });
    if (parts.length === 1) break;
    const next = parts.length / 2;
    parts = Array.from({ length: next }, (_, i) => parts[2 * i]!.map((x, at) => (x + parts[2 * i + 1]![at]!) / 2));
  }
  const truth = kept(loss.matrix(0, POPULATION));
  return { sizes, traces, truth, most: (trace: number) => 1 - loss.traceBound(trace, epsilon) };
}

const PROBLEMS = 100;

for (const [name, family] of Object.entries(FAMILIES)) {
  test(`losses ${name}: the interval for eight times as many samples contains the truth in 93 % or more`, (t) => {
    let [below, above, underTrace, atSize, heldBack, width, open] = [0, 0, 0, 0, 0, 0, 0];
    for (let seed = 0; seed < PROBLEMS; seed++) {
      const { sizes, traces, truth, most } = problem(family, seed);
      const known = new NestedSizes(sizes);
      const [low, high] = known.beyond(POPULATION);
      if (truth < low) below++;
      if (truth > high) above++;
      const cap = most(known.traceAtMost(traces.map((value) => ({ value, standardError: 0 }))));
      if (truth <= cap) underTrace++;
      const { interval } = known.at(sizes.length - 1, POPULATION);
      if (interval[0] <= truth) atSize++;
      if (known.heldBack().every(({ covered }) => covered !== false)) heldBack++;
      width += (high - low) / truth / PROBLEMS;
      open += (cap - low) / truth / PROBLEMS;
    }
    t.diagnostic(`${below} below, ${above} above, ${underTrace} under the trace bound, ${atSize} keep as much`);
    t.diagnostic(
      `mean width ${width.toFixed(3)} of what is kept, ${open.toFixed(3)} with the trace bound; ${heldBack} covered`,
    );
    assert.ok(below + above <= 0.07 * PROBLEMS, `${below} below, ${above} above`);
    assert.ok(atSize >= 0.93 * PROBLEMS && heldBack >= 0.9 * PROBLEMS, `${atSize}, ${heldBack}`);
    assert.ok(underTrace >= 0.93 * PROBLEMS && width < open, `${underTrace}, ${width} of ${open}`);
  });
}
