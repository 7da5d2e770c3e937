/**
 * What the search for the retrained limit is asked (`RetrainRequest`), what it
 * says while it runs (`RetrainEvent`) and what it answers (`RetrainResult`).
 */
import type { EpsilonRule, Interval } from './analysis';
import type { Score, TrainEvent, TrainOptions } from './train';

export interface RetrainOptions {
  /** Of every trial; `epochs` is the most that one may take, and `seed` the first of the seeds. */
  readonly training: TrainOptions;
  readonly epsilon: EpsilonRule;
  /** The search is made with so many seeds, counted up from the first. */
  readonly seeds: number;
  /** Wished width of a seed's bracket, as a fraction (0.005 = half a point). */
  readonly tolerance: number;
}

export interface RetrainRequest {
  /** Absolute path of the dense checkpoint. */
  readonly checkpoint: string;
  /** Absolute path of the checkpoint that is written: the sparsest that came back. Until then the trials are in `OUTPUT.trials`. */
  readonly output: string;
  /** Goes on from where a search with the same options was cut off, or begins it. */
  readonly resume: boolean;
  /** Replaces what is there. */
  readonly overwrite: boolean;
  readonly options: RetrainOptions;
}

/** The network pruned to one sparsity and trained with the mask fixed. */
export interface RetrainTrial {
  readonly seed: number;
  readonly sparsity: number;
  /** Weights that are not masked. */
  readonly kept: number;
  /** Epochs it took; 0 when the loss was within ε at once. */
  readonly epochs: number;
  /** Mean loss over all training samples after them, in nats; null when it was not finite. */
  readonly loss: number | null;
  /** Whether that is within ε of the dense network's. */
  readonly reached: boolean;
}

/** Between which sparsities one seed's limit lies. */
export interface RetrainBracket {
  readonly seed: number;
  /** The largest sparsity tried that came back, and what its network is worth on the evaluation data. */
  readonly reached: number;
  readonly score: Score | null;
  /** The smallest tried above it, which did not. */
  readonly missed: number;
}

export interface RetrainResult {
  readonly checkpoint: string;
  readonly output: string;
  /** Prunable weights. */
  readonly weights: number;
  /** Training samples. */
  readonly samples: number;
  readonly dense: {
    /** Mean loss over all training samples, in nats. */
    readonly loss: number;
    readonly score: Score | null;
  };
  readonly epsilon: { readonly value: number; readonly rule: string };
  /** In the order they were made. */
  readonly trials: readonly RetrainTrial[];
  /** One per seed; those that are known when it was stopped. */
  readonly brackets: readonly RetrainBracket[];
  /** Mean over the seeds of the middles of their brackets, and the interval that has all of these; null when it was stopped. */
  readonly limit: { readonly sparsity: number; readonly interval: Interval } | null;
  readonly options: RetrainOptions;
}

export type RetrainEvent =
  /** Of the trial that is made. */
  | Exclude<TrainEvent, { readonly kind: 'trained' | 'trial' }>
  /** A trial begins, or has ended. */
  | { readonly kind: 'attempt'; readonly seed: number; readonly sparsity: number; readonly kept: number }
  | { readonly kind: 'attempted'; readonly trial: RetrainTrial; readonly target: number }
  | { readonly kind: 'retrained'; readonly result: RetrainResult };
