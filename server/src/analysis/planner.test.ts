import assert from 'node:assert/strict';
import { test } from 'node:test';
import { announcement, expectedDepth, explain, plan, type Situation } from './planner';

/** What is known of a limit with this bracket after so many steps and probes. */
function limitOf(
  [low, high]: readonly [number, number],
  { steps = 40, probes = 1, standardError = 0, exact = false, blur = 0, tolerance = 0.01 } = {},
): NonNullable<Situation['limit']> {
  const interval = [low - 1.96 * standardError, high + 1.96 * standardError] as const;
  const curvature = {
    trace: 1,
    traceStandardError: 0,
    lambdaMax: 1,
    lambdaMin: 0,
    steps,
    probes,
    exact,
    blur,
    scale: 1,
    ritzValues: [],
    weights: [],
  };
  return { bracket: [low, high], interval, standardError, resolved: interval[1] - interval[0] <= tolerance, curvature };
}

const halving = (count: number, first = 1, factor = 0.9): number[] =>
  Array.from({ length: count }, (_, i) => first * factor ** i);

const situation: Situation = {
  dimension: 100_000,
  tolerance: 0.01,
  steps: 256,
  vectors: 1000,
  secondsPerProduct: 0.5,
  secondsLeft: 600,
  widths: [],
  running: true,
  limit: null,
};

test('before the first step the most that it may take is planned, with re-orthogonalisation', () => {
  const next = plan(situation);
  assert.ok(next.kind === 'deepen' && !next.predicted);
  assert.equal(next.rest.products, 256);
  // 6·m·D operations at step m, 10⁹ in a second.
  const orthogonalisation = Array.from({ length: 256 }, (_, m) => (6 * m * 1e5) / 1e9).reduce((sum, x) => sum + x);
  assert.ok(Math.abs(next.rest.seconds - 128 - orthogonalisation) < 0.01 * next.rest.seconds);
  assert.equal(announcement(next, 0, 0), 'step 1 of at most 256, at most 2 min to go');
});

test('goes on to the depth at which a bracket that shrinks geometrically is narrow', () => {
  const widths = halving(40);
  const next = plan({ ...situation, widths, limit: limitOf([0, widths.at(-1)!]) });
  // 0.9^(d − 1) = 0.6 × 0.01 at d = 49.6.
  assert.ok(next.kind === 'deepen' && next.predicted);
  assert.deepEqual([next.depth, next.rest.products], [50, 10]);
  assert.equal(expectedDepth(halving(10), 0.006), null, 'five steps tell nothing');
  assert.equal(expectedDepth(halving(40, 1e-3, 1.01), 0.006), null, 'it grows');
  assert.equal(expectedDepth(halving(40), 0.5), 41, 'narrow already: one more at least');
});

test('ends with the reason', () => {
  const end = (changes: Partial<Situation>) => {
    const next = plan({ ...situation, widths: halving(40), ...changes });
    return next.kind === 'end' ? next.end : next.kind;
  };
  const wide = limitOf([0.5, 0.9]);
  const narrow = limitOf([0.9, 0.903]);
  assert.equal(end({ limit: narrow }), 'resolved');
  assert.equal(end({ limit: narrow, widths: halving(5) }), 'deepen', 'narrow by accident');
  assert.equal(end({ limit: narrow, widths: halving(5), running: false }), 'resolved', 'the run is exact');
  assert.equal(end({ limit: wide, steps: 40 }), 'steps');
  assert.equal(end({ limit: wide, secondsLeft: 0 }), 'time');
  assert.equal(end({ limit: wide, running: false }), 'exhausted');
  assert.equal(end({ limit: limitOf([0.5, 0.9], { probes: 5 }) }), 'exhausted');
  assert.equal(end({ limit: limitOf([0.9, 0.903], { standardError: 0.01, blur: 0.03 }) }), 'float32');
  assert.equal(end({ limit: limitOf([0.9, 0.903], { standardError: 0.01, probes: 513 }) }), 'exhausted');
  assert.equal(end({ limit: limitOf([0.9, 0.903], { standardError: 0.01, probes: 1 }), probes: 1 }), 'exhausted');
  assert.equal(end({ limit: limitOf([0.9, 0.903], { standardError: 0.01, exact: true }) }), 'exhausted');
});

test('as many probes at once as their bases fit into memory, and no more than end in time', () => {
  const limit = limitOf([0.9, 0.903], { standardError: 0.01 });
  const given = { ...situation, widths: halving(40), limit };
  const at = (changes: Partial<Situation>) => {
    const next = plan({ ...given, ...changes });
    return next.kind === 'probes' ? [next.count, next.depth, next.rest.products] : next;
  };
  assert.deepEqual(at({}), [4, 40, 160]);
  assert.deepEqual(at({ vectors: 100 }), [2, 40, 80]);
  assert.deepEqual(at({ vectors: 41 }), [1, 40, 40]);
  assert.deepEqual(at({ secondsLeft: 79 }), { kind: 'end', end: 'time' });
});

test('the whole matrix where probes would be more products, before a depth that would be too', () => {
  const noisy = limitOf([0.9, 0.903], { standardError: 0.02 });
  const small = { ...situation, dimension: 1000, widths: halving(40), limit: noisy, secondsPerProduct: 0.01 };
  const next = plan(small);
  assert.ok(next.kind === 'matrix' && next.rest.products === 1000);
  assert.equal(plan({ ...small, dimension: 3001 }).kind, 'probes');
  assert.equal(plan({ ...small, secondsLeft: 5 }).kind, 'probes', 'it would not end in time');
  assert.equal(
    plan({ ...small, limit: limitOf([0.9, 0.903], { standardError: 0.002 }) }).kind,
    'probes',
    'few are missing',
  );
  // A wide bracket that would need some 60 steps more, for each of many probes.
  const slow = halving(40, 1, 0.95);
  const open = limitOf([0, slow.at(-1)!], { standardError: 0.02 });
  assert.equal(plan({ ...small, widths: slow, limit: open }).kind, 'matrix');
  assert.equal(plan({ ...small, widths: slow, limit: limitOf([0, slow.at(-1)!]) }).kind, 'deepen');
});

test('one sentence says what was computed and why', () => {
  const spent = { bound: 264, spent: 58, flatShare: 0.25 };
  const resolved = { kind: 'end', end: 'resolved' } as const;
  assert.equal(
    explain(limitOf([0.9, 0.903], { steps: 50 }), resolved, spent),
    'one probe to Lanczos step 50, without the 25.0 % of the weights whose row is zero, because there the bracket is 0.30 % and the sampling error within what is asked; 58 products, and the first plan had at most 264',
  );
  assert.match(
    explain(limitOf([0.9, 0.903], { steps: 700, exact: true }), resolved, { bound: 264, spent: 800, flatShare: 0 }),
    /^every eigenvalue from all 700 columns, because the probes that the sampling error asked for would have been more products; 800 products/,
  );
  const wide = limitOf([0.5, 0.9]);
  assert.match(
    explain(wide, { kind: 'end', end: 'time' }, spent),
    /because the time was spent, which leaves a bracket of 40.00 %/,
  );
  const onward = plan({ ...situation, widths: halving(40), limit: wide });
  assert.match(explain(wide, onward, spent), /shrinks to what is asked by about step 5\d/);
});
