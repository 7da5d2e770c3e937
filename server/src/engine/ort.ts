import { availableParallelism } from 'node:os';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Provider } from '../../../protocol/analysis';
import { AnalysisError, toFailure } from '../errors';
import type { Graph, Shape } from '../graph/ir';
import { elementCount } from '../graph/shapes';
import type { CompiledGraph, CompileOptions, Engine, EngineDescription } from './engine';
import { findBlock } from './blocks';
import { attempt } from './failures';
import { NATIVE, PORTABLE, WEB_ASSEMBLY, type OnnxDialect } from './onnx/dialect';
import { emitGraph } from './onnx/emit';
import { loadNative, loadWebAssembly, platform, type OrtRuntime } from './ort-runtime';
import { findUncopied, putSequenceFirst, runUncopied } from './uncopied';

/** Execution providers of onnxruntime. */
export type OrtProvider = Exclude<Provider, 'tfjs'>;

/** How the runtimes are loaded; a test has others. */
export interface OrtRuntimes {
  readonly native: () => OrtRuntime;
  readonly webAssembly: (threads: number) => OrtRuntime;
}

const RUNTIMES: OrtRuntimes = { native: loadNative, webAssembly: loadWebAssembly };

/**
 * onnxruntime, on the CPU or on another of its execution providers. Where it
 * has no binary for the platform, the CPU is WebAssembly's.
 *
 * `run` blocks the event loop for its whole duration and cannot be
 * interrupted, which is why it lives in a process of its own that is killed
 * to cancel.
 *
 * @param threads how many to use; 0 takes as many as the machine has processors
 * @param provider found out to be missing when a graph is compiled
 * @throws AnalysisError when the runtime cannot be loaded
 */
export async function createOrtEngine(
  threads: number,
  provider: OrtProvider = 'cpu',
  runtimes: OrtRuntimes = RUNTIMES,
): Promise<Engine> {
  const used = threads > 0 ? threads : availableParallelism();
  const { runtime, reason } = load(provider, used, runtimes);
  const actual = runtime.name === 'onnxruntime-web' ? 'wasm' : provider;
  // Some are dropped without a word where they are not known.
  if (!runtime.providers.includes(actual)) {
    throw new AnalysisError(
      `onnxruntime has no provider ${provider} on ${platform()}, it has ${runtime.providers.join(', ')}`,
    );
  }
  const description: EngineDescription = {
    name: runtime.name,
    version: runtime.version,
    provider: actual,
    threads: used,
    reason,
  };
  const dialect = await dialectOf(actual, used, runtime);
  return {
    description,
    compile: (graph, options) => compile(runtime, actual, dialect, used, graph, options),
    dispose: () => Promise.resolve(),
  };
}

function load(provider: OrtProvider, threads: number, runtimes: OrtRuntimes): { runtime: OrtRuntime; reason: string } {
  if (provider === 'wasm') return { runtime: runtimes.webAssembly(threads), reason: '' };
  try {
    return { runtime: runtimes.native(), reason: '' };
  } catch (error) {
    if (provider !== 'cpu') throw error;
    const reason = `WebAssembly, which is several times slower: ${toFailure(error).message}`;
    return { runtime: runtimes.webAssembly(threads), reason };
  }
}

async function compile(
  runtime: OrtRuntime,
  provider: OrtProvider,
  dialect: OnnxDialect,
  threads: number,
  graph: Graph,
  options: CompileOptions = {},
): Promise<CompiledGraph> {
  const { bytes, feeds } = emitGraph(graph, options.parameters, { dialect });
  const uncopied = provider === 'cpu' && bytes.length <= MOST_COPIED && (await canRunUncopied(runtime));
  const session = await attempt('onnxruntime', 'compile the graph', () =>
    runtime.library.InferenceSession.create(uncopied ? putSequenceFirst(bytes) : bytes, {
      executionProviders: [provider],
      // An op without a kernel there is an error and not a copy to the host and back.
      ...(provider === 'webgpu' && { extra: { session: { disable_cpu_ep_fallback: '1' } } }),
      graphOptimizationLevel: 'all',
      executionMode: 'sequential',
      // A third of the memory at the same speed (docs/engine.md).
      enableMemPattern: false,
      logSeverityLevel: 3,
      intraOpNumThreads: threads,
    }),
  );
  const results = new Map(graph.outputs.map(({ name, node }) => [name, node.shape]));
  return new OrtGraph(runtime, session, uncopied, feeds, results);
}

/** Bytes of a model, parameters inside, that may be copied for what is put in front of it. */
const MOST_COPIED = 256 * 2 ** 20;

let knownBlock: Promise<number> | undefined;

async function dialectOf(provider: OrtProvider, threads: number, { library }: OrtRuntime): Promise<OnnxDialect> {
  // The block is the processor's, and does not change.
  if (provider === 'cpu') return { ...NATIVE, block: await (knownBlock ??= findBlock(library)), threads };
  return provider === 'wasm' ? WEB_ASSEMBLY : PORTABLE;
}

let uncopiedRuns: Promise<boolean> | undefined;

function canRunUncopied({ library }: OrtRuntime): Promise<boolean> {
  return (uncopiedRuns ??= findUncopied(library));
}

class OrtGraph implements CompiledGraph {
  constructor(
    private readonly runtime: OrtRuntime,
    private readonly session: InferenceSession,
    private readonly uncopied: boolean,
    readonly feeds: ReadonlyMap<string, Shape>,
    private readonly results: ReadonlyMap<string, Shape>,
  ) {}

  async run(
    feeds: ReadonlyMap<string, Float32Array>,
    into: ReadonlyMap<string, Float32Array> = new Map(),
  ): Promise<ReadonlyMap<string, Float32Array>> {
    const tensors: Record<string, Tensor> = {};
    for (const [name, shape] of this.feeds) {
      const value = feeds.get(name);
      if (value?.length !== elementCount(shape)) {
        throw new AnalysisError(`feed ${name}: ${value?.length ?? 'no'} values for shape [${shape.join(', ')}]`);
      }
      tensors[name] = this.tensor(value, shape);
    }
    return this.uncopied ? this.runUncopied(tensors, into) : this.runCopied(tensors, into);
  }

  private async runUncopied(
    tensors: Record<string, Tensor>,
    into: ReadonlyMap<string, Float32Array>,
  ): Promise<ReadonlyMap<string, Float32Array>> {
    const values = new Map(
      [...this.results].map(([name, shape]) => [name, into.get(name) ?? new Float32Array(elementCount(shape))]),
    );
    const outputs = Object.fromEntries(
      [...this.results].map(([name, shape]) => [name, this.tensor(values.get(name)!, shape)]),
    );
    await attempt('onnxruntime', 'run the graph', () => runUncopied(this.session, tensors, outputs));
    return values;
  }

  private async runCopied(
    tensors: Record<string, Tensor>,
    into: ReadonlyMap<string, Float32Array>,
  ): Promise<ReadonlyMap<string, Float32Array>> {
    const { writesInto } = this.runtime;
    const fetches = Object.fromEntries(
      [...this.results].map(([name, shape]) => {
        const value = writesInto ? into.get(name) : undefined;
        return [name, value === undefined ? null : this.tensor(value, shape)];
      }),
    );
    const results = await attempt('onnxruntime', 'run the graph', () => this.session.run(tensors, fetches));
    return new Map(
      Object.entries(results).map(([name, tensor]) => {
        const value = tensor.data as Float32Array;
        const target = writesInto ? undefined : into.get(name);
        target?.set(value);
        return [name, target ?? value];
      }),
    );
  }

  private tensor(value: Float32Array, shape: Shape): Tensor {
    return new this.runtime.library.Tensor('float32', value, shape);
  }

  async dispose(): Promise<void> {
    await this.session.release();
  }
}
