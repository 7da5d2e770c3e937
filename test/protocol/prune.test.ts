/** Pruning through the built language server and the built compute process, as the editor asks for it. */
import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { CodeLens } from 'vscode-languageserver/node';
import type { AnalysisOptions, AnalysisResult } from '../../protocol/analysis';
import {
  Method,
  type CancelAnswer,
  type InspectAnswer,
  type JobEvent,
  type PruneAnswer,
  type PruneParams,
  type StartAnswer,
} from '../../protocol/messages';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { tinyShards } from '../checkpoints/shards';
import { childrenOf, LspClient } from './lsp-client';

const quick: AnalysisOptions = {
  ...DEFAULT_OPTIONS,
  data: { ...DEFAULT_OPTIONS.data, path: resolve('samples/data'), samples: 256 },
  steps: 24,
  tolerance: 0.5,
  threads: 1,
};

describe('pruning for an editor', () => {
  let client: LspClient;
  let folder: string;
  let checkpoint: string;
  let result: AnalysisResult;
  const output = (name = 'pruned.onnx') => join(folder, name);
  const ask = (more: Partial<PruneParams> = {}) =>
    client.request<PruneAnswer>(Method.prune, {
      uri: pathToFileURL(checkpoint).href,
      output: pathToFileURL(output()).href,
      sparsity: null,
      allowDisconnected: false,
      ...more,
    } satisfies PruneParams);
  const ended = async (answer: PruneAnswer): Promise<JobEvent['event']> => {
    assert.ok('job' in answer, JSON.stringify(answer));
    return client.ended(answer.job);
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pruning-limit-prune-'));
    checkpoint = join(folder, 'net.onnx');
    copyFileSync(resolve('samples/digits.onnx'), checkpoint);
    client = await LspClient.start('ipc');
  });
  after(async () => {
    await client.stop();
    rmSync(folder, { recursive: true });
  });

  it('needs a limit first', async () => {
    assert.deepEqual(await ask(), {
      error: { message: `no limit of ${checkpoint}: compute it first`, category: 'input' },
    });
    const { job } = await client.request<StartAnswer>(Method.start, { checkpoint, options: quick });
    const end = await client.ended(job);
    assert.ok(end.kind === 'done', JSON.stringify(end));
    result = end.result;
    assert.ok(result.limits[0]!.resolved);
  });

  it('offers it above the layers', async () => {
    const { uri } = await client.openLayers(checkpoint);
    const lenses = await client.request<CodeLens[]>('textDocument/codeLens', { textDocument: { uri } });
    const [lens] = lenses.filter(({ command }) => command?.command === 'pruningLimit.prune');
    assert.deepEqual(lens?.command?.arguments, [pathToFileURL(checkpoint).href]);
  });

  it('writes the checkpoint at the limit and says what it costs', async () => {
    const before = readFileSync(checkpoint);
    const answer = await ask();
    const end = await ended(answer);
    assert.ok(end.kind === 'pruned', JSON.stringify(end));
    const pruned = end.result;
    assert.equal(pruned.output, output());
    assert.equal(pruned.asked, result.limits[0]!.sparsity);
    assert.deepEqual(
      pruned.layers.map(({ kept }) => kept),
      result.layers.map(({ keptAtLimit }) => keptAtLimit),
    );
    assert.deepEqual(pruned.measured!.before, { loss: result.loss, correct: result.accuracy.correct });
    assert.deepEqual(readFileSync(checkpoint), before);
    const events = client.events.filter((event) => 'job' in answer && event.job === answer.job);
    assert.ok(events.every(({ task }) => task === 'prune'));
    assert.ok(events.some(({ event }) => event.kind === 'progress' && event.phase === 'pruning'));
    assert.equal(events.at(-1)!.event.kind, 'pruned', 'nothing follows the end');

    const inspected = await client.request<InspectAnswer>(Method.inspect, { uri: pathToFileURL(output()).href });
    assert.ok('summary' in inspected);
    assert.deepEqual(
      inspected.summary.layers.map(({ weights, zeros }) => weights - zeros!),
      pruned.layers.map(({ kept }) => kept),
    );
  });

  it('replaces what the user was asked about, and the checkpoint never', async () => {
    const end = await ended(await ask({ sparsity: 0.25 }));
    assert.ok(end.kind === 'pruned' && !end.result.atLimit && end.result.asked === 0.25, JSON.stringify(end));
    const refused = await ended(await ask({ output: pathToFileURL(checkpoint).href }));
    assert.ok(refused.kind === 'failed', JSON.stringify(refused));
    assert.equal(refused.error.category, 'input');
    assert.match(refused.error.message, /^file is an input: .*net\.onnx; choose another place/);
  });

  it('replaces no file of another model', async () => {
    const place = join(folder, 'other');
    mkdirSync(place);
    for (const [name, content] of Object.entries(tinyShards())) {
      writeFileSync(join(folder, name), content);
      writeFileSync(join(place, name), content);
    }
    const before = new Map(readdirSync(place).map((name) => [name, readFileSync(join(place, name))]));
    const params = { output: pathToFileURL(join(place, 'pruned.json')).href, sparsity: 0.5 };
    const end = await ended(await ask({ ...params, uri: pathToFileURL(join(folder, 'model.json')).href }));
    assert.ok(end.kind === 'pruned', JSON.stringify(end));
    const companions = ['a', 'b'].map((name) => join(place, `pruned.${name}.bin`));
    assert.deepEqual(end.result.companions, companions);
    for (const [name, bytes] of before) assert.ok(readFileSync(join(place, name)).equals(bytes), name);
  });

  it('tells an editor that the network would be cut, and cuts it on request', async () => {
    const params = { sparsity: 1, output: pathToFileURL(output('cut.onnx')).href };
    const refused = await ended(await ask(params));
    assert.ok(refused.kind === 'failed', JSON.stringify(refused));
    assert.equal(refused.error.reason, 'disconnected');
    assert.ok(!existsSync(output('cut.onnx')));
    const end = await ended(await ask({ ...params, allowDisconnected: true }));
    assert.ok(end.kind === 'pruned' && end.result.disconnected.length > 0, JSON.stringify(end));
    assert.ok(existsSync(output('cut.onnx')));
  });

  it('writes other formats as they were, and as ONNX where the name ends so', async () => {
    const keras = join(folder, 'sequential.keras');
    copyFileSync(resolve('test/checkpoints/files/sequential.keras'), keras);
    for (const [name, format] of [
      ['half.keras', 'Keras'],
      ['half.onnx', 'ONNX'],
    ] as const) {
      const [uri, target] = [keras, output(name)].map((path) => pathToFileURL(path).href) as [string, string];
      const end = await ended(await ask({ uri, output: target, sparsity: 0.5, allowDisconnected: true }));
      assert.ok(end.kind === 'pruned', JSON.stringify(end));
      const inspected = await client.request<InspectAnswer>(Method.inspect, { uri: target });
      assert.ok('summary' in inspected, JSON.stringify(inspected));
      assert.match(inspected.summary.format, new RegExp(`^${format}`));
      assert.deepEqual(
        inspected.summary.layers.map(({ name, weights, zeros }) => [name, weights - zeros!]),
        end.result.layers.map(({ name, kept }) => [name, kept]),
      );
    }
  });

  it('can be cancelled, and leaves nothing behind', async () => {
    // A process that has told its end may still be going.
    await client.until('the processes before to be gone', () => childrenOf(client.process.pid!).length === 0);
    const before = readdirSync(folder).sort();
    const answer = await ask({ output: pathToFileURL(output('never.onnx')).href });
    assert.ok('job' in answer);
    const cancelled = await client.request<CancelAnswer>(Method.cancel, { job: answer.job });
    assert.deepEqual(cancelled, { cancelled: true });
    assert.equal((await client.ended(answer.job)).kind, 'cancelled');
    assert.deepEqual(childrenOf(client.process.pid!), []);
    assert.deepEqual(readdirSync(folder).sort(), before);
  });

  it('refuses the limit of a checkpoint that has changed since', async () => {
    utimesSync(checkpoint, new Date(), new Date(Date.now() + 60_000));
    const answer = await ask();
    assert.ok('error' in answer);
    assert.match(answer.error.message, /^limit out of date: .*net\.onnx has changed since; compute it again$/);
  });
});
