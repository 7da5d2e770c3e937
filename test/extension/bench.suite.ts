/** What the extension costs the extension host, measured inside it. Writes `HostFigures`. */
import { createRequire } from 'node:module';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import * as vscode from 'vscode';
import { layersUri } from '../../protocol/layers-uri';
import { RunStore } from '../../server/src/jobs/run-store';
import { deepResult, LAYERS, runOf } from '../large';

/** Milliseconds, and MiB. */
export interface HostFigures {
  /** `processor` is that of `load` and `call`. */
  readonly activation: Readonly<Record<'load' | 'call' | 'processor' | 'whole', number>>;
  /** Opening the summary of a checkpoint of 100 MiB, for the first time. */
  readonly listing: number;
  readonly hints: readonly number[];
  readonly hovers: readonly number[];
  /** Longest turn of the host's event loop during each step; `idle` is the editor's own. */
  readonly blocked: Readonly<Record<string, number>>;
  readonly memory: Readonly<Record<'before' | 'activated' | 'end', { readonly rss: number; readonly heap: number }>>;
}

const RESOLUTION = 2;
const MIB = 2 ** 20;

const memory = () => {
  const { rss, heapUsed } = process.memoryUsage();
  return { rss: rss / MIB, heap: heapUsed / MIB };
};
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export async function run(): Promise<void> {
  const blocked: Record<string, number> = {};
  /** Does something, waits for what it set off, and notes how long it kept the host. */
  const watched = async <T>(step: string, action: () => T | PromiseLike<T>): Promise<T> => {
    const loop = monitorEventLoopDelay({ resolution: RESOLUTION });
    loop.enable();
    try {
      return await action();
    } finally {
      await pause(1000);
      loop.disable();
      blocked[step] = Math.max(0, loop.max / 1e6 - RESOLUTION);
    }
  };

  // The window has its own things to do at first.
  await pause(5000);
  await watched('idle', () => pause(2000));
  const before = memory();
  const extension = vscode.extensions.getExtension('pruning-limit.pruning-limit')!;
  if (extension.isActive) throw new Error('the extension was active before it was asked for anything');
  const activation = await watched('activation', () => activate(extension));
  const activated = memory();

  const folder = vscode.workspace.workspaceFolders![0]!.uri;
  const file = (name: string) => vscode.Uri.joinPath(folder, name);
  const layersOf = (uri: vscode.Uri) => vscode.Uri.parse(layersUri(uri.toString()), true);
  let listing = NaN;
  const { lineCount } = await watched('listing 100 MiB', async () => {
    const begin = performance.now();
    const document = await vscode.workspace.openTextDocument(layersOf(file('large.onnx')));
    listing = performance.now() - begin;
    return document;
  });
  if (lineCount < 5) throw new Error('the large checkpoint was not listed');

  const deep = file('deep.onnx');
  const result = deepResult(deep.fsPath);
  new RunStore(runsFolder()).putResult(runOf('deep', result), result);
  const uri = layersOf(deep);
  await watched(`opening ${LAYERS} layers`, () => vscode.commands.executeCommand('pruningLimit.showLayers', deep));
  const hints: number[] = [];
  const hovers: number[] = [];
  await watched(`hints and hovers of ${LAYERS} layers`, async () => {
    for (let line = 20; line < LAYERS; line += 100) {
      hints.push(
        await timed(async () => {
          const range = new vscode.Range(line, 0, line + 50, 0);
          const found = await vscode.commands.executeCommand<unknown[]>('vscode.executeInlayHintProvider', uri, range);
          if (found.length === 0) throw new Error(`no hints at line ${line}`);
        }),
      );
      hovers.push(
        await timed(() =>
          vscode.commands.executeCommand('vscode.executeHoverProvider', uri, new vscode.Position(line, 1)),
        ),
      );
    }
  });
  await watched(`panel of ${LAYERS} layers`, () => vscode.commands.executeCommand('pruningLimit.showPanel', deep));
  const figures: HostFigures = {
    activation,
    listing,
    hints,
    hovers,
    blocked,
    memory: { before, activated, end: memory() },
  };
  writeFileSync(process.env['PRUNING_LIMIT_REPORT']!, JSON.stringify(figures));
}

async function timed(action: () => PromiseLike<unknown>): Promise<number> {
  const begin = performance.now();
  await action();
  return performance.now() - begin;
}

/**
 * Activates the extension as VS Code does. `load` and `call` are what VS Code
 * shows as its activation time; the host does nothing else meanwhile. `whole` is
 * until the language server answers.
 */
async function activate(extension: vscode.Extension<unknown>): Promise<HostFigures['activation']> {
  const require = createRequire(__filename);
  const path = require.resolve(extension.extensionPath);
  const begin = performance.now();
  const usage = process.cpuUsage();
  const code = require(path) as { activate(context: unknown): unknown };
  const load = performance.now() - begin;
  let processor = processorSince(usage);
  let call = NaN;
  // VS Code finds the code that is loaded already, with a clock around its function.
  require.cache[path]!.exports = {
    ...code,
    activate(context: unknown) {
      const [start, used] = [performance.now(), process.cpuUsage()];
      const done = code.activate(context);
      call = performance.now() - start;
      processor += processorSince(used);
      return done;
    },
  };
  await extension.activate();
  if (Number.isNaN(call)) throw new Error('VS Code loaded the extension another way');
  return { load, call, processor, whole: performance.now() - begin };
}

/** Milliseconds of the whole process. */
function processorSince(usage: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(usage);
  return (user + system) / 1000;
}

/** Where the runs of this window are kept: in the profile that the rig made. */
function runsFolder(): string {
  const storage = join(process.env['HOME']!, 'data', 'User', 'workspaceStorage');
  const folder = join(storage, readdirSync(storage)[0]!, 'pruning-limit.pruning-limit', 'runs');
  mkdirSync(folder, { recursive: true });
  return folder;
}
