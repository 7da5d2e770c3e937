/** `pruning-limit.json` through a plain LSP client over stdio: completion, hover, and whether its parts fit each other. */
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { DiagnosticSeverity, type CodeLens, type CompletionItem, type Hover } from 'vscode-languageserver/node';
import { Method, type HealthAnswer, type StartAnswer } from '../../protocol/messages';
import { onnx } from '../../server/src/checkpoint/onnx/generated/onnx';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { layerLines } from '../../server/src/report/layers-text';
import { npyBytes, zipBytes } from '../files';
import { childrenOf, LspClient } from './lsp-client';

let root: string;
let client: LspClient;
let uri: string;
let version = 0;
let text = '';

before(async () => {
  root = mkdtempSync(join(tmpdir(), 'pruning-limit-analysis-file-'));
  mkdirSync(join(root, 'models'));
  mkdirSync(join(root, 'node_modules/foreign'), { recursive: true });
  for (const name of ['models/a.onnx', 'models/b.onnx', 'node_modules/foreign/c.onnx'])
    copyFileSync(resolve('samples/digits.onnx'), join(root, name));
  cpSync(resolve('samples/data'), join(root, 'data'), { recursive: true });
  writeFileSync(join(root, 'table.csv'), 'a,b,label\n1,2,0\n3,4,11\n');
  client = await LspClient.start('stdio', {}, root);
  uri = pathToFileURL(join(root, 'pruning-limit.json')).href;
  await client.connection.sendNotification('textDocument/didOpen', {
    textDocument: { uri, languageId: 'json', version, text },
  });
});
after(async () => {
  await client.stop();
  rmSync(root, { recursive: true });
});

/** Types a file in which `|` is the cursor. */
async function type(marked: string): Promise<{ line: number; character: number }> {
  const offset = marked.indexOf('|');
  text = marked.replace('|', '');
  await client.connection.sendNotification('textDocument/didChange', {
    textDocument: { uri, version: ++version },
    contentChanges: [{ text }],
  });
  const before = text.slice(0, Math.max(0, offset)).split('\n');
  return { line: before.length - 1, character: before.at(-1)!.length };
}

const entry = (more: string) => `{ "analyses": [\n  { "checkpoint": "models/a.onnx", ${more} }\n] }`;

async function complete(marked: string): Promise<CompletionItem[]> {
  const position = await type(marked);
  return client.request<CompletionItem[]>('textDocument/completion', { textDocument: { uri }, position });
}

/** The text after an item was taken. */
function taken({ textEdit }: CompletionItem): string {
  const { range, newText } = textEdit as { range: Hover['range'] & object; newText: string };
  const lines = text.split('\n');
  const { start, end } = range;
  assert.equal(start.line, end.line);
  const line = lines[start.line]!;
  lines[start.line] = line.slice(0, start.character) + newText + line.slice(end.character);
  return lines.join('\n');
}

describe('completion', () => {
  it('proposes checkpoints, and a pattern for several of a kind', async () => {
    const items = await complete('{ "analyses": [{ "checkpoint": "mo|" }] }');
    assert.deepEqual(
      items.map(({ label }) => label),
      ['models/a.onnx', 'models/b.onnx', 'models/*.onnx'],
    );
    assert.equal(taken(items[2]!), '{ "analyses": [{ "checkpoint": "models/*.onnx" }] }');
    // What an editor matches is what stands there.
    assert.ok(items[0]!.filterText!.startsWith('"mo'));
  });

  it('proposes data with their format, and networks by name', async () => {
    const data = await complete(entry('"data": { "path": "|" }'));
    assert.deepEqual(
      data.map(({ label, detail }) => [label, detail]),
      [
        ['table.csv', 'csv'],
        ['data', 'idx'],
      ],
    );
    const architectures = await complete(entry('"architecture": "|"'));
    assert.ok(
      architectures.some(({ label }) => label === 'resnet18'),
      architectures.map(({ label }) => label).join(),
    );
    const graphs = await complete(entry('"graph": "|"'));
    assert.deepEqual(
      graphs.map(({ label }) => label),
      ['models/a.onnx', 'models/b.onnx'],
    );
  });

  it('proposes means and deviations of known data sets, in an empty list and in one that is begun', async () => {
    const [mnist] = await complete(entry('"data": { "path": "data", "normalize": { "mean": [|] } }'));
    assert.equal(mnist!.label, 'MNIST');
    assert.match(taken(mnist!), /"mean": \[0\.1307\] \} \}/);
    const items = await complete(entry('"data": { "path": "data", "normalize": { "deviation": [0.2|, 1] } }'));
    const cifar = items.find(({ label }) => label === 'CIFAR-10');
    assert.match(taken(cifar!), /"deviation": \[0\.247, 0\.2435, 0\.2616\] \} \}/);
  });

  it('says nothing elsewhere, nor in other files', async () => {
    assert.deepEqual(await complete(entry('"seed": 1|')), []);
    assert.deepEqual(await complete('|'), []);
    const other = pathToFileURL(join(root, 'other.json')).href;
    const position = { line: 0, character: 1 };
    assert.deepEqual(await client.request('textDocument/completion', { textDocument: { uri: other }, position }), []);
  });
});

describe('hover', () => {
  const hover = async (marked: string) => {
    const position = await type(marked);
    const found = await client.request<Hover | null>('textDocument/hover', { textDocument: { uri }, position });
    return found && (found.contents as { value: string }).value;
  };

  it('tells what a checkpoint and data are', async () => {
    const checkpoints = await hover('{ "analyses": [{ "checkpoint": "models/a.o|nnx" }] }');
    assert.match(checkpoints!, /^- ` a\.onnx ` ONNX, 10,248 prunable weights, input \S+×1×16×16$/);
    assert.match((await hover(entry('"data": { "path": "da|ta" }')))!, /^idx: 2,000 samples of 1×16×16, 10 classes$/);
    assert.match((await hover(entry('"data": { "path": "no|where" }')))!, /^data not found/);
    assert.equal(await hover(entry('"seed": 1|2')), null);
  });
});

describe('validation', () => {
  const problems = async (more: string) => {
    await type(entry(more));
    const found = await client.until('diagnostics', () => {
      const published = client.diagnostics.get(uri);
      return published?.version === version && published;
    });
    return found.diagnostics.map(({ message, severity }) => ({ message: String(message), severity }));
  };

  it('holds samples against the input, and labels against the classes', async () => {
    assert.deepEqual(await problems('"data": { "path": "data" }'), []);
    const [shape, ...more] = await problems('"data": { "path": "table.csv" }');
    assert.match(shape!.message, /^a\.onnx: data do not fit the network: samples \[2\] .*input \[1, 16, 16\]/);
    assert.equal(shape!.severity, DiagnosticSeverity.Error);
    assert.deepEqual(more, []);
    const rows = Array.from({ length: 2 }, (_, i) => [...Array<number>(256).fill(0), 12 * i].join());
    writeFileSync(join(root, 'wide.csv'), `${[...Array(256).keys(), 'label'].join()}\n${rows.join('\n')}\n`);
    const [classes] = await problems('"data": { "path": "wide.csv" }');
    assert.match(classes!.message, /^a\.onnx: label outside the network's classes: 12 .*the network has 10/);
    const [split] = await problems('"data": { "path": "data/t10k-images-idx3-ubyte.gz", "layout": "nhwc" }');
    assert.equal(split, undefined, 'one channel is either');
  });
});

describe('weights', () => {
  it('that were not trained, or pruned already, are told of before anything is computed', async () => {
    const model = onnx.ModelProto.decode(readFileSync(resolve('samples/digits.onnx')));
    const raw = (name: string) => model.graph!.initializer!.find((tensor) => tensor.name === name)!.rawData!;
    raw('conv1.weight').fill(0);
    raw('fc1.weight').fill(0, 0, raw('fc1.weight').length / 2);
    const path = join(root, 'models', 'damaged.onnx');
    writeFileSync(path, onnx.ModelProto.encode(model).finish());
    const { uri: layers, text: lines } = await client.openLayers(path);
    const published = await client.until('diagnostics', () => client.diagnostics.get(layers));
    const lineOf = (name: string) => layerLines(lines).find(({ layer }) => layer === name)!.line;
    assert.deepEqual(
      published.diagnostics.map(({ code, severity, range }) => [code, severity, range.start.line]),
      [
        ['constant-weights', DiagnosticSeverity.Warning, lineOf('conv1.weight')],
        ['already-sparse', DiagnosticSeverity.Information, lineOf('fc1.weight')],
      ],
    );
  });
});

describe('lenses', () => {
  it('lead to the spectrum once there is one', async () => {
    const checkpoint = join(root, 'models', 'b.onnx');
    const data = { ...DEFAULT_OPTIONS.data, path: join(root, 'data'), samples: 64 };
    const options = { ...DEFAULT_OPTIONS, data, steps: 4, tolerance: 0.9, curvature: 'ggn' };
    const { job } = await client.request<StartAnswer>(Method.start, { checkpoint, options });
    const end = await client.ended(job);
    assert.equal(end.kind, 'done', JSON.stringify(end));
    const { uri: layers } = await client.openLayers(checkpoint);
    const lenses = await client.request<CodeLens[]>('textDocument/codeLens', { textDocument: { uri: layers } });
    const spectrum = lenses.find(({ command }) => command?.title === 'Show Spectrum');
    assert.deepEqual(spectrum?.command?.arguments, [pathToFileURL(checkpoint).href, 'spectrum']);
  });
});

describe('data that unpack to much more than they are', () => {
  it('are read beside the server, which stays as it was', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pruning-limit-packed-'));
    // Nothing but the data: no checkpoint is listed.
    const other = await LspClient.start('stdio', {}, folder);
    try {
      const [samples, size] = [1500, 2 ** 17];
      const arrays = [
        { name: 'x.npy', content: npyBytes('|u1', [samples, size], new Uint8Array(samples * size)), deflate: true },
        { name: 'y.npy', content: npyBytes('|u1', [samples], new Uint8Array(samples)), deflate: true },
      ];
      writeFileSync(join(folder, 'packed.npz'), zipBytes(arrays));
      const before = await other.request<HealthAnswer>(Method.health, undefined);
      const text = '{ "analyses": [{ "checkpoint": "none.onnx", "data": { "path": "packed.npz" } }] }';
      const textDocument = { uri: pathToFileURL(join(folder, 'pruning-limit.json')).href };
      await other.connection.sendNotification('textDocument/didOpen', {
        textDocument: { ...textDocument, languageId: 'json', version: 1, text },
      });
      const position = { line: 0, character: text.indexOf('packed') };
      const hover = await other.request<Hover>('textDocument/hover', { textDocument, position });
      assert.match((hover.contents as { value: string }).value, /1,500 samples of 131072, 1 classes/);
      assert.equal(childrenOf(other.process.pid!, 'listing.js').length, 1, 'a process of its own has read them');
      const { memory } = await other.request<HealthAnswer>(Method.health, undefined);
      assert.ok(
        memory - before.memory < 100,
        `${before.memory} MiB, then ${memory} MiB, of ${samples / 8} MiB unpacked`,
      );
    } finally {
      await other.stop();
      rmSync(folder, { recursive: true });
    }
  });
});
