import assert from 'node:assert/strict';
import { test } from 'node:test';
import { computingOps, opCases, randomValues, testRandom, type OpCase } from '../../../test/reference/cases';
import { evaluate } from '../../../test/reference/interpreter';
import type { AnyNode } from '../graph/ir';
import { jvp } from './jvp';
import { vjp } from './vjp';

const STEP = 1e-5;

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}

function norm(a: Float64Array): number {
  return Math.sqrt(dot(a, a));
}

function assertClose(actual: Float64Array, expected: Float64Array, tolerance: number, label: string): void {
  assert.equal(actual.length, expected.length, label);
  const error = norm(actual.map((value, i) => value - expected[i]!));
  assert.ok(error <= tolerance * (1 + norm(expected)), `${label}: error ${error} beside ${norm(expected)}`);
}

/** Directions for every input of the case and a cotangent, as graph inputs with values. */
function probes(opCase: OpCase, seed: number) {
  const { builder, inputs, output } = opCase;
  const random = testRandom(seed);
  const feeds = new Map(opCase.feeds);
  const directions = inputs.map((input, k) => {
    // Masks select; they do not move.
    const fixed = opCase.output.op === 'where' && k === 0;
    const value = randomValues(input.shape, random).map((x) => (fixed ? 0 : x));
    feeds.set(`v${k}`, value);
    return { node: builder.input(`v${k}`, input.shape), value };
  });
  const cotangent = { node: builder.input('u', output.shape), value: randomValues(output.shape, random) };
  feeds.set('u', cotangent.value);
  return { feeds, directions, cotangent };
}

/** Central difference of `nodes` along the directions of the inputs. */
function difference(
  nodes: readonly AnyNode[],
  feeds: ReadonlyMap<string, Float64Array>,
  directions: readonly { readonly value: Float64Array }[],
): Float64Array[] {
  const at = (h: number): Float64Array[] => {
    const moved = new Map(feeds);
    directions.forEach(({ value }, k) => {
      moved.set(
        `x${k}`,
        feeds.get(`x${k}`)!.map((x, i) => x + h * value[i]!),
      );
    });
    return evaluate(nodes, moved);
  };
  const [plus, minus] = [at(STEP), at(-STEP)];
  return plus.map((p, i) => p.map((value, j) => (value - minus[i]![j]!) / (2 * STEP)));
}

/** At a kink a central difference means nothing: cases too close to one are not drawn here. */
function awayFromKinks(opCase: OpCase): boolean {
  if (!['relu', 'abs', 'step', 'sign'].includes(opCase.output.op)) return true;
  return [...opCase.feeds.values()].every((values) => values.every((x) => Math.abs(x) > 10 * STEP));
}

for (const op of computingOps) {
  test(`${op}: tangents are finite differences, cotangents their adjoint`, () => {
    let checked = 0;
    for (const opCase of opCases(op, 40)) {
      if (!awayFromKinks(opCase)) continue;
      const { builder, inputs, output, label } = opCase;
      const { feeds, directions, cotangent } = probes(opCase, 17);
      const [tangent] = jvp(builder, [output], new Map(inputs.map((input, k) => [input, directions[k]!.node])));
      const [expected] = difference([output], feeds, directions);
      const actual = tangent === undefined ? expected!.map(() => 0) : evaluate([tangent], feeds)[0]!;
      if (tangent !== undefined) assert.deepEqual(tangent.shape, output.shape, label);
      assertClose(actual, expected!, 1e-7, `${label}: tangent`);

      // ⟨u, J v⟩ = ⟨Jᵀ u, v⟩
      const gradients = vjp(builder, [output], [cotangent.node], inputs);
      let right = 0;
      gradients.forEach((gradient, k) => {
        if (gradient === undefined) return;
        assert.deepEqual(gradient.shape, inputs[k]!.shape, `${label}: shape of cotangent ${k}`);
        right += dot(evaluate([gradient], feeds)[0]!, directions[k]!.value);
      });
      const left = dot(cotangent.value, actual);
      assert.ok(
        Math.abs(left - right) <= 1e-12 * (1 + Math.abs(left)) * actual.length,
        `${label}: ${left} and ${right}`,
      );
      checked++;
    }
    assert.ok(checked >= 20, `only ${checked} cases`);
  });

  test(`${op}: tangents of cotangents are finite differences`, () => {
    for (const opCase of opCases(op, 20)) {
      if (!awayFromKinks(opCase)) continue;
      const { builder, inputs, output, label } = opCase;
      const { feeds, directions, cotangent } = probes(opCase, 29);
      const gradients = vjp(builder, [output], [cotangent.node], inputs).filter((g) => g !== undefined);
      const tangents = jvp(builder, gradients, new Map(inputs.map((input, k) => [input, directions[k]!.node])));
      const expected = difference(gradients, feeds, directions);
      tangents.forEach((tangent, i) => {
        const actual = tangent === undefined ? expected[i]!.map(() => 0) : evaluate([tangent], feeds)[0]!;
        assertClose(actual, expected[i]!, 1e-6, `${label}: tangent of cotangent ${i}`);
      });
    }
  });
}
