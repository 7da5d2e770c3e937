import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from './random';

/** xoshiro128** as its authors print it, in unbounded integers. */
function* naiveXoshiro(state: bigint[]): Generator<number> {
  const word = (value: bigint) => value & 0xffffffffn;
  const rotate = (value: bigint, by: bigint) => word((value << by) | (value >> (32n - by)));
  let [a, b, c, d] = state as [bigint, bigint, bigint, bigint];
  for (;;) {
    yield Number(word(rotate(word(b * 5n), 7n) * 9n));
    const t = word(b << 9n);
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotate(d, 11n);
  }
}

test('xoshiro128** agrees with its published first outputs and with a naive twin', () => {
  const random = Random.fromState([1, 2, 3, 4]);
  const twin = naiveXoshiro([1n, 2n, 3n, 4n]);
  const first = Array.from({ length: 4 }, () => random.uint32());
  assert.deepEqual(first, [11520, 0, 5927040, 70819200]);
  for (let i = 0; i < 4; i++) twin.next();
  for (let i = 0; i < 1000; i++) assert.equal(random.uint32(), twin.next().value);
});

test('streams repeat for the same seed and name and differ otherwise', () => {
  const draw = (seed: number, name: string | number) => {
    const random = Random.stream(seed, name);
    return Array.from({ length: 4 }, () => random.uint32()).join();
  };
  const seen = new Set<string>();
  for (const seed of [0, 1, 2, -1, 0.5, 2 ** 40, 2 ** 40 + 1]) {
    for (const name of ['probe/0', 'probe/1', 'trace', 0, 1]) {
      assert.equal(draw(seed, name), draw(seed, name));
      seen.add(draw(seed, name));
    }
  }
  assert.equal(seen.size, 35);
});

test('a recorded seed keeps its meaning', () => {
  const random = Random.stream(1, 'pinned');
  assert.deepEqual(
    Array.from({ length: 3 }, () => random.uint32()),
    [1843093866, 489118404, 2154999302],
  );
});

test('Rademacher probes are ±1, balanced and uncorrelated', () => {
  const n = 100_003;
  const a = Random.stream(7, 'a').rademacher(n);
  const b = Random.stream(7, 'b').rademacher(n);
  let sum = 0;
  let product = 0;
  let lagged = 0;
  for (let i = 0; i < n; i++) {
    assert.ok(a[i] === 1 || a[i] === -1);
    sum += a[i]!;
    product += a[i]! * b[i]!;
    if (i > 0) lagged += a[i]! * a[i - 1]!;
  }
  for (const statistic of [sum, product, lagged]) assert.ok(Math.abs(statistic) < 4 * Math.sqrt(n), String(statistic));
});

test('gaussians have the moments 0, 1, 0, 3 and uniforms fill [0, 1)', () => {
  const random = Random.stream(3, 'moments');
  const n = 200_000;
  const moments = [0, 0, 0, 0];
  const bins = new Uint32Array(10);
  for (let i = 0; i < n; i++) {
    const x = random.gaussian();
    for (let k = 0; k < 4; k++) moments[k]! += x ** (k + 1) / n;
    bins[Math.floor(random.uniform() * 10)]!++;
  }
  const deviations = [1, Math.SQRT2, Math.sqrt(15), Math.sqrt(96)];
  [0, 1, 0, 3].forEach((expected, k) => {
    assert.ok(Math.abs(moments[k]! - expected) < (4.5 * deviations[k]!) / Math.sqrt(n), `moment ${k + 1}`);
  });
  for (const count of bins) assert.ok(Math.abs(count - n / 10) < 5 * Math.sqrt(n * 0.09));
});

test('permutations are permutations, and uniform over the six of three', () => {
  const order = Random.stream(1, 'p').permutation(1000);
  assert.deepEqual(
    Array.from(order).sort((x, y) => x - y),
    Array.from({ length: 1000 }, (_, i) => i),
  );
  const counts = new Map<string, number>();
  const random = Random.stream(1, 'q');
  for (let i = 0; i < 6000; i++) {
    const key = random.permutation(3).join('');
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  assert.equal(counts.size, 6);
  for (const count of counts.values()) assert.ok(Math.abs(count - 1000) < 150, String(count));
});

test('below is uniform: χ² over 7 values', () => {
  const random = Random.stream(2, 'below');
  const counts = new Array<number>(7).fill(0);
  for (let i = 0; i < 70_000; i++) counts[random.below(7)]! += 1;
  const chi = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
  // 99.9 % of χ² with 6 degrees of freedom.
  assert.ok(chi < 22.5, `χ² = ${chi}`);
  assert.equal(random.below(1), 0);
  assert.ok(random.below(2 ** 32) < 2 ** 32);
});

test('below refuses a bound it cannot honour', () => {
  const random = Random.stream(0, 'x');
  for (const bound of [0, -1, 1.5, 2 ** 33, NaN]) assert.throws(() => random.below(bound), /random bound out of range/);
});
