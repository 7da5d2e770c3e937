import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder } from '../graph/builder';
import { createOrtEngine } from './ort';
import { loadNative } from './ort-runtime';
import { findUncopied, runUncopied } from './uncopied';

const { library } = loadNative();

/** A square and a sum, of which the second is a scalar. */
function graph(rows: number) {
  const b = new GraphBuilder();
  const x = b.input('x', [rows, 3]);
  return {
    outputs: [
      { name: 'square', node: b.mul(x, x) },
      { name: 'sum', node: b.reduceSum(x, [0, 1], false) },
    ],
  };
}

test('the pinned runtime need not copy its outputs', async () => {
  assert.equal(await findUncopied(library), true);
});

test('a runtime that fails in other words is not taken for one that has computed', async () => {
  const failing = (error: unknown) => ({
    Tensor: library.Tensor,
    InferenceSession: {
      create: () => Promise.resolve({ run: () => Promise.reject(error), release: () => Promise.resolve() }),
    },
  });
  // The right words, and nothing written.
  const silent = new Error('Non tensor type is temporarily not supported.');
  for (const error of [silent, new Error('no such op')]) {
    assert.equal(await findUncopied(failing(error) as unknown as typeof library), false);
  }
  const session = { run: () => Promise.reject(new Error('bad_alloc')) };
  await assert.rejects(runUncopied(session, {}, {}), /bad_alloc/);
});

test('results come in the arrays that are given and in new ones, run after run', async () => {
  const compiled = await (await createOrtEngine(1)).compile(graph(2));
  const square = new Float32Array(6);
  const into = new Map([['square', square]]);
  let last: Float32Array | undefined;
  for (const scale of [1, 2]) {
    const x = Float32Array.from({ length: 6 }, (_, i) => scale * (i - 1));
    const results = await compiled.run(new Map([['x', x]]), into);
    assert.deepEqual([...results.keys()], ['square', 'sum']);
    assert.equal(results.get('square'), square);
    assert.deepEqual(
      [...square],
      [...x].map((value) => value * value),
    );
    assert.deepEqual([...results.get('sum')!], [9 * scale]);
    assert.notEqual(results.get('sum'), last);
    last = results.get('sum');
  }
  await compiled.dispose();
});

test('an array of another length than the output is refused', async () => {
  const compiled = await (await createOrtEngine(1)).compile(graph(2));
  const feeds = new Map([['x', new Float32Array(6)]]);
  await assert.rejects(compiled.run(feeds, new Map([['square', new Float32Array(5)]])), /5/);
  await compiled.dispose();
});
