import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { computingOps, opCases, randomValues, testRandom } from '../../../test/reference/cases';
import { evaluate } from '../../../test/reference/interpreter';
import type { AnyNode } from '../graph/ir';
import { GraphBuilder } from '../graph/builder';
import type { Engine } from './engine';
import { createOrtEngine } from './ort';

let engine: Engine;
before(async () => {
  engine = await createOrtEngine(1);
});

/** Relative to the largest value, as float32 sums are. */
const TOLERANCE = 2e-6;

async function assertAgrees(
  outputs: readonly AnyNode[],
  feeds: ReadonlyMap<string, Float64Array>,
  label: string,
): Promise<void> {
  // What float32 cannot hold is not what is compared.
  const rounded = new Map([...feeds].map(([name, value]) => [name, Float32Array.from(value)]));
  const expected = evaluate(outputs, rounded);
  const graph = { outputs: outputs.map((node, i) => ({ name: `y${i}`, node })) };
  const compiled = await engine.compile(graph);
  const actual = await compiled.run(rounded);
  await compiled.dispose();
  outputs.forEach((output, i) => {
    const [got, want] = [actual.get(`y${i}`)!, expected[i]!];
    assert.equal(got.length, want.length, label);
    const scale = want.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
    want.forEach((x, j) => {
      assert.ok(Math.abs(got[j]! - x) <= TOLERANCE * scale, `${label} [${output.shape}] at ${j}: ${got[j]} for ${x}`);
    });
  });
}

for (const op of computingOps) {
  test(`${op} agrees with its definition`, async () => {
    for (const { output, feeds, label } of opCases(op, 25)) await assertAgrees([output], feeds, label);
  });
}

/** Shapes on both sides of every threshold by which a formulation is chosen. */
const convolutions = [
  { x: [2, 8, 24, 24], w: [16, 8, 3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 1 },
  { x: [2, 8, 24, 24], w: [72, 8, 3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 1 },
  { x: [3, 130, 6, 6], w: [130, 130, 3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 1 },
  { x: [2, 16, 9, 9], w: [32, 16, 3, 3], strides: [2, 2], pads: [1, 1, 1, 1], group: 1 },
  { x: [2, 16, 8, 8], w: [32, 16, 1, 1], strides: [2, 2], pads: [0, 0, 0, 0], group: 1 },
  { x: [2, 12, 10, 10], w: [12, 1, 3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 12 },
  { x: [2, 3, 32, 32], w: [64, 3, 7, 7], strides: [2, 2], pads: [3, 3, 3, 3], group: 1 },
];

for (const { x, w, strides, pads, group } of convolutions) {
  test(`convolution of [${x}] with [${w}] and its adjoints agree with their definition`, async () => {
    const b = new GraphBuilder();
    const attributes = { strides, pads, group, dilations: [1, 1] };
    const [xNode, wNode] = [b.input('x', x), b.input('w', w)];
    const y = b.conv(xNode, wNode, attributes);
    const g = b.input('g', y.shape);
    const random = testRandom(5);
    const feeds = new Map(
      [xNode, wNode, g].map((node) => [node.attributes.name, randomValues(node.shape, random)] as const),
    );
    await assertAgrees(
      [y, b.convInputGrad(g, wNode, attributes, x.slice(2)), b.convWeightGrad(xNode, g, attributes, w.slice(2))],
      feeds,
      `[${x}] [${w}]`,
    );
  });
}

test('a fixed parameter and a fed one give the same result', async () => {
  const b = new GraphBuilder();
  const [x, w] = [b.input('x', [2, 3]), b.parameter('w', [3, 4])];
  const graph = { outputs: [{ name: 'y', node: b.matmul(x, w) }] };
  const value = Float32Array.from({ length: 12 }, (_, i) => i / 7);
  const feeds = new Map([['x', Float32Array.of(1, 2, 3, 4, 5, 6)]]);
  const fixed = await engine.compile(graph, { parameters: new Map([['w', { name: 'w', shape: [3, 4], value }]]) });
  const fed = await engine.compile(graph);
  assert.deepEqual([...fixed.feeds.keys()], ['x']);
  assert.deepEqual([...fed.feeds.keys()], ['x', 'w']);
  assert.deepEqual((await fixed.run(feeds)).get('y'), (await fed.run(new Map([...feeds, ['w', value]]))).get('y'));
});

test('a feed of the wrong length is refused before it runs', async () => {
  const b = new GraphBuilder();
  const compiled = await engine.compile({ outputs: [{ name: 'y', node: b.exp(b.input('x', [3])) }] });
  await assert.rejects(compiled.run(new Map([['x', new Float32Array(2)]])), /feed x: 2 values for shape \[3\]/);
});
