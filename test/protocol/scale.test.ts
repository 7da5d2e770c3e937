/** Large networks, large files, many checkpoints and broken analysis files: the server answers, usably. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { CodeLens, Diagnostic, DocumentSymbol, FoldingRange, Hover, InlayHint } from 'vscode-languageserver/node';
import {
  Method,
  type HealthAnswer,
  type InspectAnswer,
  type OptionsAnswer,
  type CancelAnswer,
  type StartAnswer,
  type ResultAnswer,
  type RunsAnswer,
} from '../../protocol/messages';
import { RunStore } from '../../server/src/jobs/run-store';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { layerLines } from '../../server/src/report/layers-text';
import { tinyModel, tinySubject } from '../cli/subject';
import { temporaryFolder } from '../files';
import { deepModel, deepResult, LAYERS, runOf, writeLarge } from '../large';
import { sampleResult } from '../results';
import { childrenOf, LspClient, STALLED } from './lsp-client';

describe('a network of 5,000 layers', () => {
  it('has its summary, hints, folds, outline, hovers and warnings', async (t) => {
    const folder = temporaryFolder(t, { 'deep.onnx': deepModel() });
    const checkpoint = join(folder, 'deep.onnx');
    const result = deepResult(checkpoint);
    new RunStore(join(folder, 'runs')).putResult(runOf('deep', result), result);
    const client = await LspClient.start('stdio', { storage: join(folder, 'runs') }, folder);
    t.after(() => client.stop());
    const { uri, text } = await client.openLayers(checkpoint);
    const textDocument = { uri };
    const lines = layerLines(text);
    assert.equal(lines.length, LAYERS);
    assert.ok(text.length < 2 ** 20, `${text.length} characters`);

    const symbols = await client.request<DocumentSymbol[]>('textDocument/documentSymbol', { textDocument });
    assert.deepEqual(
      symbols.map(({ name, children }) => [name, children?.length]),
      [0, 1, 2, 3, 4].map((stage) => [`stage${stage}`, 100]),
    );
    const folds = await client.request<FoldingRange[]>('textDocument/foldingRange', { textDocument });
    assert.equal(folds.length, 1 + 5 + 500);
    // What an editor asks for is what it shows.
    const shown = { start: { line: 2000, character: 0 }, end: { line: 2049, character: 0 } };
    const hints = await client.request<InlayHint[]>('textDocument/inlayHint', { textDocument, range: shown });
    assert.equal(hints.length, 50);
    const position = { line: lines.at(-1)!.line, character: 1 };
    const hover = await client.request<Hover>('textDocument/hover', { textDocument, position });
    assert.match((hover.contents as { value: string }).value, /stage4\.block499\.fc9\.weight.*kept at the limit/s);
    assert.ok((await client.request<CodeLens[]>('textDocument/codeLens', { textDocument })).length > 0);
    const { diagnostics } = await client.until('diagnostics', () => client.diagnostics.get(uri));
    assert.equal(diagnostics.length, 21, 'a thousand vanish: those named, and how many more');
    assert.match(String(diagnostics.at(-1)!.message), /^980 more layers vanish/);
    // The editor is told of a result in one message.
    const stored = await client.request<ResultAnswer>(Method.result, { uri: pathToFileURL(checkpoint).href });
    assert.equal(stored.result?.layers.length, LAYERS);
  });
});

describe('a large checkpoint', () => {
  it('is listed while the server answers, in a process that may be lost', async (t) => {
    const folder = temporaryFolder(t, { 'small.onnx': tinyModel() });
    const large = join(folder, 'large.onnx');
    writeLarge(large, 100);
    const client = await LspClient.start('stdio', {}, folder);
    t.after(() => client.stop());
    const inspect = (name: string) =>
      client.request<InspectAnswer>(Method.inspect, { uri: pathToFileURL(join(folder, name)).href });
    let listed = false;
    const listing = inspect('large.onnx').finally(() => (listed = true));
    await client.request<HealthAnswer>(Method.health, undefined);
    assert.equal(listed, false, 'answered before the listing is there');
    const [lister] = await client.until('the listing process', () => {
      const found = childrenOf(client.process.pid!, 'listing.js');
      return found.length > 0 && found;
    });
    const answer = await listing;
    assert.ok('summary' in answer, JSON.stringify(answer));
    assert.equal(answer.summary.parameters.prunable, (100 * 2 ** 20) / 4);

    // Killed while it reads, it costs that listing alone.
    process.kill(lister!, 'SIGSTOP');
    writeLarge(large, 101);
    const [lost, small] = [inspect('large.onnx'), inspect('small.onnx')];
    await client.request<HealthAnswer>(Method.health, undefined);
    process.kill(lister!, 'SIGKILL');
    const failure = await lost;
    assert.ok('error' in failure, JSON.stringify(failure));
    assert.match(failure.error.message, /^checkpoint not listed: .*large\.onnx; /);
    assert.ok('summary' in (await small));
    assert.ok('summary' in (await inspect('large.onnx')), 'and is read when it is asked for again');
  });
});

describe('a server with an analysis under way and a large checkpoint to list', () => {
  it('answers whatever it is asked meanwhile, and cancels at once', async (t) => {
    const folder = tinySubject(t, { 'deep.onnx': deepModel() });
    const [checkpoint, deep] = [join(folder, 'net.onnx'), join(folder, 'deep.onnx')];
    const storage = join(folder, 'runs');
    const answer = deepResult(deep);
    new RunStore(storage).putResult(runOf('deep', answer), answer);
    writeLarge(join(folder, 'large.onnx'), 100);
    const client = await LspClient.start('stdio', { storage }, folder);
    t.after(() => client.stop());
    const textDocument = { uri: (await client.openLayers(deep)).uri };
    const data = { ...DEFAULT_OPTIONS.data, path: join(folder, 'data'), samples: 'all' } as const;
    const options = { ...DEFAULT_OPTIONS, data, batch: 1, steps: 4000, tolerance: 1e-6, threads: 1 };
    const { job } = await client.request<StartAnswer>(Method.start, { checkpoint, options });
    await client.until('progress', () => client.events.some(({ event }) => event.kind === 'progress'));
    await client.request<HealthAnswer>(Method.health, undefined);
    const uri = pathToFileURL(join(folder, 'large.onnx')).href;
    const listing = client.request<InspectAnswer>(Method.inspect, { uri });

    const waits: [asked: string, milliseconds: number][] = [];
    for (let line = 0; line < LAYERS; line += 250) {
      const [range, position] = [
        { start: { line, character: 0 }, end: { line: line + 50, character: 0 } },
        { line: line + 20, character: 1 },
      ];
      for (const [asked, params] of [
        ['inlayHint', { textDocument, range }],
        ['hover', { textDocument, position }],
        ['codeLens', { textDocument }],
        ['foldingRange', { textDocument }],
        ['documentSymbol', { textDocument }],
      ] as const) {
        const begin = performance.now();
        assert.ok(await client.request(`textDocument/${asked}`, params), asked);
        waits.push([asked, performance.now() - begin]);
      }
    }
    const { delay } = await client.request<HealthAnswer>(Method.health, undefined);
    const [asked, longest] = waits.sort(([, a], [, b]) => b - a)[0]!;
    t.diagnostic(
      `longest wait ${longest.toFixed(0)} ms, for ${asked}; longest turn of the loop ${delay.toFixed(0)} ms`,
    );
    assert.ok(longest < STALLED && delay < STALLED, `${asked}: ${longest} ms, loop ${delay} ms`);
    const begin = performance.now();
    assert.deepEqual(await client.request<CancelAnswer>(Method.cancel, { job }), { cancelled: true });
    assert.ok(performance.now() - begin < STALLED, `${performance.now() - begin} ms`);
    assert.ok('summary' in (await listing));
  });
});

describe('200 checkpoints in one folder', () => {
  it('have their runs, lenses and checks, a readable number of them', async (t) => {
    const folder = temporaryFolder(t, { 'net0.onnx': tinyModel() });
    const store = new RunStore(join(folder, 'runs'));
    for (let i = 0; i < 200; i++) {
      const checkpoint = join(folder, `net${i}.onnx`);
      if (i > 0) copyFileSync(join(folder, 'net0.onnx'), checkpoint);
      store.putResult(runOf(`run${i}`, { ...sampleResult, checkpoint }), { ...sampleResult, checkpoint });
    }
    const client = await LspClient.start('stdio', { storage: join(folder, 'runs') }, folder);
    t.after(() => client.stop());
    const { runs } = await client.request<RunsAnswer>(Method.runs, undefined);
    assert.equal(runs.length, 200);
    mkdirSync(join(folder, 'data'));
    const uri = pathToFileURL(join(folder, 'pruning-limit.json')).href;
    const text = JSON.stringify({
      analyses: [
        {
          checkpoint: '*.onnx',
          targetSparsity: 0.999,
          data: { path: 'data', normalize: { mean: [0, 0], deviation: [1, 1] } },
        },
      ],
    });
    await client.connection.sendNotification('textDocument/didOpen', {
      textDocument: { uri, languageId: 'json', version: 1, text },
    });
    const lenses = await client.request<CodeLens[]>('textDocument/codeLens', { textDocument: { uri } });
    assert.equal(lenses.length, 3);
    const { diagnostics } = await client.until('diagnostics', () => client.diagnostics.get(uri));
    const about = (pattern: RegExp) => diagnostics.filter(({ message }) => pattern.test(String(message))).length;
    assert.equal(about(/Gauss–Newton limit/), 20);
    assert.equal(about(/2 numbers, but the input/), 20);
    for (let i = 0; i < 200; i += 40) {
      const { result } = await client.request<ResultAnswer>(Method.result, {
        uri: pathToFileURL(join(folder, `net${i}.onnx`)).href,
      });
      assert.equal(result?.checkpoint, join(folder, `net${i}.onnx`));
    }
    assert.equal(childrenOf(client.process.pid!, 'listing.js').length, 1, 'one process lists them all');
  });
});

describe('a malformed pruning-limit.json', () => {
  const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const entry = (more: string) => `{"analyses": [{"checkpoint": "*.onnx", "data": {"path": "data"}${more}}]}`;
  const cases: readonly (readonly [what: string, content: string | Buffer, says: RegExp])[] = [
    ['syntax error', '{"analyses": [', /: not JSON: /],
    ['empty', '', /: not JSON: /],
    ['only a quote', '"', /: not JSON: /],
    ['another type on top', '[]', /the file must be an object, is \[\]/],
    ['a list that is none', '{"analyses": {"a": 1}}', /analyses must be a list, is an object/],
    ['an entry that is none', '{"analyses": [7]}', /analyses\[0\] must be an object, is 7/],
    [
      'a wrong type',
      entry(', "steps": "many"'),
      /analyses\[0\]\.steps must be a whole number of at least 0, is "many"/,
    ],
    ['a number out of range', entry(', "tolerance": 1e999'), /analyses\[0\]\.tolerance must be a number/],
    ['deeply nested', `{"analyses": ${deep(100_000)}}`, /analyses\[0\] must be an object, is a list of 1/],
    ['deeply nested where a text belongs', entry(`, "architecture": ${deep(100_000)}`), /architecture must be a text/],
    ['huge', `{"analyses": []}${' '.repeat(2 ** 20)}`, /too large: an analysis file has at most 1 MiB/],
    ['a long text', entry(`, "curvature": "${'x'.repeat(10_000)}"`), /must be one of both, hessian, ggn, is "x{79}…$/],
    ['UTF-16', Buffer.from('\ufeff{"analyses": []}', 'utf16le'), /not UTF-8; save it with that encoding/],
    ['Latin-1', Buffer.from('{"analyses": ["ä"]}', 'latin1'), /not UTF-8; save it with that encoding/],
    ['names of the prototype', '{"analyses": [{"__proto__": 1, "checkpoint": "*"}]}', /unknown property .*__proto__/],
  ];

  it('is refused with its place, whatever is wrong, and harms nothing while it is open', async (t) => {
    const folder = temporaryFolder(t, { 'net.onnx': tinyModel(), 'data/x': '' });
    const file = join(folder, 'pruning-limit.json');
    const uri = pathToFileURL(file).href;
    const client = await LspClient.start('stdio', {}, folder);
    t.after(() => client.stop());
    const options = () =>
      client.request<OptionsAnswer>(Method.options, { uri: pathToFileURL(join(folder, 'net.onnx')).href });
    for (const [i, [what, content, says]] of cases.entries()) {
      writeFileSync(file, content);
      const answer = await options();
      assert.ok('error' in answer, `${what}: ${JSON.stringify(answer)}`);
      assert.equal(answer.error.category, 'input', what);
      assert.match(answer.error.message, says, what);
      assert.ok(answer.error.message.startsWith(`${file}: `) && answer.error.message.length < 600, what);
      const text = content.toString();
      await client.connection.sendNotification('textDocument/didOpen', {
        textDocument: { uri, languageId: 'json', version: i, text },
      });
      await client.request('textDocument/codeLens', { textDocument: { uri } });
      await client.until(`the check of ${what}`, () => client.diagnostics.get(uri)?.version === i);
      const { diagnostics } = client.diagnostics.get(uri)!;
      if (what === 'huge') assert.match(String((diagnostics[0] as Diagnostic).message), /at most 1 MiB/);
      await client.connection.sendNotification('textDocument/didClose', { textDocument: { uri } });
    }
    // With a byte order mark, as some editors write it, there is nothing wrong.
    writeFileSync(file, `\ufeff${entry('')}`);
    assert.ok('options' in (await options()));
    rmSync(file);
    assert.deepEqual(await options(), { missing: true, file: null });
    assert.deepEqual(
      client.logged.filter((line) => /was not checked/.test(line)),
      [],
    );
  });
});
