import { fork, type ChildProcess } from 'node:child_process';
import { AnalysisError } from '../errors';
import type { EngineFactory } from './create';
import { OutOfMemoryError, type CompiledGraph, type CompileOptions, type Engine } from './engine';
import type { EngineAnswer, EngineRequest } from './messages';
import { packGraph } from './packed-graph';
import type { Graph, Shape } from '../graph/ir';

/** An engine that lives in a process of its own, and that may be killed. */
export interface RemoteEngine extends Engine {
  readonly pid: number;
  /** Shared libraries that its process has loaded by now, by path. */
  libraries(): Promise<readonly string[]>;
}

/**
 * Engines in processes of their own. A driver that aborts, a device that is
 * lost or a process that is killed for its memory costs the engine, never the
 * job: whatever was asked is answered with an `AnalysisError`.
 *
 * @param entry script of the engine process
 * @param env its environment
 * @param signal ends the processes, those included that hang before they have
 *   an engine; whatever is asked of them fails with its reason
 */
export function remoteEngines(
  entry: string,
  env: NodeJS.ProcessEnv = process.env,
  signal?: AbortSignal,
): (...args: Parameters<EngineFactory>) => Promise<RemoteEngine> {
  return async (provider, threads, modules = []) => {
    const connection = new Connection(entry, env);
    signal?.addEventListener('abort', () => void connection.end(signal.reason as Error), { once: true });
    try {
      const { description } = await connection.ask({ kind: 'create', provider, threads, modules }, 'created');
      return {
        description,
        pid: connection.pid,
        compile: (graph, options) => compile(connection, graph, options),
        libraries: async () => (await connection.ask({ kind: 'libraries' }, 'libraries')).paths,
        dispose: () => connection.end(),
      };
    } catch (error) {
      await connection.end();
      throw error;
    }
  };
}

async function compile(connection: Connection, graph: Graph, options: CompileOptions = {}): Promise<CompiledGraph> {
  const parameters = [...(options.parameters?.values() ?? [])];
  const compiled = await connection.ask({ kind: 'compile', graph: packGraph(graph), parameters }, 'compiled');
  return new RemoteGraph(connection, compiled.graph, compiled.feeds);
}

class RemoteGraph implements CompiledGraph {
  constructor(
    private readonly connection: Connection,
    private readonly graph: number,
    readonly feeds: ReadonlyMap<string, Shape>,
  ) {}

  async run(
    feeds: ReadonlyMap<string, Float32Array>,
    into: ReadonlyMap<string, Float32Array> = new Map(),
  ): Promise<ReadonlyMap<string, Float32Array>> {
    const { results } = await this.connection.ask({ kind: 'run', graph: this.graph, feeds }, 'results');
    for (const [name, value] of into) value.set(results.get(name)!);
    return new Map([...results].map(([name, value]) => [name, into.get(name) ?? value]));
  }

  async dispose(): Promise<void> {
    await this.connection.ask({ kind: 'dispose', graph: this.graph }, 'disposed');
  }
}

type Answer<K extends EngineAnswer['kind']> = Extract<EngineAnswer, { kind: K }>;

/** Requests and their answers, in order. */
class Connection {
  private readonly child: ChildProcess;
  private readonly waiting: { resolve(answer: EngineAnswer): void; reject(error: Error): void }[] = [];
  private readonly gone: Promise<void>;
  private failure: Error | undefined;
  private lastWords = '';

  constructor(entry: string, env: NodeJS.ProcessEnv) {
    this.child = fork(entry, [], {
      serialization: 'advanced',
      execArgv: [],
      // TF32 keeps ten bits of a product; float32 is promised.
      env: { ...env, NVIDIA_TF32_OVERRIDE: '0' },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.lastWords = (this.lastWords + text).slice(-2000);
    });
    this.child.on('message', (answer) => this.waiting.shift()?.resolve(answer as EngineAnswer));
    this.gone = new Promise((resolve) => {
      const lose = (how: string): void => {
        this.failure ??= new AnalysisError(`the engine process ended (${how})${this.quote()}`);
        for (const { reject } of this.waiting.splice(0)) reject(this.failure);
        resolve();
      };
      this.child.once('exit', (code, signal) => lose(signal ?? `exit status ${code}`));
      this.child.once('error', (error) => lose(error.message));
    });
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  async ask<K extends EngineAnswer['kind']>(request: EngineRequest, kind: K): Promise<Answer<K>> {
    if (this.failure !== undefined) throw this.failure;
    const answer = await new Promise<EngineAnswer>((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.child.send(request, () => {
        // A process that is gone is dealt with at its exit.
      });
    });
    if (answer.kind === 'failed') {
      if (answer.outOfMemory) throw new OutOfMemoryError(answer.message);
      throw new AnalysisError(answer.message + this.missingLibrary());
    }
    if (answer.kind !== kind) throw new AnalysisError(`the engine process answered ${answer.kind} for ${kind}`);
    return answer as Answer<K>;
  }

  /** Drivers may take their time to free a device, or hang in it. */
  async end(reason: Error = new AnalysisError('the engine was disposed of')): Promise<void> {
    this.failure ??= reason;
    this.child.kill('SIGKILL');
    await this.gone;
  }

  /** A runtime says on its standard error alone which library it missed. */
  private missingLibrary(): string {
    const match = /([^\s/:]+): cannot open shared object file/.exec(this.lastWords);
    return match === null ? '' : `; it misses ${match[1]}`;
  }

  private quote(): string {
    const words = this.lastWords.trim().split('\n').at(-1)!.trim();
    return words === '' ? '' : `, its last words were ${JSON.stringify(words.slice(0, 200))}`;
  }
}
