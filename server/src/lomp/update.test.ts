import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../random';
import { ParameterState } from './update';

const lengths = [1, 3, 4, 15, 16, 17, 100];

function filled(seed: number): { states: ParameterState[]; before: { w: number[]; v: number[]; g: number[] }[] } {
  const random = Random.stream(seed, 'states');
  const states = ParameterState.allocate(lengths);
  const before = states.map(({ weights, velocity, slope }) => {
    for (const array of [weights, velocity, slope]) array.set(random.gaussianVector(array.length));
    weights[weights.length >> 1] = seed % 2 === 0 ? 0 : -0;
    return { w: [...weights], v: [...velocity], g: [...slope] };
  });
  return { states, before };
}

const close = (actual: number, expected: number): boolean => Math.abs(actual - expected) < 1e-6;

test('a descent is that of the definition, for any length, and touches no neighbour', () => {
  const [rate, momentum, decay, l1] = [0.3, 0.7, 0.01, 0.05];
  for (const seed of [1, 2]) {
    const { states, before } = filled(seed);
    // Every second one alone.
    for (const state of states.filter((_, i) => i % 2 === 0)) state.descend(rate, momentum, decay, l1);
    for (const [i, { weights, velocity, slope }] of states.entries()) {
      const { w, v, g } = before[i]!;
      assert.deepEqual([...slope], g);
      if (i % 2 === 1) {
        assert.deepEqual([...weights], w);
        assert.deepEqual([...velocity], v);
        continue;
      }
      w.forEach((weight, j) => {
        const next = momentum * v[j]! + g[j]! + decay * weight + l1 * Math.sign(weight);
        assert.ok(close(velocity[j]!, next), `velocity ${j} of ${w.length}`);
        assert.ok(close(weights[j]!, weight - rate * next), `weight ${j} of ${w.length}`);
      });
    }
  }
});

test('a shrinkage ends at +0 exactly, and hides nothing that is not a number', () => {
  const { states, before } = filled(3);
  states.at(-1)!.weights[7] = NaN;
  for (const state of states) state.shrink(0.5);
  for (const [i, { weights, velocity }] of states.entries()) {
    assert.deepEqual([...velocity], before[i]!.v);
    for (const [j, weight] of before[i]!.w.entries()) {
      const [actual, left] = [weights[j]!, Math.max(0, Math.abs(weight) - 0.5)];
      if (i === states.length - 1 && j === 7) assert.ok(Number.isNaN(actual));
      else if (left === 0) assert.ok(Object.is(actual, 0), `${weight} became ${actual}`);
      else assert.ok(close(actual, Math.sign(weight) * left), `${weight} became ${actual}`);
    }
  }
});

test('a parameter beyond what memory can be addressed with is refused', () => {
  assert.throws(() => ParameterState.allocate([400_000_000]), /a parameter of 400000000 entries is too large/);
});
