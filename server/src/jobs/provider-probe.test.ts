import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { projectRoot } from '../../../test/outside';
import { probeProviders } from './provider-probe';

const entry = join(projectRoot(), 'dist/engine-process.js');

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'probe-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** An engine process that does `code` instead. */
function processThat(code: string): string {
  const file = join(folder, `${code.length}.cjs`);
  writeFileSync(file, code);
  return file;
}

test('the CPU computes, and says with what', async () => {
  const [cpu] = await probeProviders(entry, { providers: ['cpu'] });
  assert.equal(cpu!.problem, null);
  assert.equal(cpu!.available, true);
  assert.match(cpu!.engine, /^onnxruntime-\w+ \d+\.\d+\.\d+/);
  assert.deepEqual(cpu!.devices, []);
});

test('TensorFlow.js is found in the folder that is named', async () => {
  const [tfjs] = await probeProviders(entry, { providers: ['tfjs'], modules: [projectRoot()] });
  assert.equal(tfjs!.problem, null);
  assert.match(tfjs!.engine, /^@tensorflow\/tfjs-/);
});

test('every provider either computes or says in one line why not', async () => {
  const probes = await probeProviders(entry);
  for (const { provider, available, problem } of probes) {
    assert.equal(available, problem === null, provider);
    if (problem !== null) assert.match(problem, /^[^\n]{10,}$/, provider);
  }
  const cuda = probes.find(({ provider }) => provider === 'cuda')!;
  if (!cuda.available && process.platform === 'linux') assert.match(cuda.problem!, /npm rebuild|LD_LIBRARY_PATH/);
});

test('a driver that aborts costs its line only', async () => {
  const [probe] = await probeProviders(processThat('process.abort()'), { providers: ['webgpu'] });
  assert.equal(probe!.available, false);
  assert.match(probe!.problem!, /the engine process ended \(SIG/);
});

test('a driver that hangs is given up', async () => {
  const [probe] = await probeProviders(processThat('process.on("message", () => { for (;;); })'), {
    providers: ['webgpu'],
    timeout: 500,
  });
  assert.equal(probe!.available, false);
  assert.match(probe!.problem!, /did not answer within 0\.5 seconds/);
});
