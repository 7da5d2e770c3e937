/** Prints how fast the editor's side answers: the language server under a plain client, then the extension host. */
import { cpSync, mkdirSync, mkdtempSync, copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  Method,
  type CancelAnswer,
  type HealthAnswer,
  type LayersAnswer,
  type ResumeAnswer,
  type StartAnswer,
} from '../protocol/messages';
import { RunStore } from '../server/src/jobs/run-store';
import { DEFAULT_OPTIONS } from '../server/src/options';
import { Random } from '../server/src/random';
import { deepModel, deepResult, LAYERS, runOf, writeLarge } from '../test/large';
import { LspClient } from '../test/protocol/lsp-client';
import { runInExtensionHost } from '../test/rig/extension-host';
import type { HostFigures } from '../test/extension/bench.suite';

const random = Random.stream(2026, 'bench-editor');
const folder = mkdtempSync(join(tmpdir(), 'pruning-limit-bench-'));
const storage = join(folder, 'runs');
const [checkpoint, deep, large] = ['digits.onnx', 'deep.onnx', 'large.onnx'].map((name) => join(folder, name));

async function main(): Promise<void> {
  console.log(
    `${cpus()[0]!.model}, ${cpus().length} cores, load ${loadavg()[0]!.toFixed(1)}, Node ${process.versions.node}`,
  );
  copyFileSync(resolve('samples/digits.onnx'), checkpoint!);
  cpSync(resolve('samples/data'), join(folder, 'data'), { recursive: true });
  writeFileSync(deep!, deepModel());
  writeLarge(large!, 100);
  const answer = deepResult(deep!);
  new RunStore(storage).putResult(runOf('deep', answer), answer);
  const [half] = process.argv.slice(2);
  if (half !== 'host') {
    await measureListing();
    await measureServer();
    await measureResume();
  }
  if (half === 'server') return;
  if (process.env['PRUNING_LIMIT_RIG_PATHS']) await measureHost();
  else console.log('\nNo editor: run it as npm run bench:editor');
}

const open = () => LspClient.start('ipc', { storage }, folder);
const health = (client: LspClient) => client.request<HealthAnswer>(Method.health, undefined);

/** Of a server that has just been started, so that the readers are loaded too. */
async function measureListing(): Promise<void> {
  const first: number[] = [];
  const again: number[] = [];
  for (let round = 0; round < 5; round++) {
    const client = await open();
    for (const waits of [first, again]) {
      // A file that was written anew is read anew.
      writeLarge(large!, 100);
      const uri = pathToFileURL(large!).href;
      waits.push(await timed(() => client.request<LayersAnswer>(Method.layers, { uri })));
    }
    await client.stop();
  }
  console.log('\nSummary of an ONNX file of 100 MiB');
  row('first', times(first));
  row('process running', times(again));
}

async function measureServer(): Promise<void> {
  const client = await open();
  const { uri } = await client.openLayers(deep!);
  const idle = await health(client);
  const quiet = await features(client, uri);
  const job = await start(client, 0);
  await progress(client, job);
  await health(client);
  const busy = await features(client, uri);
  const computing = await health(client);
  console.log(`\nLanguage server, a network of ${LAYERS} layers in the editor; then with an analysis under way`);
  for (const asked of Object.keys(quiet)) row(asked, times(quiet[asked]!), times(busy[asked]!));
  row('longest turn of its loop', '', duration(computing.delay));
  row('memory', mebibytes(idle), mebibytes(computing));
  await cancel(client, job);

  const cancels: number[] = [];
  for (let round = 1; round <= 10; round++) {
    const next = await start(client, round);
    // Before the process is there, while it starts and reads, and while it computes.
    await new Promise((resolve) => setTimeout(resolve, 3000 * random.uniform()));
    cancels.push(await timed(() => cancel(client, next)));
  }
  console.log('\nCancel, at a random moment of the first 3 s');
  row('until it is told', times(cancels));
  await client.stop();
}

/** Round trips of what the editor asks for where the user looks. */
async function features(client: LspClient, uri: string): Promise<Record<string, number[]>> {
  const textDocument = { uri };
  const waits: Record<string, number[]> = {};
  for (let line = 20; line < LAYERS; line += 100) {
    const range = { start: { line, character: 0 }, end: { line: line + 50, character: 0 } };
    for (const [name, method, params] of [
      ['hints of 50 lines', 'inlayHint', { textDocument, range }],
      ['hover', 'hover', { textDocument, position: { line, character: 1 } }],
      ['code lenses', 'codeLens', { textDocument }],
      ['folds', 'foldingRange', { textDocument }],
      ['outline', 'documentSymbol', { textDocument }],
    ] as const) {
      (waits[name] ??= []).push(await timed(() => client.request(`textDocument/${method}`, params)));
    }
  }
  return waits;
}

async function measureResume(): Promise<void> {
  const resumes: number[] = [];
  for (let round = 0; round < 5; round++) {
    const first = await open();
    const job = await start(first, 100 + round);
    await progress(first, job, 10);
    first.process.kill('SIGKILL');
    let second!: LspClient;
    resumes.push(
      await timed(async () => {
        second = await open();
        await second.request<ResumeAnswer>(Method.resume, undefined);
        await progress(second, job);
      }),
    );
    await cancel(second, job);
    await second.stop();
  }
  console.log('\nResume, from the start of the server after one that was killed');
  row('until the analysis goes on', times(resumes));
}

async function measureHost(): Promise<void> {
  const workspace = join(folder, 'workspace');
  mkdirSync(workspace);
  copyFileSync(deep!, join(workspace, 'deep.onnx'));
  copyFileSync(large!, join(workspace, 'large.onnx'));
  const runs: HostFigures[] = [];
  for (let round = 0; round < 3; round++)
    runs.push(await runInExtensionHost<HostFigures>('out/test/suite/bench.cjs', workspace));
  const each = (of: (run: HostFigures) => number) => times(runs.map(of));
  console.log('\nExtension host of VS Code, three windows');
  // What VS Code shows as the activation time of an extension.
  row(
    'activation',
    each(({ activation: { load, call } }) => load + call),
  );
  row(
    '  load',
    each(({ activation }) => activation.load),
  );
  row(
    '  call',
    each(({ activation }) => activation.call),
  );
  row(
    '  processor time of both',
    each(({ activation }) => activation.processor),
  );
  row(
    '  until the server answers',
    each(({ activation }) => activation.whole),
  );
  row(
    'first summary of 100 MiB',
    each(({ listing }) => listing),
  );
  row('hints of 50 lines', times(runs.flatMap(({ hints }) => hints)));
  row('hover', times(runs.flatMap(({ hovers }) => hovers)));
  console.log('  longest turn of the loop');
  for (const step of Object.keys(runs[0]!.blocked))
    row(
      `    ${step}`,
      each(({ blocked }) => blocked[step]!),
    );
  const [{ memory }] = runs as [HostFigures];
  for (const [moment, { rss, heap }] of Object.entries(memory)) {
    row(`memory, ${moment}`, `${rss.toFixed(0)} MiB, ${heap.toFixed(0)} of heap`);
  }
}

async function start(client: LspClient, seed: number): Promise<string> {
  const data = { ...DEFAULT_OPTIONS.data, path: join(folder, 'data'), samples: 512 };
  const options = { ...DEFAULT_OPTIONS, data, seed, threads: 1, steps: 4000, tolerance: 1e-6 };
  return (await client.request<StartAnswer>(Method.start, { checkpoint, options })).job;
}

async function progress(client: LspClient, job: string, count = 1): Promise<void> {
  await client.until('progress', () => {
    const told = client.events.filter((event) => event.job === job && event.event.kind === 'progress');
    return told.length >= count;
  });
}

async function cancel(client: LspClient, job: string): Promise<void> {
  const { cancelled } = await client.request<CancelAnswer>(Method.cancel, { job });
  if (!cancelled) throw new Error('the analysis was over before it was cancelled');
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await action();
  return performance.now() - begin;
}

/** Median, and from the shortest to the longest. */
function times(milliseconds: readonly number[]): string {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const median = (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
  return `${duration(median)} (${duration(sorted[0]!)} to ${duration(sorted.at(-1)!)})`;
}

function duration(milliseconds: number): string {
  return milliseconds < 10 ? `${milliseconds.toFixed(1)} ms` : `${milliseconds.toFixed(0)} ms`;
}

function mebibytes({ memory, heap }: HealthAnswer): string {
  return `${memory.toFixed(0)} MiB, ${heap.toFixed(0)} of heap`;
}

function row(name: string, ...cells: string[]): void {
  console.log(`  ${name.padEnd(36)}${cells.map((cell) => cell.padEnd(30)).join('')}`.trimEnd());
}

void main().finally(() => rmSync(folder, { recursive: true, force: true }));
