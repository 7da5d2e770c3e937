import type { Provider } from '../../../protocol/analysis';
import type { Shape } from '../graph/ir';
import type { Parameter } from '../graph/model';
import type { EngineDescription } from './engine';
import type { PackedGraph } from './packed-graph';

/**
 * Between a compute process and its engine process. Sent with the structured
 * clone algorithm, so that tensors travel as raw bytes. Every request is
 * answered once, in order.
 */
export type EngineRequest =
  | {
      readonly kind: 'create';
      readonly provider: Provider;
      readonly threads: number;
      readonly modules: readonly string[];
    }
  | { readonly kind: 'compile'; readonly graph: PackedGraph; readonly parameters: readonly Parameter[] }
  | { readonly kind: 'run'; readonly graph: number; readonly feeds: ReadonlyMap<string, Float32Array> }
  | { readonly kind: 'dispose'; readonly graph: number }
  /** Which shared libraries the process has loaded by now. */
  | { readonly kind: 'libraries' };

export type EngineAnswer =
  | { readonly kind: 'created'; readonly description: EngineDescription }
  | { readonly kind: 'compiled'; readonly graph: number; readonly feeds: ReadonlyMap<string, Shape> }
  | { readonly kind: 'results'; readonly results: ReadonlyMap<string, Float32Array> }
  | { readonly kind: 'disposed' }
  | { readonly kind: 'libraries'; readonly paths: readonly string[] }
  | { readonly kind: 'failed'; readonly message: string; readonly outOfMemory: boolean };
