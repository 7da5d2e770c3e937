/** Running and past analyses, as the runs view shows them and the language server keeps them. */
import type { CurvatureKind, Interval } from './analysis';

export type RunId = string;

export type RunState = 'running' | 'done' | 'failed' | 'cancelled';

/** A limit without what it was derived from. */
export interface RunLimit {
  readonly operator: CurvatureKind;
  readonly sparsity: number;
  readonly interval: Interval;
  readonly resolved: boolean;
}

export interface Run {
  /** Also the id of its job. */
  readonly id: RunId;
  /** Given by the user; null for the name of the checkpoint. */
  readonly name: string | null;
  /** Absolute path. */
  readonly checkpoint: string;
  readonly state: RunState;
  /** Milliseconds since 1970. */
  readonly started: number;
  /** Null while it runs. */
  readonly ended: number | null;
  /** The headline first; empty when nothing is known. */
  readonly limits: readonly RunLimit[];
  /** Why it failed. */
  readonly error: string | null;
  /** Samples the curvature was measured on. */
  readonly samples: number | 'all';
}
