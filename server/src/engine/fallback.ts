import { AnalysisError, toFailure } from '../errors';
import type { Graph, Shape } from '../graph/ir';
import {
  OutOfMemoryError,
  type CompiledGraph,
  type CompileOptions,
  type Engine,
  type EngineDescription,
} from './engine';

/**
 * An accelerator as long as it works and the CPU from then on, for graphs
 * compiled before and after alike: whoever runs a graph notices nothing but
 * the time it takes, and keeps all it has computed.
 *
 * What does not fit into the accelerator's memory is not a reason to leave it:
 * an `OutOfMemoryError` goes to the caller, who may try a smaller batch.
 */
export class FallbackEngine implements Engine {
  private accelerated = true;

  constructor(
    private readonly accelerator: Engine,
    private readonly cpu: Engine,
    /** Called once, with what the accelerator failed with. */
    private readonly onLeave: (reason: string) => void,
  ) {}

  get description(): EngineDescription {
    return this.current.description;
  }

  /** What runs graphs now. */
  get current(): Engine {
    return this.accelerated ? this.accelerator : this.cpu;
  }

  async compile(graph: Graph, options?: CompileOptions): Promise<CompiledGraph> {
    const compiled = await this.attempt((engine) => engine.compile(graph, options));
    return new FallbackGraph(this, graph, options, compiled.value, compiled.engine);
  }

  async dispose(): Promise<void> {
    if (this.accelerated) await this.accelerator.dispose();
    await this.cpu.dispose();
  }

  /** Leaves the accelerator for good; false when it was left already. */
  leave(reason: string): boolean {
    if (!this.accelerated) return false;
    this.accelerated = false;
    this.onLeave(reason);
    // Whatever is left of it is of no interest.
    void this.accelerator.dispose().catch(() => undefined);
    return true;
  }

  /** Does `action` with the accelerator, or with the CPU where that has failed. */
  async attempt<T>(action: (engine: Engine) => Promise<T>): Promise<{ readonly value: T; readonly engine: Engine }> {
    const engine = this.current;
    try {
      return { value: await action(engine), engine };
    } catch (error) {
      // The accelerator may have been left meanwhile, by another graph.
      if (engine === this.cpu || error instanceof OutOfMemoryError || !(error instanceof AnalysisError)) throw error;
      this.leave(toFailure(error).message);
      return { value: await action(this.cpu), engine: this.cpu };
    }
  }
}

class FallbackGraph implements CompiledGraph {
  constructor(
    private readonly owner: FallbackEngine,
    private readonly graph: Graph,
    private readonly options: CompileOptions | undefined,
    private compiled: CompiledGraph,
    private engine: Engine,
  ) {}

  get feeds(): ReadonlyMap<string, Shape> {
    return this.compiled.feeds;
  }

  async run(
    feeds: ReadonlyMap<string, Float32Array>,
    into?: ReadonlyMap<string, Float32Array>,
  ): Promise<ReadonlyMap<string, Float32Array>> {
    const { value } = await this.owner.attempt(async (engine) => {
      if (engine !== this.engine) {
        this.compiled = await engine.compile(this.graph, this.options);
        this.engine = engine;
      }
      return this.compiled.run(feeds, into);
    });
    return value;
  }

  async dispose(): Promise<void> {
    if (this.engine === this.owner.current) await this.compiled.dispose();
  }
}
