/**
 * Custom messages between the extension's client and the language server, on
 * the LSP connection, and between the extension host and its webviews.
 *
 * The client computes nothing and reads no checkpoint; the server runs no
 * session and answers at once; a compute process per job does the work. A job
 * is named by the id that the server gave out.
 */
import type {
  AnalysisEvent,
  AnalysisOptions,
  AnalysisRequest,
  AnalysisResult,
  CheckpointSummary,
  FailureMessage,
  PartialResult,
  Phase,
} from './analysis';
import type { PruneEvent, PruneRequest } from './prune';
import type { Run, RunId } from './runs';
import type { RetrainRequest } from './retrain';
import type { TrainRequest } from './train';

export type JobId = RunId;

/** Method names of the custom requests and notifications. */
export const Method = {
  /** `InspectParams` → `InspectAnswer` */
  inspect: 'pruningLimit/inspect',
  /** `InspectParams` → `OptionsAnswer`: what the analysis file and the settings say about a checkpoint. */
  options: 'pruningLimit/options',
  /** `InspectParams` → `ResultAnswer`: the latest result. */
  result: 'pruningLimit/result',
  /** `AnalysisRequest` → `StartAnswer`; returns before the work begins. A checkpoint has one job at most. */
  start: 'pruningLimit/start',
  /** `JobParams` → `CancelAnswer`; the compute process is gone when it answers. */
  cancel: 'pruningLimit/cancel',
  /** `InspectParams` → `LayersAnswer`: text of the layer summary document, with the latest result folded in. */
  layers: 'pruningLimit/layers',
  /** `PruneParams` → `PruneAnswer`; returns before the work begins. */
  prune: 'pruningLimit/prune',
  /** → `ResumeAnswer`: goes on with analyses whose editor or server has gone. */
  resume: 'pruningLimit/resume',
  /** → `RunsAnswer`: running and past analyses, the newest first. */
  runs: 'pruningLimit/runs',
  /** `RunParams` → `ResultAnswer`: the result of one run. */
  runResult: 'pruningLimit/runResult',
  /** `RenameParams` → `EditAnswer` */
  renameRun: 'pruningLimit/renameRun',
  /** `RunParams` → `EditAnswer`; the cached answer goes with it. A run that is running stays. */
  deleteRun: 'pruningLimit/deleteRun',
  /** `DoctorParams` → `DoctorAnswer`: what this machine has to run a network with; takes seconds. */
  doctor: 'pruningLimit/doctor',
  /** → `HealthAnswer`: how well the server keeps up, since it was asked last. */
  health: 'pruningLimit/health',
  /** server → client: the answer of `runs` has changed. */
  runsChanged: 'pruningLimit/runsChanged',
  /** server → client, `JobEvent` */
  event: 'pruningLimit/event',
} as const;

export interface InspectParams {
  /** `file:` URI of the checkpoint. */
  readonly uri: string;
}
export type InspectAnswer = { readonly summary: CheckpointSummary } | { readonly error: FailureMessage };

export type OptionsAnswer =
  | {
      /** Path of the analysis file. */
      readonly file: string;
      readonly options: AnalysisOptions;
    }
  /** No analysis file speaks of the checkpoint; `file` is the nearest one there is, or null. */
  | { readonly missing: true; readonly file: string | null }
  /** `file` is null when a setting is wrong. */
  | { readonly error: FailureMessage; readonly file: string | null };

export interface ResultAnswer {
  readonly result: AnalysisResult | null;
}

export type StartParams = AnalysisRequest;
export interface StartAnswer {
  readonly job: JobId;
}

export interface JobParams {
  readonly job: JobId;
}
export interface CancelAnswer {
  /** False when the job had ended before. */
  readonly cancelled: boolean;
}

export interface PruneParams {
  /** `file:` URIs of the checkpoint and of what is to be written. A file that is there is replaced. */
  readonly uri: string;
  readonly output: string;
  /** Null for the limit of the latest result. */
  readonly sparsity: number | null;
  /** Writes a network that the mask cuts in two all the same. */
  readonly allowDisconnected: boolean;
}
export type PruneAnswer = StartAnswer | { readonly error: FailureMessage };

export interface LayersAnswer {
  readonly text: string;
}

export interface RunParams {
  readonly run: RunId;
}
export interface RenameParams extends RunParams {
  /** Empty for the name of the checkpoint. */
  readonly name: string;
}
/** What is wrong when it was not done. */
export type EditAnswer = { readonly ok: true } | { readonly error: FailureMessage };

export interface RunsAnswer {
  readonly runs: readonly Run[];
}

export interface ResumeAnswer {
  /** Jobs that run now. */
  readonly jobs: readonly { readonly job: JobId; readonly checkpoint: string }[];
}

export interface HealthAnswer {
  /** Longest time that anything had to wait for the event loop, in milliseconds; 0 when asked for the first time. */
  readonly delay: number;
  /** Resident memory and JavaScript heap in use, in MiB. */
  readonly memory: number;
  readonly heap: number;
}

/** An event of a job; `cancelled` ends it like `done`, `pruned` and `failed` do. */
export interface JobEvent {
  /** Of `done`: the same question was answered before, at this time in milliseconds since 1970. */
  readonly cached?: number;
  readonly job: JobId;
  readonly task: ToCompute['kind'];
  readonly checkpoint: string;
  readonly event: FromCompute | { readonly kind: 'cancelled' };
}

/** `initializationOptions` of the language server. */
export interface ServerOptions {
  /** Folder where runs, their results and journals are kept between windows; none are when it is absent. */
  readonly storage?: string;
  /** File of words in the user's language, as VS Code has them; English when it is absent. */
  readonly l10n?: string;
}

/** Server and compute process. Sent with the structured clone algorithm, so arrays travel as raw bytes. */
export type ToCompute =
  | { readonly kind: 'analyze'; readonly request: AnalysisRequest; readonly journal?: JournalPlace }
  | { readonly kind: 'prune'; readonly request: PruneRequest };
export type FromCompute = AnalysisEvent | PruneEvent;
/** Where an analysis keeps its products, and for which question. */
export interface JournalPlace {
  readonly path: string;
  readonly key: string;
}
/** What the command line alone starts: a training, which answers with `TrainEvent`, and the search for the retrained limit, with `RetrainEvent`. */
export type TrainTask =
  | { readonly kind: 'train'; readonly request: TrainRequest }
  | { readonly kind: 'retrain'; readonly request: RetrainRequest };
/** Sent to a compute process at work: to end a training, or the search that it belongs to, after the epoch in progress. */
export type Interrupt = { readonly kind: 'stop' };

/** Extension host → limit panel. */
export type ToPanel =
  /** Brings a figure into view, once it is drawn. */
  | { readonly kind: 'show'; readonly figure: string }
  /** Nothing was computed yet. */
  | { readonly kind: 'idle' }
  | {
      readonly kind: 'running';
      readonly phase: Phase | null;
      readonly message: string;
      readonly fraction: number | null;
      /** Seconds. */
      readonly elapsed: number;
      readonly remaining: number | null;
    }
  | { readonly kind: 'partial'; readonly result: PartialResult }
  | {
      readonly kind: 'done';
      readonly result: AnalysisResult;
      /** When the same question was answered before, in milliseconds since 1970. */
      readonly cached?: number;
    }
  | { readonly kind: 'failed'; readonly error: FailureMessage }
  | { readonly kind: 'cancelled' };

/** Limit panel → extension host. */
export type FromPanel =
  | { readonly kind: 'ready' }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'compute' }
  | { readonly kind: 'prune' }
  | { readonly kind: 'openLayers'; readonly layer?: string }
  | {
      readonly kind: 'export';
      readonly name: string;
      readonly format: 'svg' | 'csv' | 'png';
      readonly content: string;
    };

/** Extension host → report of past runs. */
export interface ToRuns {
  readonly kind: 'runs';
  /** Without those that are gone. `started` in milliseconds since 1970. */
  readonly runs: readonly { readonly title: string; readonly started: number; readonly result: AnalysisResult }[];
}

/** Report of past runs → extension host. Paths are absolute. */
export type FromRuns =
  | { readonly kind: 'ready' }
  | { readonly kind: 'openLayers'; readonly checkpoint: string; readonly layer: string }
  | {
      readonly kind: 'export';
      readonly checkpoint: string;
      readonly name: string;
      readonly format: 'svg' | 'csv' | 'png';
      readonly content: string;
    };
