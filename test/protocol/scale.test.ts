/** Large networks, large files, many checkpoints and broken analysis files: the server answers, usably. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { CodeLens, Diagnostic, DocumentSymbol, FoldingRange, Hover, InlayHint } from 'vscode-languageserver/node';
import type { AnalysisResult, LayerResult } from '../../protocol/analysis';
import {
  Method,
  type HealthAnswer,
  type InspectAnswer,
  type OptionsAnswer,
  type ResultAnswer,
  type RunsAnswer,
} from '../../protocol/messages';
import { layerWarnings } from '../../server/src/analysis/warnings';
import { RunStore, type StoredRun } from '../../server/src/jobs/run-store';
import { fileStamp } from '../../server/src/lsp/results';
import { layerLines } from '../../server/src/report/layers-text';
import { tinyModel } from '../cli/subject';
import { temporaryFolder } from '../files';
import { floats, modelBytes, node } from '../onnx-models';
import { sampleResult } from '../results';
import { childrenOf, LspClient } from './lsp-client';

const LAYERS = 5000;
const layerName = (i: number): string => `stage${Math.floor(i / 1000)}.block${Math.floor(i / 10)}.fc${i % 10}.weight`;

/** A chain of so many products. */
function deepModel(layers: number): Uint8Array {
  return modelBytes({
    inputs: [['x', ['N', 4]]],
    outputs: [['y', ['N', 4]]],
    nodes: Array.from({ length: layers }, (_, i) =>
      node('MatMul', [i === 0 ? 'x' : `h${i}`, layerName(i)], [i === layers - 1 ? 'y' : `h${i + 1}`]),
    ),
    tensors: Array.from({ length: layers }, (_, i) =>
      floats(
        layerName(i),
        [4, 4],
        Array.from({ length: 16 }, (_, j) => (i + j) / layers),
      ),
    ),
  });
}

function deepResult(checkpoint: string): AnalysisResult {
  const layers = Array.from({ length: LAYERS }, (_, i): LayerResult => ({
    name: layerName(i),
    op: 'MatMul',
    shape: [4, 4],
    weights: 16,
    zeros: 1,
    sparsityAtLimit: i % 5 === 0 ? 1 : 0.875,
    keptAtLimit: i % 5 === 0 ? 0 : 2,
    trace: 1,
    traceStandardError: 0.1,
    curvatureShare: 1 / LAYERS,
  }));
  return { ...sampleResult, checkpoint, layers, warnings: layerWarnings(layers, sampleResult.limits[0]!) };
}

const runOf = (id: string, result: AnalysisResult): StoredRun => ({
  id,
  name: null,
  checkpoint: result.checkpoint,
  state: 'done',
  started: 1,
  ended: 2,
  limits: result.limits.map(({ operator, sparsity, interval, resolved }) => ({
    operator,
    sparsity,
    interval,
    resolved,
  })),
  error: null,
  samples: 2000,
  request: { checkpoint: result.checkpoint, options: result.options },
  key: null,
  stamp: fileStamp(result.checkpoint),
  owner: process.pid,
  claims: 0,
  asked: 1,
  resumed: 0,
});

describe('a network of 5,000 layers', () => {
  it('has its summary, hints, folds, outline, hovers and warnings', async (t) => {
    const folder = temporaryFolder(t, { 'deep.onnx': deepModel(LAYERS) });
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

/** One matrix of so many MiB in a network that classifies; the file is written without holding it. */
function writeLarge(path: string, mebibytes: number): void {
  const rows = mebibytes;
  const columns = 2 ** 18;
  const head = modelBytes({
    inputs: [['x', ['N', rows]]],
    outputs: [['y', ['N', columns]]],
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    tensors: [],
  });
  // A message may be written twice: the fields of the second are added to the first.
  const varint = (value: number): number[] => {
    const bytes: number[] = [];
    for (let rest = value; ; rest = Math.floor(rest / 128)) {
      bytes.push((rest % 128) + (rest >= 128 ? 128 : 0));
      if (rest < 128) return bytes;
    }
  };
  const size = 4 * rows * columns;
  const tensor = [
    ...[0x08, ...varint(rows)],
    ...[0x08, ...varint(columns)],
    0x10,
    1,
    0x42,
    1,
    0x77,
    0x4a,
    ...varint(size),
  ];
  const inner = tensor.length + size;
  const initializer = [0x2a, ...varint(inner), ...tensor];
  const graph = [0x3a, ...varint(initializer.length + size), ...initializer];
  const file = openSync(path, 'w');
  writeSync(file, head);
  writeSync(file, Buffer.from(graph));
  const row = Buffer.alloc(2 ** 20, 0x3c);
  for (let i = 0; i < mebibytes; i++) writeSync(file, row);
  closeSync(file);
}
