import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import type * as OnnxRuntime from 'onnxruntime-node';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { AnalysisError, InputError } from '../errors';
import type { Graph, Shape } from '../graph/ir';
import { elementCount } from '../graph/shapes';
import type { CompiledGraph, CompileOptions, Engine, EngineDescription } from './engine';
import { emitGraph } from './onnx/emit';

type Runtime = typeof OnnxRuntime;

/**
 * onnxruntime on the CPU.
 *
 * `run` blocks the event loop for its whole duration and cannot be
 * interrupted, which is why it lives in a process of its own that is killed
 * to cancel.
 *
 * @param threads how many to use; 0 takes as many as the machine has processors
 * @throws AnalysisError when the runtime's binary cannot be loaded
 */
export async function createOrtEngine(threads: number): Promise<Engine> {
  const runtime = loadRuntime();
  const used = threads > 0 ? threads : availableParallelism();
  const description: EngineDescription = {
    name: 'onnxruntime-node',
    version: runtime.env.versions.node ?? runtime.env.versions.common,
    provider: 'cpu',
    threads: used,
  };
  return {
    description,
    compile: (graph, options) => compile(runtime, used, graph, options),
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
  threads: number,
  graph: Graph,
  options: CompileOptions = {},
): Promise<CompiledGraph> {
  const { bytes, feeds } = emitGraph(graph, options.parameters);
  const session = await attempt('compile the graph', () =>
    runtime.InferenceSession.create(bytes, {
      executionProviders: ['cpu'],
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
    const results = await attempt('run the graph', () => this.session.run(tensors, fetches));
    return new Map(Object.entries(results).map(([name, tensor]) => [name, tensor.data as Float32Array]));
  }

  async dispose(): Promise<void> {
    await this.session.release();
  }
}

async function attempt<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    const message = (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!;
    if (/alloc|memory|SafeInt/i.test(message)) {
      throw new InputError(`memory ran out while trying to ${what}; lower --batch, or choose a smaller network`);
    }
    // Where in the runtime's source it happened helps nobody.
    const reason = message.replace(/\s*\S*onnxruntime_src\S*.*$/, '');
    throw new AnalysisError(`onnxruntime failed to ${what}: ${reason}`);
  }
}
