/**
 * What an analysis is asked (`AnalysisRequest`), what it says while it runs
 * (`AnalysisEvent`) and what it answers (`AnalysisResult`).
 *
 * The same types serve the command line's JSON, the compute process, the
 * language server and the webviews; `server/src/report/result.schema.json` is
 * the JSON schema of `AnalysisResult`.
 *
 * Sparsity is always the fraction of prunable weights that are zero; `keep` is
 * its complement. Both lie in [0, 1].
 */

/** How the loss tolerance ε of the sublevel set is chosen. */
export type EpsilonRule =
  /** Standard deviation of the mini-batch loss, batches of 128 (the paper's). */
  | { readonly kind: 'batch-std' }
  /** A loss difference, in nats. */
  | { readonly kind: 'absolute'; readonly value: number }
  /** A multiple of the dense loss. */
  | { readonly kind: 'relative'; readonly value: number };

export type CurvatureKind = 'hessian' | 'ggn';
export type CurvatureChoice = 'both' | CurvatureKind;
export type TensorLayout = 'nchw' | 'nhwc';
export type Split = 'train' | 'test';

/** What can run a network: onnxruntime's execution providers, and TensorFlow.js. */
export const PROVIDERS = ['cpu', 'wasm', 'webgpu', 'cuda', 'coreml', 'dml', 'tfjs'] as const;
export type Provider = (typeof PROVIDERS)[number];
/** `auto` takes the fastest that agrees with the CPU. */
export const PROVIDER_CHOICES = ['auto', ...PROVIDERS] as const;
export type ProviderChoice = (typeof PROVIDER_CHOICES)[number];

/** Where the samples are and how one becomes the network's input. */
export interface DataOptions {
  /** A file or a folder. */
  readonly path: string;
  readonly split: Split;
  /** Raw values are divided by this: 255 maps bytes to [0, 1]; 1 leaves them. */
  readonly scale: number;
  /** Applied after `scale`, per channel: (x − mean) / deviation. */
  readonly normalize?: { readonly mean: readonly number[]; readonly deviation: readonly number[] };
  /** Layout of the network's input; taken from the graph when absent. */
  readonly layout?: TensorLayout;
  /** Images of a folder: the shorter side becomes this many pixels. */
  readonly resize?: number;
  /** Images of a folder: then their middle, this many pixels high and wide; `resize` when absent. */
  readonly crop?: number;
  /** How many samples, chosen by seed and stratified by class. */
  readonly samples: number | 'all';
}

/** What the measured curve is measured on. */
export interface MeasureOptions {
  readonly on: 'both' | Split;
  /** A file or a folder with the test samples; `DataOptions.path` has them when absent. */
  readonly testData?: string;
  /** How many samples of each split, chosen by seed and stratified by class. */
  readonly samples: number | 'all';
}

export interface AnalysisOptions {
  readonly data: DataOptions;
  /** Studies the diagonal block of every layer by itself, after the limits; absent when it is not asked. */
  readonly layerLimits?: true;
  /** Studies the limit on fewer samples, after the limits, and what all samples would say; absent when it is not asked. */
  readonly sampleSizes?: true;
  /** Measures the pruned network at many sparsities, after the limits; absent when it is not asked. */
  readonly measure?: MeasureOptions;
  /** Name of the network of weights alone; the one that fits when absent. */
  readonly architecture?: string;
  /** Absolute path of a file whose graph weights alone borrow. */
  readonly graph?: string;
  /** Samples per engine run. */
  readonly batch: number;
  /** Most Lanczos steps per operator; 0 evaluates loss and accuracy only. */
  readonly steps: number;
  /** Wished width of the bracket of the limit, as a fraction (0.01 = 1 point). */
  readonly tolerance: number;
  /** Time budget. */
  readonly minutes: number;
  readonly epsilon: EpsilonRule;
  readonly curvature: CurvatureChoice;
  /** Coefficient μ of an L1 penalty the network was trained with; 0 when none. */
  readonly l1: number;
  readonly provider: ProviderChoice;
  /** Folders in which TensorFlow.js is looked for first. */
  readonly modules?: readonly string[];
  /** 0 lets the engine choose. */
  readonly threads: number;
  /** Largest resident memory of the compute process, in MiB; 0 is no limit. */
  readonly memory: number;
  readonly seed: number;
}

export interface AnalysisRequest {
  /** Absolute path of the checkpoint. */
  readonly checkpoint: string;
  readonly options: AnalysisOptions;
}

/** A closed interval. */
export type Interval = readonly [low: number, high: number];

export interface CurvatureResult {
  /** Tr of the operator over the prunable weights (of |·| nowhere: signed). */
  readonly trace: number;
  readonly traceStandardError: number;
  readonly lambdaMax: number;
  readonly lambdaMin: number;
  /** Lanczos steps of the deepest probe; the columns where the matrix is known in whole. */
  readonly steps: number;
  /** Random probes; 1 where the matrix is known in whole. */
  readonly probes: number;
  /** The matrix is known in whole, from D products: these are its eigenvalues, without a sampling error. */
  readonly exact: boolean;
  /** What float32 may move the modulus of an eigenvalue by; counted in the bracket. */
  readonly blur: number;
  /** c = 2ε/R² at the limit: the eigenvalues that count are about as large. */
  readonly scale: number;
  /** Nodes of the Gauss quadrature, ascending; with several probes their union. */
  readonly ritzValues: readonly number[];
  /** Weights of the nodes; they sum to 1. */
  readonly weights: readonly number[];
}

/**
 * Why the study of a limit ended: its interval is within the tolerance, or
 * steps, time or memory are spent, or neither more of them nor more probes
 * would help, because float32 blurs the eigenvalues that count or for another
 * reason.
 */
export type LimitEnd = 'resolved' | 'steps' | 'time' | 'memory' | 'float32' | 'exhausted';

export interface LimitResult {
  readonly operator: CurvatureKind;
  /** Midpoint of `bracket`: the headline. */
  readonly sparsity: number;
  /** 1 − sparsity. */
  readonly keep: number;
  /** With probability 1 − η no kept fraction below this works … */
  readonly lower: number;
  /** … and every kept fraction above this does (both from the far end of `interval`). */
  readonly upper: number;
  /** What s* lies between as far as the depth of the Lanczos run is concerned: by Gauss and Gauss–Radau quadrature, for the Hessian by bounds of its own. */
  readonly bracket: Interval;
  /** Standard error of s* over the random probes. */
  readonly standardError: number;
  /** `bracket` widened by 1.96 standard errors: the 95 % interval that is shown. */
  readonly interval: Interval;
  /** True when `interval` is no wider than the asked tolerance. */
  readonly resolved: boolean;
  /** Why it is not sharper; absent while it is being sharpened. */
  readonly end?: LimitEnd;
  readonly eta: number;
  /** s* from the trace bound alone: on the safe side of the spectral limit. */
  readonly traceBound: number;
  /** The optimistic end: re-optimised weights in a random subspace (PSD spectra). */
  readonly sharp: number;
  /** R(s*) = ‖w* − wᵏ‖₂. */
  readonly R: number;
  /** One sentence: what was computed for this, and why that. */
  readonly method: string;
  readonly curvature: CurvatureResult;
}

/** One point of the path from the dense network to the pruned one. */
export interface PathPoint {
  readonly sparsity: number;
  readonly R: number;
  /** Measured loss of the pruned network (data term only). */
  readonly loss: number;
  /** Measured correct predictions of the pruned network, as a fraction. */
  readonly accuracy: number;
  /** gᵀd, with the L1 term when μ > 0. */
  readonly linear: number;
  /** ½ dᵀHd. */
  readonly quadratic: number;
  /** μ(‖wᵏ‖₁ − ‖w*‖₁), which `linear` counts and `loss` does not; absent without a penalty. */
  readonly penalty?: number;
}

/** Rise of the loss of the data that the quadratic model predicts: without the penalty, as it is measured. */
export function predictedRise({ linear, quadratic, penalty = 0 }: PathPoint): number {
  return linear - penalty + quadratic;
}

/** The pruned network at one sparsity, on the samples of a split. */
export interface MeasuredPoint {
  readonly sparsity: number;
  /** Mean cross entropy, in nats. */
  readonly loss: number;
  /** Standard error of the rise of the loss over the dense network's, sample by sample. */
  readonly riseStandardError: number;
  readonly correct: number;
  /** Wilson's 95 % interval of the accuracy. */
  readonly accuracyInterval: Interval;
}

/** The largest sparsity at which the network, pruned at once, is still as good as asked. */
export interface OneShotLimit {
  /** What may fall or rise, … */
  readonly criterion: 'accuracy' | 'loss';
  /** … and by how much: a fraction of the samples, or nats. Accuracy with 0 is the paper's criterion. */
  readonly tolerance: number;
  /** Largest measured sparsity that meets it. */
  readonly sparsity: number;
  /** 95 %: what another set of samples of this size, and a finer grid, could still move. */
  readonly interval: Interval;
  /** How far the next measured sparsity is, at which it is not met; 0 when it is met at the last. */
  readonly resolution: number;
}

/** The measured curve on one split. */
export interface MeasuredSplit {
  readonly split: Split;
  readonly path: string;
  readonly samples: number;
  readonly available: number;
  /** Ascending in sparsity, the dense network first. */
  readonly points: readonly MeasuredPoint[];
  /** Empty until all points are measured. */
  readonly oneShot: readonly OneShotLimit[];
}

/** The limit of a layer that is pruned alone. */
export interface OwnLimit {
  /** Name of the weight tensor. */
  readonly name: string;
  /** Of its own weights. */
  readonly sparsity: number;
  readonly interval: Interval;
  /** Whether the interval is no wider than the asked tolerance. */
  readonly resolved: boolean;
}

/** What the diagonal blocks of the layers say, each by itself. */
export interface LayerLimits {
  readonly operator: CurvatureKind;
  /**
   * Share of ‖·‖_F² of the operator that lies outside of those blocks: with
   * much of it, what the layers bear alone says little about all of them
   * together. Null until every block is known.
   */
  readonly coupling: { readonly share: number; readonly standardError: number } | null;
  /** In the order of `AnalysisResult.layers`. */
  readonly layers: readonly OwnLimit[];
}

/** The limit at one number of samples. */
export interface SizeLimit {
  readonly samples: number;
  /** Parts of that many samples that the chosen ones were cut into; the limit is the mean of theirs. */
  readonly parts: number;
  readonly sparsity: number;
  /** 95 %: brackets, random probes, and which samples of the data set were drawn. */
  readonly interval: Interval;
}

/** What smaller numbers of samples say of a larger one, whose limit was computed too. */
export interface HeldBackLimit {
  /** The largest number that was used. */
  readonly from: number;
  readonly samples: number;
  /** What they say. */
  readonly interval: Interval;
  /**
   * Whether the limit that was computed there may lie between the two extremes, by the
   * errors of both; null where the error of the growth up to there exceeds it, so that nothing is told.
   */
  readonly covered: boolean | null;
}

/** The limit as a function of the number of samples, with ε as it is for all that were chosen. */
export interface SampleSizes {
  readonly operator: CurvatureKind;
  /** Ascending; the last is the number that was chosen. */
  readonly sizes: readonly SizeLimit[];
  readonly heldBack: readonly HeldBackLimit[];
  /** What the whole data set would say; null where it was chosen, and where nothing holds. */
  readonly whole: {
    readonly samples: number;
    readonly interval: Interval;
    /**
     * `growth`: by the two extremes, that what is kept stays and that it goes on to
     * rise as it did. `trace`: its lower end is the bound that the trace sets.
     */
    readonly by: 'growth' | 'trace';
  } | null;
}

export interface LayerResult {
  /** Name of the weight tensor in the checkpoint. */
  readonly name: string;
  /** ONNX operator that uses it. */
  readonly op: string;
  readonly shape: readonly number[];
  /** Number of weights. */
  readonly weights: number;
  /** How many are exactly 0 already. */
  readonly zeros: number;
  /** At the headline limit; null while there is none, as for all that follows. */
  readonly sparsityAtLimit: number | null;
  readonly keptAtLimit: number | null;
  /** Trace of the layer's diagonal block, of the headline operator. */
  readonly trace: number | null;
  readonly traceStandardError: number | null;
  /** Share of the layer's Gauss–Newton (else headline) trace in the whole. */
  readonly curvatureShare: number | null;
}

export type WarningCode =
  | 'layer-vanishes'
  | 'curvature-share'
  | 'unresolved-bracket'
  | 'not-stationary'
  | 'beyond-validity'
  | 'non-finite-weights'
  | 'constant-weights'
  | 'already-sparse'
  | 'few-samples'
  | 'float32-floor'
  | 'provider-left'
  | 'batch-halved'
  | 'inputs-changed'
  | 'sizes-missing';

export interface AnalysisWarning {
  readonly code: WarningCode;
  readonly message: string;
  /** Name of the layer it is about, where there is one. */
  readonly layer?: string;
}

export interface AnalysisResult {
  readonly checkpoint: string;
  readonly engine: {
    readonly name: string;
    readonly version: string;
    readonly provider: string;
    readonly threads: number;
    /** Why this provider: what was tried, how it compared. */
    readonly reason: string;
  };
  readonly data: {
    readonly path: string;
    readonly format: string;
    readonly samples: number;
    readonly available: number;
    readonly classes: number;
  };
  readonly parameters: { readonly total: number; readonly prunable: number };
  /** Mean cross entropy over the chosen samples, in nats. */
  readonly loss: number;
  readonly accuracy: { readonly correct: number; readonly total: number };
  readonly epsilon: { readonly value: number; readonly rule: string };
  /** The headline first: the Hessian with |λ| unless only Gauss–Newton was asked. */
  readonly limits: readonly LimitResult[];
  readonly path: readonly PathPoint[];
  /** By operator, the headline's first; empty when it was not asked for. */
  readonly layerLimits: readonly LayerLimits[];
  /** By operator, the headline's first; absent when it was not asked for. */
  readonly sampleSizes?: readonly SampleSizes[];
  /** The test split first; empty when it was not asked for. */
  readonly measured: readonly MeasuredSplit[];
  readonly validity: {
    /** Largest sparsity up to which measured and predicted ΔL agree within a factor 2; null when the path was not measured. */
    readonly edge: number | null;
    /** ‖∇L‖₂ over the prunable weights; null when it was not computed. */
    readonly gradientNorm: number | null;
  };
  readonly layers: readonly LayerResult[];
  readonly warnings: readonly AnalysisWarning[];
  readonly options: AnalysisOptions;
  readonly time: {
    /** Seconds. */
    readonly total: number;
    /** Seconds of one product over all chosen samples. */
    readonly perProduct: number;
    readonly products: number;
  };
}

export type Phase =
  | 'reading'
  | 'loading-data'
  | 'compiling'
  | 'evaluating'
  | 'trace'
  | 'hessian'
  | 'ggn'
  | 'path'
  | 'layers'
  | 'sizes'
  | 'measuring'
  | 'reporting'
  | 'pruning';

/** What is known so far; the answer sharpens while the user watches. */
export type PartialResult = Omit<AnalysisResult, 'time' | 'options'>;

export type AnalysisEvent =
  /** After every batch of every product. `done`/`total` count work of the whole job, as far as it can be foreseen. */
  | {
      readonly kind: 'progress';
      readonly phase: Phase;
      readonly done: number;
      readonly total: number;
      readonly message: string;
      readonly elapsed: number;
    }
  /** After every Lanczos step, every trace probe and every path point. */
  | { readonly kind: 'partial'; readonly result: PartialResult }
  | { readonly kind: 'warning'; readonly warning: AnalysisWarning }
  | { readonly kind: 'done'; readonly result: AnalysisResult }
  | { readonly kind: 'failed'; readonly error: FailureMessage };

/** An error as a user reads it: what, where and what to do next, in one sentence. */
export interface FailureMessage {
  readonly message: string;
  /** `input`: exit status 2 (bad usage or input); `analysis`: 1. */
  readonly category: 'input' | 'analysis';
  /** What an editor can offer a way out of: the pruned network would be cut in two. */
  readonly reason?: 'disconnected';
}

/** What can be said of a checkpoint without running it (`pruning-limit inspect`). */
export interface CheckpointSummary {
  readonly checkpoint: string;
  readonly format: string;
  readonly producer: string;
  readonly opset: number | null;
  readonly inputs: readonly { readonly name: string; readonly shape: readonly (number | string)[] }[];
  readonly outputs: readonly { readonly name: string; readonly shape: readonly (number | string)[] }[];
  readonly parameters: { readonly total: number; readonly prunable: number };
  readonly layers: readonly LayerSummary[];
  /** Of a file that holds weights alone: the known networks that fit, and why, or what comes closest; else null. */
  readonly architecture: { readonly names: readonly string[]; readonly reason: string } | null;
  /** Every stored tensor, layers' weights included. */
  readonly tensors: readonly TensorSummary[];
  /** How often each operator occurs. */
  readonly operators: Readonly<Record<string, number>>;
  /** Operators the analysis cannot differentiate, with the node that uses them first. */
  readonly unsupported: readonly { readonly op: string; readonly node: string }[];
}

export interface TensorSummary {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** SHA-256 of the elements as little-endian bytes in row-major order, where it was asked for. */
  readonly sha256?: string;
}

export interface LayerSummary {
  readonly name: string;
  readonly op: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly weights: number;
  /** Null where the checkpoint is too large to be read for a summary. */
  readonly zeros: number | null;
  readonly nonFinite: number | null;
  /** All of its weights, of which there are several, are the same number. */
  readonly constant: boolean | null;
}
