import { InputError } from '../errors';
import type { Graph, Shape } from '../graph/ir';
import type { Parameter } from '../graph/model';

/** What runs graphs, as the report names it. */
export interface EngineDescription {
  readonly name: string;
  readonly version: string;
  readonly provider: string;
  readonly threads: number;
  /** Why this one, where there was a choice. */
  readonly reason: string;
}

export interface CompileOptions {
  /** Parameters fixed in the compiled graph; any other parameter is fed at every run. */
  readonly parameters?: ReadonlyMap<string, Parameter>;
}

/** A graph ready to run. Feeds and results are row-major float32. */
export interface CompiledGraph {
  /** Names and shapes that `run` must be fed. */
  readonly feeds: ReadonlyMap<string, Shape>;
  /**
   * Values of the graph's outputs by name, those named in `into` written there
   * instead of into a new array. Throws `AnalysisError` when the engine fails.
   * Not to be called again before it has answered.
   */
  run(
    feeds: ReadonlyMap<string, Float32Array>,
    into?: ReadonlyMap<string, Float32Array>,
  ): Promise<ReadonlyMap<string, Float32Array>>;
  /** Frees the memory; the graph cannot be run afterwards. */
  dispose(): Promise<void>;
}

export interface Engine {
  readonly description: EngineDescription;
  /** Throws `AnalysisError` when the engine refuses the graph. */
  compile(graph: Graph, options?: CompileOptions): Promise<CompiledGraph>;
  /** Frees everything, graphs that were not freed included. */
  dispose(): Promise<void>;
}

/** A graph does not fit into the memory of what runs it; a smaller batch may. */
export class OutOfMemoryError extends InputError {}
