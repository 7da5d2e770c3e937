/**
 * What a training is asked (`TrainRequest`), what it says while it runs
 * (`TrainEvent`) and what it answers (`TrainResult`).
 */
import type { DataOptions, FailureMessage, Interval, Split } from './analysis';

export type TrainSource =
  /** Absolute path of a checkpoint; for weights alone how their network is found, as in `AnalysisOptions`. */
  | {
      readonly kind: 'checkpoint';
      readonly path: string;
      readonly architecture?: string;
      readonly graph?: string;
    }
  /** A known network with fresh weights, which `TrainOptions.seed` draws. */
  | { readonly kind: 'architecture'; readonly name: string };

/** How the learning rate goes on after the warm-up. */
export type Schedule =
  | { readonly kind: 'constant' }
  /** Down to 0 along half a cosine. */
  | { readonly kind: 'cosine' }
  /** Multiplied by `factor` at the beginning of these epochs, counted from 0. */
  | { readonly kind: 'multistep'; readonly milestones: readonly number[]; readonly factor: number };

export type L1Mode = 'subgradient' | 'proximal';

export interface TrainOptions {
  readonly data: DataOptions;
  /** What accuracy is measured on after every epoch; null for nothing. */
  readonly evaluation: Split | null;
  readonly epochs: number;
  readonly batch: number;
  readonly rate: number;
  readonly schedule: Schedule;
  /** Epochs in which the rate rises from 0. */
  readonly warmup: number;
  readonly momentum: number;
  readonly weightDecay: number;
  /** μ. */
  readonly l1: number;
  readonly l1Mode: L1Mode;
  /** Pixels of padding for random crops; 0 for none. */
  readonly crop: number;
  readonly flip: boolean;
  /** Which weights stay zero: none, those that are zero in the checkpoint, or those of a mask file (absolute path). */
  readonly mask: 'none' | 'zeros' | { readonly path: string };
  readonly seed: number;
  /** 0 lets the engine choose. */
  readonly threads: number;
  /** Largest resident memory of the compute process, in MiB; 0 is no limit. */
  readonly memory: number;
  /** The limit is predicted after every so many epochs; 0 for never. */
  readonly limitEvery: number;
}

/** Finds the smallest μ with which the network can be pruned. */
export interface SearchOptions {
  /** Wished sparsity, in (0, 1). */
  readonly sparsity: number;
  /** How much accuracy the pruned network may lose against one trained without penalty, as a fraction. */
  readonly budget: number;
  /** Where the search looks. */
  readonly from: number;
  readonly to: number;
}

export interface TrainRequest {
  readonly source: TrainSource;
  /** Absolute path of the ONNX checkpoint that is written. What a resume needs is beside it, in `OUTPUT.resume`. */
  readonly output: string;
  /** Goes on from where a training with the same options was cut off, or begins it. */
  readonly resume: boolean;
  /** Replaces what is there. */
  readonly overwrite: boolean;
  readonly options: TrainOptions;
  readonly search?: SearchOptions;
}

/** Loss and correct predictions of a network in evaluation mode. */
export interface Score {
  /** Mean cross entropy, in nats. */
  readonly loss: number;
  readonly correct: number;
  readonly total: number;
}

export interface EpochRecord {
  /** From 1. */
  readonly epoch: number;
  /** Mean loss of the batches as they were trained on, without penalty, in nats. */
  readonly loss: number;
  readonly score: Score | null;
  /** Fraction of the prunable weights below `NEAR_ZERO` in magnitude. */
  readonly nearZero: number;
  /** Predicted limit, where it was asked for. */
  readonly limit: { readonly sparsity: number; readonly interval: Interval } | null;
}

/** Weights below this count as near zero. */
export const NEAR_ZERO = 1e-3;

/** One training of a search for μ. */
export interface SearchTrial {
  readonly l1: number;
  readonly dense: Score;
  /** After pruning by global magnitude at the wished sparsity. */
  readonly pruned: Score;
  readonly ok: boolean;
}

export interface TrainResult {
  readonly source: TrainSource;
  readonly output: string;
  readonly weights: number;
  readonly epochs: readonly EpochRecord[];
  /** False when it was stopped before its last epoch. */
  readonly finished: boolean;
  readonly options: TrainOptions;
  /** The trials of a search in the order they were made, that of μ = 0 first; null without a search. */
  readonly trials: readonly SearchTrial[] | null;
}

export type TrainEvent =
  | {
      readonly kind: 'step';
      /** Both from 1. */
      readonly epoch: number;
      readonly step: number;
      readonly steps: number;
      readonly epochs: number;
      readonly loss: number;
      /** Seconds since the training began or was resumed. */
      readonly elapsed: number;
      /** Fraction of the whole that is done, and of it what this run did. */
      readonly done: number;
      readonly here: number;
    }
  | { readonly kind: 'epoch'; readonly record: EpochRecord; readonly epochs: number }
  | { readonly kind: 'note'; readonly message: string }
  | { readonly kind: 'trial'; readonly trial: SearchTrial }
  | { readonly kind: 'trained'; readonly result: TrainResult }
  | { readonly kind: 'failed'; readonly error: FailureMessage };
