/**
 * What a pruning is asked (`PruneRequest`), what it says while it runs
 * (`PruneEvent`) and what it answers (`PruneResult`);
 * `server/src/report/pruned.schema.json` is the JSON schema of `PruneResult`.
 */
import type { AnalysisEvent, AnalysisOptions, AnalysisResult, FailureMessage } from './analysis';

/** How the zeros are shared among the layers; within a layer the smallest weights go. */
export type PruneMethod =
  /** The smallest weights of the whole network, as the paper has it. */
  | 'global'
  /** The same sparsity in every layer. */
  | 'uniform'
  /** Erdős–Rényi kernel: layers with many connections per unit give more. */
  | 'erk'
  /** Every layer to its own limit, from its share of the curvature. */
  | 'layers';

export type PruneTarget =
  | { readonly kind: 'sparsity'; readonly sparsity: number }
  /** The headline limit of `PruneRequest.analysis`, which is computed when there is none. */
  | { readonly kind: 'limit' };

export interface PruneRequest {
  /** Absolute paths. */
  readonly checkpoint: string;
  readonly output: string;
  /** How the network of weights alone is found, as in `AnalysisOptions`. */
  readonly architecture?: string;
  readonly graph?: string;
  /** Where the mask goes. */
  readonly mask?: string;
  readonly target: PruneTarget;
  readonly method: PruneMethod;
  /** Writes a network that the mask cuts in two all the same. */
  readonly allowDisconnected: boolean;
  /** Weights of an ONNX file take only the room of those that are not zero. */
  readonly sparse: boolean;
  /**
   * Replaces files that are there already, the checkpoint itself never; `own`:
   * `output` and the files that belong to the checkpoint there, no others.
   */
  readonly overwrite: boolean | 'own';
  /** An analysis of the checkpoint from before. */
  readonly analysis?: AnalysisResult;
  /** Given, loss and accuracy before and after are measured on these data. */
  readonly options?: AnalysisOptions;
}

export interface PrunedLayer {
  readonly name: string;
  readonly op: string;
  readonly shape: readonly number[];
  readonly weights: number;
  /** Weights that are not zero in the file written. */
  readonly kept: number;
  /** 1 − kept/weights. */
  readonly sparsity: number;
}

/** Loss and correct predictions on some samples. */
export interface Performance {
  /** Mean cross entropy, in nats. */
  readonly loss: number;
  readonly correct: number;
}

export interface PruneResult {
  readonly checkpoint: string;
  readonly output: string;
  /** Other files that belong to `output`: external data, shards. */
  readonly companions: readonly string[];
  readonly mask: string | null;
  readonly method: PruneMethod;
  /** What was asked for, the limit as a number. */
  readonly asked: number;
  /** Whether `asked` is the limit. */
  readonly atLimit: boolean;
  /** Fraction of the prunable weights that are zero in the file written. */
  readonly sparsity: number;
  readonly weights: number;
  readonly kept: number;
  readonly layers: readonly PrunedLayer[];
  /** What cuts the network in two, where that was allowed; one sentence each. */
  readonly disconnected: readonly string[];
  /** Null without data. */
  readonly measured: {
    readonly path: string;
    readonly samples: number;
    readonly before: Performance;
    readonly after: Performance;
  } | null;
}

/** Progress of the analysis that finds the limit, then of the pruning. */
export type PruneEvent =
  | (AnalysisEvent & { readonly kind: 'progress' | 'partial' })
  | { readonly kind: 'pruned'; readonly result: PruneResult }
  | { readonly kind: 'failed'; readonly error: FailureMessage };
