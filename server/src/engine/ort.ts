import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import type * as OnnxRuntime from 'onnxruntime-node';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Provider } from '../../../protocol/analysis';
import { AnalysisError } from '../errors';
import type { Graph, Shape } from '../graph/ir';
import { elementCount } from '../graph/shapes';
import type { CompiledGraph, CompileOptions, Engine, EngineDescription } from './engine';
import { attempt } from './failures';
import { NATIVE, PORTABLE } from './onnx/dialect';
import { emitGraph } from './onnx/emit';

type Runtime = typeof OnnxRuntime;

/** Execution providers of onnxruntime. */
export type OrtProvider = Exclude<Provider, 'tfjs'>;

/**
 * onnxruntime, on the CPU or on another of its execution providers.
 *
 * `run` blocks the event loop for its whole duration and cannot be
 * interrupted, which is why it lives in a process of its own that is killed
 * to cancel.
 *
 * @param threads how many to use; 0 takes as many as the machine has processors
 * @param provider found out to be missing when a graph is compiled
 * @throws AnalysisError when the runtime's binary cannot be loaded
 */
export async function createOrtEngine(threads: number, provider: OrtProvider = 'cpu'): Promise<Engine> {
  const runtime = loadRuntime();
  const known = runtime.listSupportedBackends().map(({ name }) => name);
  // Some are dropped without a word where they are not known.
  if (!known.includes(provider)) {
    const place = `${process.platform}-${process.arch}`;
    throw new AnalysisError(`onnxruntime has no provider ${provider} on ${place}, it has ${known.join(', ')}`);
  }
  const used = threads > 0 ? threads : availableParallelism();
  const description: EngineDescription = {
    name: 'onnxruntime-node',
    version: runtime.env.versions.node ?? runtime.env.versions.common,
    provider,
    threads: used,
    reason: '',
  };
  return {
    description,
    compile: (graph, options) => compile(runtime, provider, used, graph, options),
    dispose: () => Promise.resolve(),
  };
}

function loadRuntime(): Runtime {
  try {
    return createRequire(__filename)('onnxruntime-node') as Runtime;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
    throw new AnalysisError(`onnxruntime could not be loaded on ${process.platform}-${process.arch}: ${reason}`);
  }
}

async function compile(
  runtime: Runtime,
  provider: OrtProvider,
  threads: number,
  graph: Graph,
  options: CompileOptions = {},
): Promise<CompiledGraph> {
  const { bytes, feeds } = emitGraph(graph, options.parameters, { dialect: provider === 'cpu' ? NATIVE : PORTABLE });
  const session = await attempt('onnxruntime', 'compile the graph', () =>
    runtime.InferenceSession.create(bytes, {
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
  return new OrtGraph(runtime, session, feeds, results);
}

class OrtGraph implements CompiledGraph {
  constructor(
    private readonly runtime: Runtime,
    private readonly session: InferenceSession,
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
      tensors[name] = new this.runtime.Tensor('float32', value, shape);
    }
    const fetches = Object.fromEntries(
      [...this.results].map(([name, shape]) => {
        const value = into.get(name);
        return [name, value === undefined ? null : new this.runtime.Tensor('float32', value, shape)];
      }),
    );
    const results = await attempt('onnxruntime', 'run the graph', () => this.session.run(tensors, fetches));
    return new Map(Object.entries(results).map(([name, tensor]) => [name, tensor.data as Float32Array]));
  }

  async dispose(): Promise<void> {
    await this.session.release();
  }
}
