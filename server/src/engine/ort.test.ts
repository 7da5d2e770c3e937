import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { GraphBuilder } from '../graph/builder';
import type { Engine } from './engine';
import { AnalysisError } from '../errors';
import { findBlock } from './blocks';
import { createOrtEngine } from './ort';
import { loadNative, loadWebAssembly } from './ort-runtime';

let engine: Engine;
before(async () => {
  engine = await createOrtEngine(1);
});

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

test('a provider that the platform does not have is refused by name', async () => {
  const foreign = process.platform === 'win32' ? 'coreml' : 'dml';
  await assert.rejects(createOrtEngine(1, foreign), new RegExp(`no provider ${foreign} on ${process.platform}`));
});

test('where there is no binary for the platform, WebAssembly computes the same and says so', async () => {
  const missing = () => {
    throw new AnalysisError('onnxruntime could not be loaded on darwin-x64: no such file');
  };
  const runtimes = { native: missing, webAssembly: loadWebAssembly };
  const portable = await createOrtEngine(1, 'cpu', runtimes);
  assert.equal(portable.description.name, 'onnxruntime-web');
  assert.equal(portable.description.provider, 'wasm');
  assert.match(portable.description.reason, /WebAssembly.*no such file/);
  const b = new GraphBuilder();
  const [x, w] = [b.input('x', [2, 3]), b.input('w', [3, 4])];
  const graph = { outputs: [{ name: 'y', node: b.tanh(b.matmul(x, w)) }] };
  const feeds = new Map([
    ['x', Float32Array.from({ length: 6 }, (_, i) => i / 9)],
    ['w', Float32Array.from({ length: 12 }, (_, i) => Math.cos(i))],
  ]);
  const native = (await (await engine.compile(graph)).run(feeds)).get('y')!;
  const into = new Float32Array(8);
  const results = await (await portable.compile(graph)).run(feeds, new Map([['y', into]]));
  assert.equal(results.get('y'), into);
  into.forEach((value, i) => assert.ok(Math.abs(value - native[i]!) < 1e-6, `${value} and ${native[i]}`));
  // Only the CPU has a stand-in: who asks for a GPU hears why there is none.
  await assert.rejects(createOrtEngine(1, 'webgpu', runtimes), /could not be loaded on darwin-x64/);
  assert.equal((await createOrtEngine(1, 'cpu', { native: loadNative, webAssembly: missing })).description.reason, '');
});

test('the block of the blocked layout is found, where the processor has one', async () => {
  const { library } = loadNative();
  const block = await findBlock(library);
  // AVX-512 or AVX; elsewhere there may be none.
  assert.ok(process.arch === 'x64' ? [8, 16].includes(block) : [0, 4, 8, 16].includes(block), `${block} channels`);
  const broken = {
    Tensor: library.Tensor,
    InferenceSession: { create: () => Promise.reject(new Error('no such op')) },
  };
  assert.equal(await findBlock(broken as unknown as typeof library), 0);
});
