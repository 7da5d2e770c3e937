import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InputError } from '../errors';
import { MemoryGuard } from './memory';

const MIB = 2 ** 20;
const guard = (granted: number, used: number): MemoryGuard => new MemoryGuard(granted, () => used * MIB);
const problem = (message: string | RegExp) => ({ name: InputError.name, message });

test('what is within the grant passes', () => {
  guard(100, 100).begin();
  guard(100, 100).check();
  guard(100, 60).expect(40 * MIB, 'samples', 'lower --samples');
});

test('what is beyond the grant is refused with both figures', () => {
  assert.throws(
    () => guard(60, 70).begin(),
    problem('memory too small: 60 MiB granted, and the process alone takes 70 MiB; grant more with --memory'),
  );
  assert.throws(
    () => guard(60, 70).check(),
    problem('memory ran out: 70 MiB in use, 60 MiB granted; lower --batch or --samples, or grant more with --memory'),
  );
  assert.throws(
    () => guard(100, 60).expect(41 * MIB, '9 samples', 'lower --samples'),
    problem(
      'memory would run out: 9 samples take 41 MiB beside 60 MiB in use, 100 MiB granted; lower --samples, or grant more with --memory',
    ),
  );
});

test('without a grant a share of the machine is available', () => {
  guard(0, 1).begin();
  assert.throws(() => guard(0, 1e9).check(), problem(/ MiB in use, \d+ MiB available; /));
});

test('Lanczos takes half of what is left, and two vectors at least', () => {
  // 50 MiB of vectors of 1 MiB each.
  assert.equal(guard(200, 100).lanczosVectors(MIB / 4), 50);
  assert.equal(guard(200, 250).lanczosVectors(MIB / 4), 2);
});

test('a cache takes an eighth, or a quarter of what is left', () => {
  assert.equal(guard(800, 0).cacheBytes(), 100 * MIB);
  assert.equal(guard(800, 600).cacheBytes(), 50 * MIB);
  assert.equal(guard(800, 900).cacheBytes(), 0);
});
