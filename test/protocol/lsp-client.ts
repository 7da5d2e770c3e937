import { fork, spawn, type ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  createProtocolConnection,
  IPCMessageReader,
  IPCMessageWriter,
  StreamMessageReader,
  StreamMessageWriter,
  type InitializeResult,
  type ProtocolConnection,
  type PublishDiagnosticsParams,
} from 'vscode-languageserver/node';
import { layersUri, LAYERS_LANGUAGE } from '../../protocol/layers-uri';
import { Method, type JobEvent, type LayersAnswer, type ServerOptions } from '../../protocol/messages';

/**
 * Milliseconds after which whoever should have answered waits for something.
 * A second is promised, and `npm run bench:editor` measures it; here other tests
 * run on the same cores.
 */
export const STALLED = 10_000;

/** A plain LSP client around the built server: what any editor would do, and no editor. */
export class LspClient {
  readonly events: JobEvent[] = [];
  readonly diagnostics = new Map<string, PublishDiagnosticsParams>();
  /** What the user is shown, and what is written to the output. */
  readonly shown: string[] = [];
  readonly logged: string[] = [];
  refreshes = 0;
  private readonly waiting = new Set<() => void>();

  private constructor(
    readonly process: ChildProcess,
    readonly connection: ProtocolConnection,
  ) {
    connection.onNotification(Method.event, (event: JobEvent) => {
      this.events.push(event);
      this.wake();
    });
    connection.onNotification('textDocument/publishDiagnostics', (params: PublishDiagnosticsParams) => {
      this.diagnostics.set(params.uri, params);
      this.wake();
    });
    const messages = { 'window/showMessage': this.shown, 'window/logMessage': this.logged };
    for (const [method, list] of Object.entries(messages)) {
      connection.onNotification(method, ({ message }: { message: string }) => {
        list.push(message);
        this.wake();
      });
    }
    connection.onRequest('workspace/configuration', ({ items }: { items: unknown[] }) => items.map(() => null));
    for (const refresh of ['workspace/inlayHint/refresh', 'workspace/codeLens/refresh']) {
      connection.onRequest(refresh, () => {
        this.refreshes++;
        return null;
      });
    }
    connection.onRequest('client/registerCapability', () => null);
  }

  static async start(transport: 'ipc' | 'stdio', options: ServerOptions = {}, root?: string): Promise<LspClient> {
    const server = resolve('dist/server.js');
    const child =
      transport === 'ipc'
        ? fork(server, ['--node-ipc'], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
        : spawn(process.execPath, [server, '--stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const connection =
      transport === 'ipc'
        ? createProtocolConnection(new IPCMessageReader(child), new IPCMessageWriter(child))
        : createProtocolConnection(new StreamMessageReader(child.stdout!), new StreamMessageWriter(child.stdin!));
    const client = new LspClient(child, connection);
    connection.listen();
    const folder = pathToFileURL(root ?? resolve('samples')).href;
    client.initialized = await connection.sendRequest<InitializeResult>('initialize', {
      processId: process.pid,
      rootUri: folder,
      workspaceFolders: [{ uri: folder, name: 'test' }],
      initializationOptions: options,
      capabilities: {
        workspace: {
          configuration: true,
          workspaceFolders: true,
          inlayHint: { refreshSupport: true },
          codeLens: { refreshSupport: true },
        },
      },
    });
    await connection.sendNotification('initialized', {});
    return client;
  }

  initialized: InitializeResult | undefined;

  request<T>(method: string, params: unknown): Promise<T> {
    return this.connection.sendRequest<T>(method, params);
  }

  /** Resolves with what `find` returns once it is something. */
  async until<T>(what: string, find: () => T | undefined | false, timeout = 120_000): Promise<T> {
    const deadline = Date.now() + timeout;
    for (;;) {
      const found = find();
      if (found !== undefined && found !== false) return found;
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`waited ${timeout} ms in vain for ${what}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, Math.min(left, 500));
        const waiting = this.waiting;
        function done() {
          clearTimeout(timer);
          waiting.delete(done);
          resolve();
        }
        waiting.add(done);
      });
    }
  }

  /** The event that ended a job. */
  ended(job: string): Promise<JobEvent['event']> {
    const ends = new Set(['done', 'pruned', 'failed', 'cancelled']);
    return this.until('the end of the job', () => {
      return this.events.find((event) => event.job === job && ends.has(event.event.kind))?.event;
    });
  }

  /** Opens the layer summary of a checkpoint, as the client does. */
  async openLayers(checkpoint: string): Promise<{ uri: string; text: string }> {
    const file = pathToFileURL(checkpoint).href;
    const { text } = await this.request<LayersAnswer>(Method.layers, { uri: file });
    const uri = layersUri(file);
    await this.connection.sendNotification('textDocument/didOpen', {
      textDocument: { uri, languageId: LAYERS_LANGUAGE, version: 1, text },
    });
    return { uri, text };
  }

  /** Ends the server as an editor does. */
  async stop(): Promise<void> {
    const exited = this.process.exitCode === null ? once(this.process, 'exit') : Promise.resolve();
    await this.request('shutdown', undefined);
    await this.connection.sendNotification('exit');
    await exited;
    this.connection.dispose();
  }

  private wake(): void {
    for (const done of [...this.waiting]) done();
  }
}

/** Compute processes that a process has started. */
export function childrenOf(pid: number, script = 'compute.js'): number[] {
  return execFileSync('ps', ['-A', '-ww', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(script))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, state]) => Number(parent) === pid && !state?.startsWith('Z'))
    .map(([child]) => Number(child));
}
