/** Analyses outlive their compute process, the language server and the window, and give the answer they would have given. */
import assert from 'node:assert/strict';
import { appendFileSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { AnalysisOptions, AnalysisResult } from '../../protocol/analysis';
import {
  Method,
  type CancelAnswer,
  type EditAnswer,
  type ResultAnswer,
  type ResumeAnswer,
  type RunsAnswer,
  type StartAnswer,
} from '../../protocol/messages';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { Random } from '../../server/src/random';
import { childrenOf, LspClient } from './lsp-client';

const random = Random.stream(2026, 'survival');

let folder: string;
let checkpoint: string;
let options: AnalysisOptions;
/** The answer of an analysis that nothing happened to. */
let undisturbed: Comparable;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pruning-limit-survival-'));
  checkpoint = join(folder, 'digits.onnx');
  copyFileSync(resolve('samples/digits.onnx'), checkpoint);
  cpSync(resolve('samples/data'), join(folder, 'data'), { recursive: true });
  options = {
    ...DEFAULT_OPTIONS,
    data: { ...DEFAULT_OPTIONS.data, path: join(folder, 'data'), samples: 256 },
    threads: 1,
    steps: 20,
    tolerance: 1e-6,
  };
  const client = await LspClient.start('ipc');
  undisturbed = comparable(await result(client, await start(client)));
  await client.stop();
});
after(() => rmSync(folder, { recursive: true }));

type Comparable = Omit<AnalysisResult, 'time'>;
/** Everything but how long it took. */
function comparable(result: AnalysisResult): Comparable {
  return JSON.parse(JSON.stringify({ ...result, time: undefined })) as Comparable;
}

async function start(client: LspClient, more: Partial<AnalysisOptions> = {}): Promise<string> {
  const request = { checkpoint, options: { ...options, ...more } };
  return (await client.request<StartAnswer>(Method.start, request)).job;
}

async function result(client: LspClient, job: string): Promise<AnalysisResult> {
  const end = await client.ended(job);
  assert.ok(end.kind === 'done', JSON.stringify(end));
  return end.result;
}

/** Resolves after `count` more progress events of the job. */
async function progress(client: LspClient, job: string, count: number): Promise<void> {
  const events = () => client.events.filter((event) => event.job === job && event.event.kind === 'progress').length;
  const before = events();
  await client.until(`${count} more events`, () => events() >= before + count);
}

const runs = async (client: LspClient) => (await client.request<RunsAnswer>(Method.runs, undefined)).runs;
/** A compute process that is none of these. */
const another = (client: LspClient, known: ReadonlySet<number>): Promise<number> =>
  client.until('a process', () => childrenOf(client.process.pid!).find((pid) => !known.has(pid)));
const computing = (client: LspClient): Promise<number> => another(client, new Set());

describe('a compute process that is killed', () => {
  // 21 kills: after the third resumption a process that dies is not resumed again.
  for (const round of [1, 2, 3, 4, 5, 6, 7]) {
    it(`three times at random moments changes nothing in the answer, ${round}`, async () => {
      const client = await LspClient.start('ipc', { storage: join(folder, `killed-${round}`) });
      const job = await start(client);
      const killed = new Set<number>();
      while (killed.size < 3) {
        const pause = 30 * random.uniform();
        await progress(client, job, random.below(7));
        await new Promise((resolve) => setTimeout(resolve, pause));
        const pid = await another(client, killed);
        process.kill(pid, 'SIGKILL');
        killed.add(pid);
      }
      const survived = await result(client, job);
      assert.deepEqual(comparable(survived), undisturbed);
      assert.equal(existsSync(join(folder, `killed-${round}`, job, 'journal')), false);
      await client.stop();
    });
  }

  it('is resumed three times, then the cause is told with the setting to lower', async () => {
    const client = await LspClient.start('ipc', { storage: join(folder, 'dying') });
    const job = await start(client);
    const killed = new Set<number>();
    while (killed.size < 4) {
      const next = await another(client, killed);
      killed.add(next);
      process.kill(next, 'SIGKILL');
    }
    const end = await client.ended(job);
    assert.ok(end.kind === 'failed', JSON.stringify(end));
    assert.match(end.error.message, /memory ran out.*pruningLimit\.memory.*resumed 3 times/);
    assert.deepEqual(childrenOf(client.process.pid!), []);
    const [run] = await runs(client);
    assert.equal(run?.state, 'failed');
    assert.equal(run?.error, end.error.message);
    await client.stop();
  });

  it('can be cancelled within a second right after it was resumed', async () => {
    const client = await LspClient.start('ipc', { storage: join(folder, 'cancelled') });
    const job = await start(client);
    await progress(client, job, 3);
    process.kill(await computing(client), 'SIGKILL');
    const begin = performance.now();
    assert.deepEqual(await client.request<CancelAnswer>(Method.cancel, { job }), { cancelled: true });
    assert.ok(performance.now() - begin < 1000, `${performance.now() - begin} ms`);
    assert.deepEqual(childrenOf(client.process.pid!), []);
    assert.equal((await runs(client))[0]?.state, 'cancelled');
    await client.stop();
  });
});

describe('a language server that goes', () => {
  it('leaves its analysis to the next, which has it going within 5 seconds', async () => {
    const storage = join(folder, 'reloaded');
    for (const way of ['shutdown', 'kill'] as const) {
      const first = await LspClient.start('ipc', { storage });
      // Another seed is another question, and so not answered from before.
      const seed = way === 'kill' ? 1 : 7;
      const job = await start(first, { seed });
      await progress(first, job, 2 + random.below(8));
      if (way === 'kill') first.process.kill('SIGKILL');
      else await first.stop();
      const begin = performance.now();
      const second = await LspClient.start('ipc', { storage });
      const answer = () => second.request<ResumeAnswer>(Method.resume, undefined);
      const { jobs } = await answer();
      assert.deepEqual(jobs, [{ job, checkpoint }]);
      await progress(second, job, 1);
      assert.ok(performance.now() - begin < 5000, `${performance.now() - begin} ms`);
      assert.deepEqual((await answer()).jobs, jobs, 'asked twice, it runs once');
      const survived = comparable(await result(second, job));
      if (way === 'kill') assert.deepEqual(survived, undisturbed);
      await second.stop();
    }
  });

  it('leaves a run to one of two windows', async () => {
    const storage = join(folder, 'windows');
    const first = await LspClient.start('ipc', { storage });
    const job = await start(first);
    await progress(first, job, 3);
    const others = [await LspClient.start('ipc', { storage }), await LspClient.start('ipc', { storage })];
    const resume = () => Promise.all(others.map((other) => other.request<ResumeAnswer>(Method.resume, undefined)));
    assert.deepEqual(
      (await resume()).map(({ jobs }) => jobs),
      [[], []],
      'it runs elsewhere',
    );
    assert.equal((await runs(others[0]!))[0]?.state, 'running');
    first.process.kill('SIGKILL');
    const owner = await others[0]!.until('one of them to go on', () =>
      others.find(({ events }) => events.some((event) => event.job === job)),
    );
    await result(owner, job);
    const idle = others.find((other) => other !== owner)!;
    assert.deepEqual(idle.events, []);
    assert.equal((await runs(idle))[0]?.state, 'done');
    for (const other of others) await other.stop();
  });
});

describe('the same question', () => {
  it('is answered at once, also for a copy elsewhere, and anew when anything differs', async () => {
    const storage = join(folder, 'cache');
    const client = await LspClient.start('ipc', { storage });
    const first = await result(client, await start(client));
    const again = await start(client);
    assert.deepEqual(await result(client, again), first);
    const event = (job: string, kind: string) => client.events.filter((e) => e.job === job && e.event.kind === kind);
    assert.equal(event(again, 'progress').length, 0, 'nothing is computed');
    assert.ok(event(again, 'done')[0]!.cached! <= Date.now());
    assert.equal((await runs(client)).length, 1);
    await client.stop();

    const next = await LspClient.start('ipc', { storage });
    const copy = join(folder, 'copy', 'other-name.onnx');
    mkdirSync(join(folder, 'copy'));
    copyFileSync(checkpoint, copy);
    const { job } = await next.request<StartAnswer>(Method.start, { checkpoint: copy, options });
    assert.deepEqual(await result(next, job), { ...first, checkpoint: copy });
    const stored = await next.request<ResultAnswer>(Method.result, { uri: pathToFileURL(copy).href });
    assert.equal(stored.result?.checkpoint, copy);

    const isComputed = async (more: Partial<AnalysisOptions>) => {
      const other = await start(next, more);
      await progress(next, other, 1);
      await next.request(Method.cancel, { job: other });
    };
    await isComputed({ seed: 5 });
    appendFileSync(join(folder, 'data', 'more'), 'x');
    await isComputed({});
    rmSync(join(folder, 'data', 'more'));
    assert.equal(comparable(await result(next, await start(next))).loss, first.loss);
    appendFileSync(checkpoint, Buffer.from([0x32, 0x01, 0x78]));
    await isComputed({});
    copyFileSync(resolve('samples/digits.onnx'), checkpoint);
    await next.stop();
  });

  it('is forgotten with its run', async () => {
    const storage = join(folder, 'runs');
    const client = await LspClient.start('ipc', { storage });
    const job = await start(client);
    await progress(client, job, 1);
    assert.match(JSON.stringify(await client.request(Method.deleteRun, { run: job })), /cancel it first/);
    await client.request(Method.renameRun, { run: job, name: '  before pruning ' });
    const first = await result(client, job);
    assert.equal((await runs(client))[0]?.name, 'before pruning');
    assert.equal((await runs(client))[0]?.limits[0]?.sparsity, first.limits[0]?.sparsity);
    const { result: kept } = await client.request<ResultAnswer>(Method.runResult, { run: job });
    assert.deepEqual(kept, first);
    assert.deepEqual(await client.request<EditAnswer>(Method.deleteRun, { run: job }), { ok: true });
    assert.deepEqual(await runs(client), []);
    assert.deepEqual(readdirSync(storage), []);
    assert.match(JSON.stringify(await client.request(Method.renameRun, { run: job, name: 'x' })), /not found/);
    const again = await start(client);
    await progress(client, again, 1);
    await client.request(Method.cancel, { job: again });
    await client.stop();
  });
});
