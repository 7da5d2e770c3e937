/** What goes wrong around an analysis costs neither it nor what is known, and is said with what to do. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { AnalysisOptions, AnalysisResult } from '../../protocol/analysis';
import {
  Method,
  type CancelAnswer,
  type PruneAnswer,
  type PruneParams,
  type ResultAnswer,
  type RunsAnswer,
  type StartAnswer,
} from '../../protocol/messages';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { tinyData, tinyModel } from '../cli/subject';
import { makeReadOnly, smallDisk, withoutMounts } from '../disks';
import { temporaryFolder } from '../files';
import { writeLarge } from '../large';
import { childrenOf, LspClient, STALLED } from './lsp-client';

/** A network, data and storage in folders of their own, and a server. */
class Bench {
  readonly folder: string;
  readonly checkpoint: string;
  readonly data: string;
  readonly storage: string;
  client!: LspClient;

  private constructor(t: TestContext, storage?: string) {
    const data = Object.entries(tinyData({ count: 240 })).map(([name, bytes]) => [`data/${name}`, bytes] as const);
    this.folder = temporaryFolder(t, { 'net.onnx': tinyModel(), ...Object.fromEntries(data) });
    this.checkpoint = join(this.folder, 'net.onnx');
    this.data = join(this.folder, 'data');
    this.storage = storage ?? join(this.folder, 'storage');
  }

  static async open(t: TestContext, storage?: string): Promise<Bench> {
    const bench = new Bench(t, storage);
    bench.client = await LspClient.start('stdio', { storage: bench.storage }, bench.folder);
    t.after(() => bench.client.stop());
    return bench;
  }

  options(more: Partial<AnalysisOptions> = {}): AnalysisOptions {
    return {
      ...DEFAULT_OPTIONS,
      data: { ...DEFAULT_OPTIONS.data, path: this.data, samples: 'all' },
      threads: 1,
      steps: 12,
      tolerance: 1e-6,
      ...more,
    };
  }

  /** Few samples a batch: long enough to be caught in the middle. */
  slowly(steps = 24): AnalysisOptions {
    return this.options({ batch: 8, steps });
  }

  async start(options = this.options()): Promise<string> {
    return (await this.client.request<StartAnswer>(Method.start, { checkpoint: this.checkpoint, options })).job;
  }

  async result(job: string): Promise<AnalysisResult> {
    const end = await this.client.ended(job);
    assert.ok(end.kind === 'done', JSON.stringify(end));
    return end.result;
  }

  /** Resolves when the job measures curvature: everything was read by then. */
  async measures(job: string): Promise<void> {
    await this.client.until('curvature', () =>
      this.client.events.some((e) => e.job === job && e.event.kind === 'partial' && e.event.result.limits.length > 0),
    );
  }

  async progress(job: string, count = 1): Promise<void> {
    await this.client.until('progress', () => {
      return this.client.events.filter((e) => e.job === job && e.event.kind === 'progress').length >= count;
    });
  }

  async failure(job: string): Promise<string> {
    const end = await this.client.ended(job);
    assert.ok(end.kind === 'failed', JSON.stringify(end));
    return end.error.message;
  }

  async runs(): Promise<RunsAnswer['runs']> {
    return (await this.client.request<RunsAnswer>(Method.runs, undefined)).runs;
  }

  uri(name = 'net.onnx'): string {
    return pathToFileURL(join(this.folder, name)).href;
  }

  async prune(output: string): Promise<string> {
    const params = {
      uri: this.uri(),
      output: pathToFileURL(output).href,
      sparsity: 0.5,
      allowDisconnected: true,
    } satisfies PruneParams;
    const answer = await this.client.request<PruneAnswer>(Method.prune, params);
    assert.ok('job' in answer, JSON.stringify(answer));
    return answer.job;
  }

  async computing(): Promise<number> {
    return this.client.until('a process', () => childrenOf(this.client.process.pid!)[0]);
  }
}

const codes = ({ warnings }: AnalysisResult) => warnings.map(({ code }) => code);
const comparable = (result: AnalysisResult) => JSON.parse(JSON.stringify({ ...result, time: null })) as unknown;

describe('files that change under an analysis', () => {
  it('a checkpoint: the answer is kept, says so, and is not the answer for the new one', async (t) => {
    const bench = await Bench.open(t);
    const job = await bench.start(bench.slowly());
    await bench.measures(job);
    writeFileSync(bench.checkpoint, tinyModel({ weight: 0.25 }));
    const result = await bench.result(job);
    const warning = result.warnings.find(({ code }) => code === 'inputs-changed');
    assert.match(warning!.message, /net\.onnx has changed since it was read: .*analyse it again/);
    assert.match(
      (await bench.client.openLayers(bench.checkpoint)).text,
      /the checkpoint has changed since: compute again/,
    );
    // Not even for the old content: what was read lay somewhere between the two.
    writeFileSync(bench.checkpoint, tinyModel());
    const again = await bench.start(bench.slowly());
    await bench.progress(again);
    await bench.client.request(Method.cancel, { job: again });
  });

  it('a checkpoint that vanishes: the answer stays, and the text says what is missing', async (t) => {
    const bench = await Bench.open(t);
    const job = await bench.start(bench.slowly());
    await bench.measures(job);
    rmSync(bench.checkpoint);
    const result = await bench.result(job);
    assert.match(result.warnings.find(({ code }) => code === 'inputs-changed')!.message, /has vanished.*put it back/);
    const stored = await bench.client.request<ResultAnswer>(Method.result, { uri: bench.uri() });
    assert.deepEqual(stored.result, result);
    assert.match((await bench.client.openLayers(bench.checkpoint)).text, /file not found: .*net\.onnx; check the path/);
    const next = await bench.start();
    assert.match(await bench.failure(next), /file not found: .*net\.onnx/);
  });

  it('data: the answer says so and is not taken for one about the new data', async (t) => {
    const bench = await Bench.open(t);
    const job = await bench.start(bench.slowly());
    await bench.measures(job);
    const labels = join(bench.data, 't10k-labels-idx1-ubyte');
    const bytes = readFileSync(labels);
    bytes[8] = (bytes[8]! + 1) % 3;
    writeFileSync(labels, bytes);
    assert.ok(codes(await bench.result(job)).includes('inputs-changed'));
    const again = await bench.start(bench.slowly());
    await bench.progress(again);
    await bench.client.request(Method.cancel, { job: again });
  });

  it('a process that dies after they have changed is begun again, with the answer for the new ones', async (t) => {
    const bench = await Bench.open(t);
    const job = await bench.start(bench.slowly(20));
    await bench.measures(job);
    writeFileSync(bench.checkpoint, tinyModel({ weight: 0.25 }));
    process.kill(await bench.computing(), 'SIGKILL');
    const survived = await bench.result(job);
    assert.ok(!codes(survived).includes('inputs-changed'));
    await bench.client.until('the log', () =>
      bench.client.logged.some((line) => /begun again, since its files/.test(line)),
    );
    await bench.client.request(Method.deleteRun, { run: job });
    assert.deepEqual(comparable(survived), comparable(await bench.result(await bench.start(bench.slowly(20)))));
  });
});

describe('a disk that is full', () => {
  it(
    'for runs: the answer is there, the user is told once, and it is written when there is room',
    {
      skip: withoutMounts(),
    },
    async (t) => {
      const disk = smallDisk(t, 400);
      const filler = join(disk, 'filler');
      writeFileSync(filler, Buffer.alloc(396 * 1024));
      const bench = await Bench.open(t, join(disk, 'runs'));
      const job = await bench.start();
      const result = await bench.result(job);
      await bench.client.until('the message', () => bench.client.shown.length > 0);
      assert.match(
        bench.client.shown.join('\n'),
        /^runs cannot be kept in .*: ENOSPC; free some space there, or they are lost[^\n]*$/,
      );
      const stored = await bench.client.request<ResultAnswer>(Method.result, { uri: bench.uri() });
      assert.deepEqual(stored.result, result);
      assert.equal((await bench.runs())[0]?.state, 'done');
      rmSync(filler);
      const folder = join(disk, 'runs', job);
      await bench.client.until('the result on the disk', () => existsSync(join(folder, 'result.json')));
      assert.deepEqual(readdirSync(folder).sort(), ['result.json', 'run.json']);
      assert.equal((JSON.parse(readFileSync(join(folder, 'run.json'), 'utf8')) as { state: string }).state, 'done');
    },
  );

  it('for the journal: the analysis goes on and the log says what that costs', { skip: withoutMounts() }, async (t) => {
    const disk = smallDisk(t, 24);
    const bench = await Bench.open(t, join(disk, 'runs'));
    const result = await bench.result(await bench.start(bench.options({ steps: 40 })));
    assert.ok(result.limits.length > 0);
    assert.match(
      bench.client.logged.join('\n'),
      /journal not written \(.*ENOSPC.*\): an interrupted analysis will begin again/,
    );
  });

  it(
    'for a pruned checkpoint: nothing of it is left, and what was there stays',
    { skip: withoutMounts() },
    async (t) => {
      const disk = smallDisk(t, 16);
      const bench = await Bench.open(t);
      writeFileSync(bench.checkpoint, tinyModel({ hidden: 300 }));
      const output = join(disk, 'pruned.onnx');
      writeFileSync(output, 'old');
      const message = await bench.failure(await bench.prune(output));
      assert.match(
        message,
        /^file not written: .*pruned\.onnx \(ENOSPC\); free some space there, or choose another place$/,
      );
      assert.deepEqual(readdirSync(disk), ['pruned.onnx']);
      assert.equal(readFileSync(output, 'utf8'), 'old');
    },
  );
});

describe('what cannot be written', () => {
  it(
    'a workspace: it is analysed all the same, and pruning says where to turn',
    { skip: withoutMounts() },
    async (t) => {
      const disk = smallDisk(t, 400);
      const bench = await Bench.open(t);
      const checkpoint = join(disk, 'net.onnx');
      writeFileSync(checkpoint, tinyModel());
      makeReadOnly(disk);
      const { job } = await bench.client.request<StartAnswer>(Method.start, { checkpoint, options: bench.options() });
      assert.equal((await bench.result(job)).checkpoint, checkpoint);
      const message = await bench.failure(await bench.prune(join(disk, 'pruned.onnx')));
      assert.match(message, /^file not written: .*pruned\.onnx \(EROFS\); choose another place$/);
    },
  );

  it('storage: runs live as long as the window, which the user is told', { skip: withoutMounts() }, async (t) => {
    const disk = smallDisk(t, 400);
    mkdirSync(join(disk, 'runs'));
    makeReadOnly(disk);
    const bench = await Bench.open(t, join(disk, 'runs'));
    const job = await bench.start();
    const result = await bench.result(job);
    assert.deepEqual((await bench.client.request<ResultAnswer>(Method.runResult, { run: job })).result, result);
    await bench.client.until('the message', () => bench.client.shown.length > 0);
    assert.match(bench.client.shown.join(), /^runs cannot be kept in .*: EROFS; make that folder writable/);
    const again = await bench.start();
    assert.deepEqual(await bench.result(again), result, 'answered from memory');
  });
});

describe('memory that runs out', () => {
  it('by what was granted: the setting is named, and nothing is tried again', async (t) => {
    const bench = await Bench.open(t);
    const message = await bench.failure(await bench.start(bench.options({ memory: 20 })));
    assert.match(message, /^memory too small: 20 MiB granted.*"pruningLimit\.memory"/);
    const job = await bench.start(bench.options({ memory: 20, seed: 2 }));
    await bench.client.ended(job);
    assert.equal(bench.client.events.filter((e) => e.job === job && e.event.kind === 'failed').length, 1);
  });

  it(
    'by a limit of the system: what to lower is named, and the server answers',
    {
      skip: process.platform !== 'linux' && 'needs prlimit',
    },
    async (t) => {
      const bench = await Bench.open(t);
      const job = await bench.start(bench.slowly(400));
      let ended = false;
      void bench.client.ended(job).then(() => (ended = true));
      const limited = new Set<number>();
      while (!ended) {
        const events = bench.client.events.length;
        const next = childrenOf(bench.client.process.pid!).find((pid) => !limited.has(pid));
        await bench.client.until('progress or the end', () => ended || bench.client.events.length > events + 3);
        if (next === undefined) continue;
        limited.add(next);
        // Less than it has: whatever it asks for from now on is refused.
        tryTo(() => execFileSync('prlimit', ['--pid', String(next), '--as=1000000'], { stdio: 'ignore' }));
      }
      const message = await bench.failure(job);
      assert.match(message, /memory ran out/);
      assert.match(message, /lower ("samples" or )?"batch"/);
      await bench.client.until('the process to be gone', () => childrenOf(bench.client.process.pid!).length === 0);
      assert.equal((await bench.runs())[0]?.error, message);
      assert.ok((await bench.result(await bench.start())).limits.length > 0);
    },
  );
});

describe('two windows on one workspace', () => {
  it("see each other's runs, names and answers", async (t) => {
    const bench = await Bench.open(t);
    const other = await LspClient.start('stdio', { storage: bench.storage }, bench.folder);
    t.after(() => other.stop());
    const stored = () => other.request<ResultAnswer>(Method.result, { uri: bench.uri() });
    assert.equal((await stored()).result, null);
    const job = await bench.start();
    const result = await bench.result(job);
    assert.deepEqual((await stored()).result, result);
    await other.request(Method.renameRun, { run: job, name: 'from the other' });
    assert.equal((await bench.runs())[0]?.name, 'from the other');
    const again = await other.request<StartAnswer>(Method.start, {
      checkpoint: bench.checkpoint,
      options: bench.options(),
    });
    await other.ended(again.job);
    assert.equal(other.events.filter(({ event }) => event.kind === 'progress').length, 0, 'answered from before');
    await bench.client.request(Method.deleteRun, { run: job });
    assert.equal((await stored()).result, null);
  });

  it('do not disturb each other when both ask the same', async (t) => {
    const bench = await Bench.open(t);
    const other = await LspClient.start('stdio', { storage: bench.storage }, bench.folder);
    t.after(() => other.stop());
    const request = { checkpoint: bench.checkpoint, options: bench.slowly(12) };
    const [one, two] = await Promise.all([
      bench.start(request.options),
      other.request<StartAnswer>(Method.start, request).then(({ job }) => job),
    ]);
    assert.notEqual(one, two);
    const [first, second] = await Promise.all([bench.result(one), other.ended(two)]);
    assert.ok(second.kind === 'done', JSON.stringify(second));
    assert.deepEqual(comparable(second.result), comparable(first));
    assert.deepEqual(
      (await bench.runs()).map(({ state }) => state),
      ['done', 'done'],
    );
  });
});

describe('cancel', () => {
  it('is told at once, and what is asked right after it is a job of its own', async (t) => {
    const bench = await Bench.open(t);
    const first = await bench.start(bench.slowly());
    await bench.progress(first);
    const cancelling = bench.client.request<CancelAnswer>(Method.cancel, { job: first });
    // Not awaited: the process is still dying.
    const second = await bench.start(bench.slowly());
    assert.notEqual(second, first);
    assert.deepEqual(await cancelling, { cancelled: true });
    assert.equal((await bench.client.ended(first)).kind, 'cancelled');
    await bench.progress(second);
    assert.deepEqual(await bench.client.request(Method.cancel, { job: second }), { cancelled: true });
    assert.deepEqual(childrenOf(bench.client.process.pid!), []);
    assert.deepEqual(
      (await bench.runs()).map(({ state }) => state),
      ['cancelled', 'cancelled'],
    );
    for (const { id } of await bench.runs()) assert.equal(existsSync(join(bench.storage, id, 'journal')), false);
  });

  it('acts at once in every phase', async (t) => {
    const bench = await Bench.open(t);
    // Long enough for each phase to be met: many samples, one a batch, measured besides.
    const measured = { ...bench.slowly(8), batch: 1, tolerance: 0.9, measure: { on: 'test', samples: 'all' } } as const;
    const phases = ['starting', 'opening', 'reading', 'compiling', 'evaluating', 'ggn', 'path', 'measuring'];
    for (const [at, phase] of phases.entries()) {
      const job = await bench.start({ ...measured, seed: at });
      // A phase shorter than the interval between two events may never be told: a later one will do.
      if (phase === 'opening') await bench.computing();
      else if (phase !== 'starting') {
        await bench.client.until(phase, () =>
          bench.client.events.some(
            (e) => e.job === job && e.event.kind === 'progress' && phases.indexOf(e.event.phase) >= at,
          ),
        );
      }
      const begin = performance.now();
      const { cancelled } = await bench.client.request<CancelAnswer>(Method.cancel, { job });
      const took = performance.now() - begin;
      assert.ok(cancelled, phase);
      assert.ok(took < STALLED, `${phase}: ${took} ms`);
      assert.equal((await bench.client.ended(job)).kind, 'cancelled', phase);
      assert.deepEqual(childrenOf(bench.client.process.pid!), [], phase);
    }
    // Of files that take long to be hashed, and then to be decoded, nothing is awaited.
    writeLarge(bench.checkpoint, 100);
    for (const moment of ['hashed', 'decoded'] as const) {
      const job = await bench.start();
      if (moment === 'decoded') await bench.computing();
      const begin = performance.now();
      assert.deepEqual(await bench.client.request(Method.cancel, { job }), { cancelled: true }, moment);
      assert.ok(performance.now() - begin < STALLED, moment);
      assert.equal((await bench.client.ended(job)).kind, 'cancelled', moment);
      assert.deepEqual(childrenOf(bench.client.process.pid!), [], moment);
    }
  });
});

function tryTo(action: () => void): void {
  try {
    action();
  } catch {
    // The process is gone already.
  }
}
