/**
 * The built language server and the built compute process, driven over their
 * wire without an editor: what they promise to any client.
 */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { CancellationTokenSource, DiagnosticSeverity } from 'vscode-languageserver/node';
import type {
  CodeAction,
  CodeLens,
  DocumentSymbol,
  FoldingRange,
  Hover,
  InlayHint,
  Location,
} from 'vscode-languageserver/node';
import type { AnalysisOptions } from '../../protocol/analysis';
import type { DoctorAnswer } from '../../protocol/doctor';
import {
  Method,
  type CancelAnswer,
  type InspectAnswer,
  type OptionsAnswer,
  type ResultAnswer,
  type StartAnswer,
} from '../../protocol/messages';
import { layerLines } from '../../server/src/report/layers-text';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { childrenOf, LspClient } from './lsp-client';

const SAMPLE = resolve('samples/digits.onnx');

/** Loose enough to be over soon. */
const quick: AnalysisOptions = {
  ...DEFAULT_OPTIONS,
  data: { ...DEFAULT_OPTIONS.data, path: resolve('samples/data'), samples: 256 },
  steps: 24,
  tolerance: 0.5,
};
/** Deep enough to be caught in the middle. */
const slow: AnalysisOptions = { ...quick, data: { ...quick.data, samples: 'all' }, steps: 4000, tolerance: 1e-6 };

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'pruning-limit-protocol-'));
});
after(() => rmSync(folder, { recursive: true }));

for (const transport of ['ipc', 'stdio'] as const) {
  describe(`language server over ${transport}`, () => {
    let client: LspClient;
    const start = (options: AnalysisOptions, checkpoint = SAMPLE) =>
      client.request<StartAnswer>(Method.start, { checkpoint, options }).then(({ job }) => job);
    const isRunning = (job: string) =>
      client.until('progress', () => client.events.some((e) => e.job === job && e.event.kind === 'progress'));

    beforeEach(async () => {
      client = await LspClient.start(transport);
    });
    afterEach(() => client.stop());

    it('analyses a checkpoint and tells how it goes', async () => {
      const job = await start(quick);
      const end = await client.ended(job);
      assert.ok(end.kind === 'done', JSON.stringify(end));
      assert.equal(end.result.checkpoint, SAMPLE);
      assert.ok(end.result.limits.length > 0);
      const kinds = client.events.map(({ event }) => event.kind);
      assert.ok(kinds.includes('progress') && kinds.includes('partial'), kinds.join());
      assert.equal(kinds.indexOf('done'), kinds.length - 1, 'nothing follows the end');
    });

    it('cancels within a second, and the compute process is gone by then', async () => {
      const job = await start(slow);
      await isRunning(job);
      assert.equal(childrenOf(client.process.pid!).length, 1);
      const begin = performance.now();
      const answer = await client.request<CancelAnswer>(Method.cancel, { job });
      assert.ok(performance.now() - begin < 1000, `${performance.now() - begin} ms`);
      assert.deepEqual(answer, { cancelled: true });
      assert.deepEqual(childrenOf(client.process.pid!), []);
      assert.equal((await client.ended(job)).kind, 'cancelled');
      assert.deepEqual(await client.request(Method.cancel, { job }), { cancelled: false });
    });

    it('survives the death of a compute process and says what happened', async () => {
      const job = await start(slow);
      await isRunning(job);
      process.kill(childrenOf(client.process.pid!)[0]!, 'SIGKILL');
      const end = await client.ended(job);
      assert.ok(end.kind === 'failed', JSON.stringify(end));
      assert.match(end.error.message, /SIGKILL.*pruningLimit\.memory/);
      const answer = await client.request<InspectAnswer>(Method.inspect, { uri: pathToFileURL(SAMPLE).href });
      assert.ok('summary' in answer && answer.summary.layers.length > 0);
      assert.equal((await client.ended(await start(quick))).kind, 'done');
    });

    it('keeps one job per checkpoint and several side by side', async () => {
      const copy = join(folder, `copy-${transport}.onnx`);
      copyFileSync(SAMPLE, copy);
      const [first, again, other] = [await start(slow), await start(slow), await start(slow, copy)];
      assert.equal(first, again);
      assert.notEqual(first, other);
      await isRunning(other);
      assert.equal(childrenOf(client.process.pid!).length, 2);
      await Promise.all([first, other].map((job) => client.request(Method.cancel, { job })));
    });

    it('takes its compute processes with it', async () => {
      await isRunning(await start(slow));
      const [compute] = childrenOf(client.process.pid!);
      await client.stop();
      await client.until('the compute process to be gone', () => !isAlive(compute!));
      client = await LspClient.start(transport);
    });

    it('refuses wrong input in one sentence', async () => {
      const options = { ...quick, data: { ...quick.data, path: join(folder, 'nowhere') } };
      const end = await client.ended(await start(options));
      assert.ok(end.kind === 'failed', JSON.stringify(end));
      assert.equal(end.error.category, 'input');
      assert.match(end.error.message, /nowhere/);
      assert.doesNotMatch(end.error.message, /\n| at .*:\d+/);
    });
  });
}

describe('doctor', () => {
  it(
    'examines the machine outside the server, which loads no engine',
    { skip: process.platform !== 'linux' },
    async () => {
      const client = await LspClient.start('stdio', { storage: join(folder, 'doctor') });
      try {
        const answer = await client.request<DoctorAnswer>(Method.doctor, { editor: 'a plain client', trusted: false });
        assert.ok('report' in answer, JSON.stringify(answer));
        assert.equal(answer.report.editor, 'a plain client');
        assert.equal(answer.report.settings['engine.provider'], 'auto');
        const tried = answer.report.providers.map(({ provider }) => provider);
        assert.ok(tried.includes('cpu') && !tried.includes('tfjs'), 'nothing of an untrusted workspace is run');
        assert.deepEqual(
          answer.report.storage.map(({ path, problem }) => [path, problem]),
          [[join(folder, 'doctor'), null]],
        );
        assert.match(answer.text, /^\| cpu +\| works/m);
        const maps = readFileSync(`/proc/${client.process.pid}/maps`, 'utf8');
        assert.doesNotMatch(maps, /onnxruntime/);
      } finally {
        await client.stop();
      }
    },
  );

  it('stops when nobody waits any more', async () => {
    const client = await LspClient.start('stdio');
    try {
      const source = new CancellationTokenSource();
      const answer = client.connection.sendRequest<DoctorAnswer>(
        Method.doctor,
        { editor: '', trusted: true },
        source.token,
      );
      await client.until('the examination', () => childrenOf(client.process.pid!).length === 1);
      source.cancel();
      assert.ok('error' in (await answer));
      await client.until('its end', () => childrenOf(client.process.pid!).length === 0);
    } finally {
      await client.stop();
    }
  });
});

describe('layer summary', () => {
  let client: LspClient;
  before(async () => {
    client = await LspClient.start('ipc', { storage: join(folder, 'storage') });
  });
  after(() => client.stop());

  it('is text with a line per layer before anything was computed', async () => {
    const { uri, text } = await client.openLayers(SAMPLE);
    const summary = await client.request<InspectAnswer>(Method.inspect, { uri: pathToFileURL(SAMPLE).href });
    assert.ok('summary' in summary);
    assert.deepEqual(
      layerLines(text).map(({ layer }) => layer),
      summary.summary.layers.map(({ name }) => name),
    );
    const textDocument = { uri };
    const lenses = await client.request<CodeLens[]>('textDocument/codeLens', { textDocument });
    assert.deepEqual(
      lenses.map(({ command }) => command?.command),
      ['pruningLimit.compute'],
    );
    const symbols = await client.request<DocumentSymbol[]>('textDocument/documentSymbol', { textDocument });
    assert.equal(symbols.length, summary.summary.layers.length);
    const folds = await client.request<FoldingRange[]>('textDocument/foldingRange', { textDocument });
    assert.equal(folds[0]?.startLine, 0);
  });

  it('carries the result in its lines, hints, hovers and warnings', async () => {
    const { job } = await client.request<StartAnswer>(Method.start, { checkpoint: SAMPLE, options: quick });
    const end = await client.ended(job);
    assert.ok(end.kind === 'done', JSON.stringify(end));
    const { uri, text } = await client.openLayers(SAMPLE);
    const [line] = layerLines(text);
    const textDocument = { uri };
    const range = { start: { line: 0, character: 0 }, end: { line: 10_000, character: 0 } };
    const hints = await client.request<InlayHint[]>('textDocument/inlayHint', { textDocument, range });
    assert.equal(hints.length, end.result.layers.length);
    assert.deepEqual(hints[0]?.position, { line: line!.line, character: line!.end });
    const position = { line: line!.line, character: 1 };
    const hover = await client.request<Hover>('textDocument/hover', { textDocument, position });
    assert.match((hover.contents as { value: string }).value, /zero at the limit/);
    const outside = { textDocument, position: { line: 0, character: 1 } };
    assert.equal(await client.request('textDocument/hover', outside), null);

    const published = await client.until('diagnostics', () => client.diagnostics.get(uri));
    assert.equal(published.diagnostics.length, end.result.warnings.length);
    for (const [i, warning] of end.result.warnings.entries()) {
      const diagnostic = published.diagnostics[i]!;
      assert.equal(diagnostic.message, warning.message);
      assert.equal(diagnostic.code, warning.code);
      const expected = warning.layer && layerLines(text).find(({ layer }) => layer === warning.layer)?.line;
      assert.equal(diagnostic.range.start.line, expected ?? 0);
      if (warning.code === 'layer-vanishes') assert.equal(diagnostic.severity, 1 + 1, 'a warning');
    }
    assert.ok(client.refreshes >= 2);
  });

  it('offers a deeper run for a bracket that is unresolved', async () => {
    const { uri } = await client.openLayers(SAMPLE);
    const range = { start: { line: 0, character: 0 }, end: { line: 0, character: 1 } };
    const actions = (code: string) =>
      client.request<CodeAction[]>('textDocument/codeAction', {
        textDocument: { uri },
        range,
        context: { diagnostics: [{ range, code, message: '' }] },
      });
    const [action] = await actions('unresolved-bracket');
    assert.equal(action?.command?.command, 'pruningLimit.computeDeeper');
    assert.deepEqual(action.command.arguments, [pathToFileURL(SAMPLE).href]);
    assert.deepEqual(await actions('few-samples'), []);
  });

  it('keeps results for the next window', async () => {
    const next = await LspClient.start('ipc', { storage: join(folder, 'storage') });
    try {
      const answer = await next.request<ResultAnswer>(Method.result, { uri: pathToFileURL(SAMPLE).href });
      assert.equal(answer.result?.checkpoint, SAMPLE);
      const { text } = await next.openLayers(SAMPLE);
      assert.match(text, /^# computed {2,}\d{4}-\d\d-\d\d \d\d:\d\d$/m);
    } finally {
      await next.stop();
    }
  });

  it('says in its text why a checkpoint cannot be read', async () => {
    const broken = join(folder, 'broken.onnx');
    writeFileSync(broken, 'this is not a checkpoint');
    const { uri, text } = await client.openLayers(broken);
    assert.match(text, /^# error {2,}\S/m);
    assert.deepEqual(await client.request('textDocument/codeLens', { textDocument: { uri } }), []);
  });
});

describe('analysis file', () => {
  let client: LspClient;
  let root: string;
  before(async () => {
    root = join(folder, 'project');
    mkdirSync(join(root, 'models'), { recursive: true });
    copyFileSync(SAMPLE, join(root, 'models/a.onnx'));
    client = await LspClient.start('ipc', {}, root);
  });
  after(() => client.stop());
  const options = () =>
    client.request<OptionsAnswer>(Method.options, { uri: pathToFileURL(join(root, 'models/a.onnx')).href });
  const file = () => join(root, 'pruning-limit.json');

  it('is missing at first', async () => {
    assert.deepEqual(await options(), { missing: true, file: null });
  });

  it('decides from the workspace folder downwards', async () => {
    writeFileSync(file(), JSON.stringify({ analyses: [{ checkpoint: '**/*.onnx', data: { path: 'd' }, seed: 5 }] }));
    assert.deepEqual(await options(), {
      file: file(),
      options: { ...DEFAULT_OPTIONS, data: { ...DEFAULT_OPTIONS.data, path: join(root, 'd') }, seed: 5 },
    });
    writeFileSync(file(), JSON.stringify({ analyses: [] }));
    assert.deepEqual(await options(), { missing: true, file: file() });
  });

  it('is refused with its name and the property', async () => {
    writeFileSync(file(), JSON.stringify({ analyses: [{ checkpoint: '*', data: {} }] }));
    const answer = await options();
    assert.ok('error' in answer);
    assert.equal(answer.error.category, 'input');
    assert.match(answer.error.message, /pruning-limit\.json: analyses\[0\]\.data\.path is missing/);
  });

  it('warns in the open file about data that is not there', async () => {
    const uri = pathToFileURL(file()).href;
    const text = '{ "analyses": [{ "checkpoint": "*", "data": { "path": "nowhere" } }] }';
    await client.connection.sendNotification('textDocument/didOpen', {
      textDocument: { uri, languageId: 'json', version: 1, text },
    });
    const { diagnostics } = await client.until('diagnostics', () => client.diagnostics.get(uri));
    assert.equal(diagnostics.length, 1);
    const { start, end } = diagnostics[0]!.range;
    assert.equal(text.slice(start.character, end.character), '"nowhere"');
  });

  it('holds a target sparsity against the limits, and entries against checkpoint and data', async () => {
    const checkpoint = join(root, 'models/a.onnx');
    const { job } = await client.request<StartAnswer>(Method.start, { checkpoint, options: quick });
    const end = await client.ended(job);
    assert.ok(end.kind === 'done', JSON.stringify(end));
    const high = (operator: string) => end.result.limits.find((limit) => limit.operator === operator)!.interval[1];
    const low = (operator: string) => end.result.limits.find((limit) => limit.operator === operator)!.interval[0];
    const uri = pathToFileURL(file()).href;
    let version = 10;
    const check = async (entry: object) => {
      const text = JSON.stringify({ analyses: [entry] });
      version++;
      await client.connection.sendNotification('textDocument/didChange', {
        textDocument: { uri, version },
        contentChanges: [{ text }],
      });
      const published = await client.until('diagnostics', () => {
        const found = client.diagnostics.get(uri);
        return found?.version === version && found;
      });
      return published.diagnostics.map(({ range, severity, message }) => ({
        at: text.slice(range.start.character, range.end.character),
        severity,
        message: String(message),
      }));
    };
    const data = { path: resolve('samples/data') };
    const target = (targetSparsity: number) => check({ checkpoint: '**/*.onnx', data, targetSparsity });

    const above = (high('ggn') + 1) / 2;
    const [error, ...others] = await target(above);
    assert.deepEqual(others, []);
    assert.equal(error?.severity, DiagnosticSeverity.Error);
    assert.equal(error.at, String(above));
    assert.match(error.message, /^a\.onnx: [\d.]+ % is above the Gauss–Newton limit, [\d.–]+ %/);
    if (high('ggn') > high('hessian')) {
      const [warning] = await target((high('ggn') + high('hessian')) / 2);
      assert.equal(warning?.severity, DiagnosticSeverity.Warning);
      assert.match(warning.message, /Hessian limit.*retraining may/);
    }
    const [note] = await target((low('hessian') + Math.min(high('hessian'), high('ggn'))) / 2);
    assert.equal(note?.severity, DiagnosticSeverity.Information);
    assert.match(note.message, /inside the bracket/);
    assert.deepEqual(await target(Math.min(low('hessian'), low('ggn')) / 2), []);

    const [missing] = await check({ checkpoint: 'models/b.onnx', data });
    assert.match(missing!.message, /checkpoint not found/);
    const [shape] = await check({
      checkpoint: 'models/*.onnx',
      data: { ...data, normalize: { mean: [0, 0, 0], deviation: [1, 1, 1] } },
    });
    assert.match(shape!.message, /have 3 numbers, but the input of a\.onnx is .*×1×/);
    const [unknown] = await check({ checkpoint: '*', data: { path: root } });
    assert.match(unknown!.message, /data not recognised/);
    const lenses = await client.request<CodeLens[]>('textDocument/codeLens', { textDocument: { uri } });
    assert.deepEqual(lenses, [], 'the pattern does not reach below its folder');
    await check({ checkpoint: '**/a.onnx', data });
    const [lens] = await client.request<CodeLens[]>('textDocument/codeLens', { textDocument: { uri } });
    assert.equal(lens?.command?.title, 'Compute Pruning Limit of a.onnx');
    assert.deepEqual(lens.command.arguments, [pathToFileURL(checkpoint).href]);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('Python source', () => {
  it('carries the numbers of the layers it makes, and is where a layer leads', async () => {
    const root = join(folder, 'python');
    const checkpoint = join(root, 'digits.onnx');
    mkdirSync(join(root, 'src'), { recursive: true });
    copyFileSync(SAMPLE, checkpoint);
    const file = join(root, 'src', 'network.py');
    const source = [
      'class Network(nn.Module):',
      '    def __init__(self):',
      ...['conv1', 'conv2', 'conv3'].map((name) => `        self.${name} = nn.Conv2d(1, 8, 3)`),
      ...['fc1', 'fc2'].map((name) => `        self.${name} = nn.Linear(1, 8)`),
    ].join('\n');
    writeFileSync(file, source);
    writeFileSync(join(root, 'src', 'other.py'), 'class Other(nn.Module):\n    pass\n');
    const client = await LspClient.start('ipc', {}, root);
    const textDocument = { uri: pathToFileURL(file).href };
    await client.connection.sendNotification('textDocument/didOpen', {
      textDocument: { ...textDocument, languageId: 'python', version: 1, text: source },
    });
    const range = { start: { line: 0, character: 0 }, end: { line: 100, character: 0 } };
    const hints = () => client.request<InlayHint[]>('textDocument/inlayHint', { textDocument, range });
    const hover = (line: number) =>
      client.request<Hover | null>('textDocument/hover', { textDocument, position: { line, character: 25 } });
    assert.deepEqual(await hints(), [], 'nothing is known yet');
    assert.equal(await hover(2), null);

    const { job } = await client.request<StartAnswer>(Method.start, { checkpoint, options: quick });
    assert.equal((await client.ended(job)).kind, 'done');
    assert.deepEqual(
      (await hints()).map(({ position }) => position.line),
      [2, 3, 4, 5, 6],
    );
    assert.match(String((await hints())[0]!.label), /of kept weights|vanishes/);
    assert.match(((await hover(2))!.contents as { value: string }).value, /conv1\.weight.*zero at the limit/s);
    assert.equal(await hover(1), null);

    const layers = await client.openLayers(checkpoint);
    const line = layerLines(layers.text).find(({ layer }) => layer === 'fc1.weight')!.line;
    const definitions = await client.request<Location[]>('textDocument/definition', {
      textDocument: { uri: layers.uri },
      position: { line, character: 0 },
    });
    assert.deepEqual(
      definitions.map(({ uri, range }) => [uri, range.start.line]),
      [[textDocument.uri, 5]],
    );
    await client.stop();
  });
});
