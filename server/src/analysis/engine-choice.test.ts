import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type { AnalysisEvent, AnalysisOptions, AnalysisResult } from '../../../protocol/analysis';
import { oracleRequest } from '../../../test/golden/oracles';
import { projectRoot } from '../../../test/outside';
import { createEngine, type EngineFactory } from '../engine/create';
import { OutOfMemoryError, type CompiledGraph, type Engine } from '../engine/engine';
import { largestBytes } from '../engine/cost';
import { remoteEngines, type RemoteEngine } from '../engine/remote';
import { curvatureProgram, TARGETS } from '../curvature/programs';
import { AnalysisError } from '../errors';
import { analyze, LOCAL_ENGINES } from './analyze';
import { NO_JOURNAL } from './journal';
import { MemoryGuard } from './memory';
import { openSubject } from './subject';

type Results = ReadonlyMap<string, Float32Array>;

/** An accelerator that is the CPU but for what `change` makes of every run. */
function double(
  change: (run: number, results: () => Promise<Results>) => Promise<Results>,
  distort: (values: Float32Array, samples: number) => Float32Array = (values) => values,
): EngineFactory {
  return async () => {
    const cpu = await createEngine('cpu', 1);
    let runs = 0;
    const engine: Engine = {
      description: { ...cpu.description, provider: 'webgpu' },
      compile: async (graph, options): Promise<CompiledGraph> => {
        const compiled = await cpu.compile(graph, options);
        return {
          feeds: compiled.feeds,
          run: async (feeds) => {
            const results = await change(runs++, () => compiled.run(feeds));
            const samples = compiled.feeds.get(TARGETS)?.[0] ?? 0;
            return new Map([...results].map(([name, values]) => [name, distort(values, samples)]));
          },
          dispose: () => compiled.dispose(),
        };
      },
      dispose: () => cpu.dispose(),
    };
    return engine;
  };
}

const options: Partial<AnalysisOptions> = { curvature: 'ggn', steps: 12, tolerance: 0.2 };

function run(
  provider: AnalysisOptions['provider'],
  accelerated: EngineFactory,
  onEvent: (event: AnalysisEvent) => void = () => undefined,
): Promise<AnalysisResult> {
  const engines = { ...LOCAL_ENGINES, accelerated };
  return analyze(oracleRequest('oracle-mlp', { ...options, provider }), onEvent, NO_JOURNAL, engines);
}

const never: EngineFactory = () => Promise.reject(new AnalysisError('not to be made'));

describe('engine choice', () => {
  let expected: AnalysisResult;
  before(async () => {
    expected = await run('cpu', never);
  });

  /** The same answer as the CPU's, to the last digit where the arithmetic is the same. */
  const assertSame = (result: AnalysisResult): void => {
    assert.deepEqual(result.limits, expected.limits);
    assert.deepEqual(result.path, expected.path);
  };
  const leaving = (result: AnalysisResult): string[] =>
    result.warnings.filter(({ code }) => code === 'provider-left').map(({ message }) => message);

  it('takes an accelerator that agrees, and says how it compared', async () => {
    const result = await run(
      'webgpu',
      double((_, results) => results()),
    );
    assertSame(result);
    assert.equal(result.engine.provider, 'webgpu');
    assert.match(result.engine.reason, /^[\d.]+ times as (fast|slow) as the CPU and equal to 0e\+0 on a batch/);
    assert.deepEqual(leaving(result), []);
  });

  it('leaves a wrong kernel for the CPU, with one warning', async () => {
    const wrong = double(async (_, results) => {
      const values = await results();
      return new Map([...values].map(([name, value]) => [name, value.map((x, i) => (i === 3 ? 2 * x + 1 : x))]));
    });
    const result = await run('webgpu', wrong);
    assertSame(result);
    assert.equal(result.engine.provider, 'cpu');
    assert.equal(leaving(result).length, 1);
    assert.match(leaving(result)[0]!, /^the CPU was used instead of webgpu: webgpu disagrees with the CPU/);
  });

  it('leaves an engine whose products are not numbers', async () => {
    const broken = double(async (_, results) => {
      return new Map([...(await results())].map(([name, value]) => [name, value.map(() => NaN)]));
    });
    const result = await run('webgpu', broken);
    assertSame(result);
    assert.match(leaving(result)[0]!, /a product is not a number/);
  });

  it('leaves a provider that is not there', async () => {
    const result = await run('webgpu', () => Promise.reject(new AnalysisError('no adapter')));
    assertSame(result);
    assert.deepEqual(leaving(result), ['the CPU was used instead of webgpu: webgpu could not be used: no adapter']);
  });

  it('goes on with the CPU when the device is lost in the middle', async () => {
    const lost = double((count, results) =>
      count < 30 ? results() : Promise.reject(new AnalysisError('device lost')),
    );
    const result = await run('webgpu', lost);
    assertSame(result);
    assert.equal(result.engine.provider, 'cpu');
    assert.deepEqual(leaving(result), [
      'webgpu failed in the middle of the analysis, which went on with the CPU: device lost',
    ]);
  });

  it('goes on with the CPU when the engine process is killed in the middle', async () => {
    let remote: RemoteEngine | undefined;
    const remotes = remoteEngines(join(projectRoot(), 'dist/engine-process.js'));
    const result = await run(
      'webgpu',
      async () => (remote = await remotes('cpu', 1)),
      (event) => {
        if (event.kind === 'partial' && event.result.limits.length > 0 && remote !== undefined) {
          process.kill(remote.pid, 'SIGKILL');
          remote = undefined;
        }
      },
    );
    assertSame(result);
    assert.equal(remote, undefined);
    assert.equal(leaving(result).length, 1);
    assert.match(leaving(result)[0]!, /went on with the CPU: the engine process ended \(SIGKILL\)/);
  });

  it('halves the batch when memory runs out, goes on, and says so once', async () => {
    const outOfMemory = double((count, results) =>
      count === 4 || count === 9 || count === 40 ? Promise.reject(new OutOfMemoryError('no memory')) : results(),
    );
    const result = await run('webgpu', outOfMemory);
    assert.deepEqual(leaving(result), []);
    assert.equal(result.engine.provider, 'webgpu');
    const notes = result.warnings.filter(({ code }) => code === 'batch-halved');
    assert.equal(notes.length, 1);
    assert.match(notes[0]!.message, /^the batch was lowered from 128 to 16 samples/);
    // Other batches, other roundings.
    assert.ok(Math.abs(result.limits[0]!.sparsity - expected.limits[0]!.sparsity) < 1e-4);
    assert.ok(Math.abs(result.loss - expected.loss) < 1e-6);
  });

  it('leaves an accelerator into which not even one sample fits, with the batch that was asked for', async () => {
    const tiny = double(() => Promise.reject(new OutOfMemoryError('no memory')));
    const result = await run('webgpu', tiny);
    assertSame(result);
    assert.match(leaving(result)[0]!, /webgpu could not be used: no memory/);
    assert.ok(!result.warnings.some(({ code }) => code === 'batch-halved'));
  });

  it('lowers the batch where values that a device need not bind are the reason', async () => {
    // Wrong, without a word, for more than 32 samples at once.
    const limited = double(
      async (_, results) => results(),
      (values, samples) => (samples > 32 ? values.map((x) => x + 1) : values),
    );
    const engines = { ...LOCAL_ENGINES, accelerated: limited };
    const request = oracleRequest('oracle-mlp', { ...options, provider: 'webgpu' });
    const graph = (batch: number) => openSubject(oracleRequest('oracle-mlp', { batch }), new MemoryGuard(0));
    const binding = largestBytes(curvatureProgram((await graph(32)).model, 'ggn', 1));
    const run = (limit: number) => analyze(request, () => undefined, NO_JOURNAL, { ...engines, binding: limit });
    const fits = await run(binding);
    assert.equal(fits.engine.provider, 'webgpu');
    assert.match(fits.warnings.find(({ code }) => code === 'batch-halved')!.message, /lowered from 128 to 32 samples/);
    // Where every value may be as large as it is, that is no excuse.
    const wrong = await run(2 ** 40);
    assertSame(wrong);
    assert.match(leaving(wrong)[0]!, /webgpu disagrees with the CPU/);
  });

  it('begins with a batch that a small device has room for', async () => {
    const engines = {
      ...LOCAL_ENGINES,
      accelerated: double((_, results) => results()),
      device: () => Promise.resolve({ name: 'Small', driver: '1.2', free: 2 ** 15 }),
    };
    const request = oracleRequest('oracle-mlp', { ...options, provider: 'webgpu' });
    const result = await analyze(request, () => undefined, NO_JOURNAL, engines);
    assert.match(result.engine.reason, /^Small, driver 1\.2: /);
    assert.match(
      result.warnings.find(({ code }) => code === 'batch-halved')!.message,
      /lowered from 128 to \d+ samples/,
    );
  });

  it('does not try anything for a job as small as this one', async () => {
    const engines = {
      ...LOCAL_ENGINES,
      accelerated: never,
      detect: () => ({ providers: ['webgpu'] as const, reason: '' }),
    };
    const result = await analyze(
      oracleRequest('oracle-mlp', { ...options, provider: 'auto' }),
      () => undefined,
      NO_JOURNAL,
      engines,
    );
    assert.equal(result.engine.reason, 'too little work for a GPU to pay');
    assert.deepEqual(leaving(result), []);
  });

  it('says in one line why there is nothing to try', async () => {
    const engines = { ...LOCAL_ENGINES, accelerated: never, detect: () => ({ providers: [], reason: 'no GPU found' }) };
    const result = await analyze(
      oracleRequest('oracle-mlp', { ...options, provider: 'auto' }),
      () => undefined,
      NO_JOURNAL,
      engines,
    );
    assertSame(result);
    assert.equal(result.engine.reason, 'no GPU found');
    assert.deepEqual(leaving(result), []);
  });
});
