import type { CurvatureKind, LimitEnd, LimitResult } from '../../../protocol/analysis';
import type { SymmetricOperator } from '../spectrum/operator';
import type { ParameterLayout } from '../curvature/parameters';
import { AnalysisError } from '../errors';
import { NORMAL_95, pruningLimit } from '../limit/limit';
import type { Magnitudes } from '../limit/magnitudes';
import { eigenvalues, exactTraces, wholeMatrix } from '../spectrum/dense';
import {
  blurredBounds,
  exactMeasure,
  ruleBounds,
  spectralMeasure,
  type SpectralBounds,
  type SpectralMeasure,
} from '../spectrum/estimate';
import { lanczos, LanczosRun } from '../spectrum/lanczos';
import { modulusBounds } from '../spectrum/modulus';
import type { JacobiMatrix } from '../spectrum/quadrature';
import { Random } from '../random';
import { combineTraces, traceSample, type TraceEstimate, type TraceSample } from '../spectrum/traces';

export interface StudyOptions {
  /** Most Lanczos steps. */
  readonly steps: number;
  /** Wished width of the limit's interval. */
  readonly tolerance: number;
  readonly seed: number;
  /** When no further product is begun, by `now`. */
  readonly deadline: number;
  /** Milliseconds. */
  readonly now: () => number;
}

/** A curvature operator that times itself. */
export interface StudiedOperator extends SymmetricOperator {
  readonly kind: CurvatureKind;
  /** Products so far, and the seconds they took. */
  readonly products: number;
  readonly seconds: number;
}

export interface StudyUpdate {
  readonly limit: LimitResult;
  readonly traces: TraceEstimate;
}

export interface StudyListener {
  /** What is being computed from now on. */
  announce(message: string): void;
  /** How many products are to come from now on, at most. */
  plan(products: number): void;
  /** Awaited after every round of products that sharpened the limit. */
  update(update: StudyUpdate): void | Promise<void>;
}

/** Why a study ended; how many steps fit into the memory is decided before it. */
export type StudyEnd = Exclude<LimitEnd, 'memory'>;

/** Failure probability of the bounds of the phase transition. */
export const ETA = 0.05;
/** Products with Rademacher probes for the traces of operator and layers. */
export const TRACE_PROBES = 8;
/** Probes that share one pass over the data: the part of the network that does not depend on them is computed once. */
export const PROBES_PER_PASS = 4;
const MOST_PROBES = 512;
/** The same for the columns of a whole matrix, which are cheap and many. */
const COLUMNS_PER_PASS = 16;
/** Order of the largest matrix that is computed in whole: 72 MB, and half a minute for its eigenvalues. */
const LARGEST_MATRIX = 3000;
/** Operations per millisecond of the eigenvalues, at least; there are 4/3·D³. */
const EIGENVALUE_RATE = 5e5;
/** Relative error of a product, twice the largest that was measured against float64 (test/golden). */
const PRODUCT_ERROR = 4e-6;
/** Of the tolerance that the quadrature may use; the rest is left to the sampling error. */
const QUADRATURE_SHARE = 0.6;

/**
 * The limit of one operator, sharper with every update: traces first, then one
 * Lanczos run as deep as its bracket demands, then, while the sampling error is
 * what is missing, more probes of the same depth, or the whole matrix where
 * that is cheaper. Ends when the interval is within the tolerance, or steps or
 * time are spent.
 */
export class LimitStudy {
  private readonly samples: TraceSample[] = [];
  /** Tridiagonal matrices of the runs, the one in progress last. */
  private readonly jacobis: JacobiMatrix[] = [];
  /** Once the matrix is known, nothing else matters. */
  private known: KnownSpectrum | undefined;

  constructor(
    private readonly operator: StudiedOperator,
    private readonly layout: ParameterLayout,
    private readonly magnitudes: Magnitudes,
    private readonly epsilon: number,
    private readonly options: StudyOptions,
    private readonly listener: StudyListener,
  ) {}

  async run(): Promise<StudyEnd> {
    await this.estimateTraces();
    let limit = await this.firstRun();
    while (!limit.resolved) {
      if (limit.curvature.blur > BLURRED * limit.curvature.scale) return 'float32';
      if (!this.isNarrow(limit)) return this.whyWide(limit);
      const needsMatrix = this.isMatrixCheaper(limit);
      if (this.known !== undefined || (!needsMatrix && this.jacobis.length >= MOST_PROBES)) return 'exhausted';
      const sharper = await (needsMatrix ? this.matrix() : this.moreRuns());
      if (sharper === null) return 'time';
      limit = sharper;
    }
    return 'resolved';
  }

  /** Several probes together may be wider than the first, whose depth they share. */
  private whyWide({ curvature }: LimitResult): StudyEnd {
    if (!this.hasTime()) return 'time';
    return curvature.steps >= this.options.steps ? 'steps' : 'exhausted';
  }

  private async estimateTraces(): Promise<void> {
    for (let first = 0; first < TRACE_PROBES && (this.samples.length === 0 || this.hasTime());) {
      const width = Math.min(PROBES_PER_PASS, TRACE_PROBES - first);
      const probes = Array.from({ length: width }, (_, i) => this.probe(`trace ${first + i}`));
      this.listener.announce(`trace, probes ${first + 1} to ${first + width} of ${TRACE_PROBES}`);
      const products = await this.operator.apply(probes);
      probes.forEach((probe, i) => this.samples.push(traceSample(probe, products[i]!, this.layout.layers)));
      if (!this.samples.every(({ whole }) => Number.isFinite(whole.squaredNorm))) {
        throw notFinite();
      }
      first += width;
    }
  }

  private async firstRun(): Promise<LimitResult> {
    const { steps } = this.options;
    const run = LanczosRun.from(this.probe('lanczos 0'));
    let latest: LimitResult | undefined;
    this.listener.announce('step 1');
    for await (const progress of lanczos(this.operator, [run])) {
      if (run.status === 'non-finite') throw notFinite();
      this.jacobis[0] = run.jacobi;
      this.listener.announce(`step ${progress.steps + 1}`);
      latest = await this.update();
      if (this.isNarrow(latest) && progress.steps >= MINIMUM_STEPS) break;
      if (progress.steps >= steps || !this.hasTime()) break;
    }
    return latest!;
  }

  /**
   * Further probes to the depth that the first one needed; null when they would
   * not end, or did not end, in time. Shallower ones would be of no use: their
   * quadrature is another.
   */
  private async moreRuns(): Promise<LimitResult | null> {
    const depth = this.jacobis[0]!.alpha.length;
    const done = this.jacobis.length;
    const { seconds, products } = this.operator;
    if (!this.hasTime((1000 * depth * PROBES_PER_PASS * seconds) / products)) return null;
    const runs = Array.from({ length: PROBES_PER_PASS }, (_, i) => LanczosRun.from(this.probe(`lanczos ${done + i}`)));
    const say = (step: number): void =>
      this.listener.announce(`more probes, ${done + 1} to ${done + runs.length}, step ${step} of ${depth}`);
    say(1);
    this.listener.plan(depth * PROBES_PER_PASS);
    for await (const progress of lanczos(this.operator, runs)) {
      if (progress.status.includes('non-finite')) throw notFinite();
      if (progress.steps >= depth) break;
      if (!this.hasTime()) return null;
      say(progress.steps + 1);
    }
    this.jacobis.push(...runs.map((run) => run.jacobi));
    return this.update();
  }

  /** Whether all columns are fewer products than the probes that are still missing, and end in time. */
  private isMatrixCheaper({ bracket: [low, high], standardError }: LimitResult): boolean {
    const { dimension, seconds, products } = this.operator;
    if (dimension > LARGEST_MATRIX || this.known !== undefined) return false;
    const wished = (this.options.tolerance - (high - low)) / (2 * NORMAL_95);
    const probes = this.jacobis.length * ((standardError / wished) ** 2 - 1);
    if (dimension > Math.max(PROBES_PER_PASS, probes) * this.jacobis[0]!.alpha.length) return false;
    return this.hasTime((1000 * dimension * seconds) / products + eigenvalueTime(dimension));
  }

  /** All eigenvalues, from all columns; null when they did not end in time. */
  private async matrix(): Promise<LimitResult | null> {
    const { dimension } = this.operator;
    this.listener.plan(dimension);
    const matrix = await wholeMatrix(this.operator, COLUMNS_PER_PASS, (first, last) => {
      this.listener.announce(`whole matrix, columns ${first + 1} to ${last + 1} of ${dimension}`);
      return this.hasTime(eigenvalueTime(dimension));
    });
    if (matrix === null) return null;
    if (!matrix.entries.every(Number.isFinite)) throw notFinite();
    const traces = exactTraces(matrix, this.layout.layers);
    this.known = { eigenvalues: eigenvalues(matrix), noise: matrix.noise, traces };
    return this.update();
  }

  /** Whether the quadrature is as sure as it need be; what is missing then is more probes, whose error falls slowly. */
  private isNarrow({ bracket: [low, high] }: LimitResult): boolean {
    return high - low <= QUADRATURE_SHARE * this.options.tolerance;
  }

  /** Whether something that takes `milliseconds` would end before the deadline. */
  private hasTime(milliseconds = 0): boolean {
    return this.options.now() + milliseconds < this.options.deadline;
  }

  private probe(name: string): Float32Array {
    return Random.stream(this.options.seed, name).rademacher(this.layout.dimension);
  }

  private async update(): Promise<LimitResult> {
    const traces = this.known?.traces ?? combineTraces(this.samples);
    const limit = pruningLimit({
      ...(this.known === undefined ? this.quadratures() : exactSpectrum(this.known)),
      operator: this.operator.kind,
      magnitudes: this.magnitudes,
      epsilon: this.epsilon,
      eta: ETA,
      tolerance: this.options.tolerance,
      trace: traces.trace,
    });
    await this.listener.update({ limit, traces });
    return limit;
  }

  /**
   * The same estimate for Lanczos: ‖E‖_F from the relative error of a product,
   * ‖A‖_F² from the mean of ‖Av‖² over the probes of the trace.
   */
  private productBlur(): number {
    const square = this.samples.reduce((sum, { whole }) => sum + whole.squaredNorm, 0) / this.samples.length;
    return PRODUCT_ERROR * Math.sqrt(square / this.operator.dimension);
  }

  private quadratures(): Spectra {
    const { positiveSemidefinite, dimension } = this.operator;
    const measure = spectralMeasure(dimension, this.jacobis);
    const bounds = positiveSemidefinite ? ruleBounds(measure) : modulusBounds(this.jacobis);
    const blur = this.productBlur();
    return { measure, bounds: blurredBounds(bounds, blur), blur };
  }
}

interface Spectra {
  readonly measure: SpectralMeasure;
  readonly bounds: SpectralBounds;
  readonly blur: number;
}

interface KnownSpectrum {
  readonly eigenvalues: Float64Array;
  /** See `WholeMatrix`. */
  readonly noise: number;
  readonly traces: TraceEstimate;
}

/**
 * By Hoffman and Wielandt (1953) the eigenvalues of A + E are off by at most
 * ‖E‖_F/√D in the root mean square, which is taken for every one of them: an
 * estimate, since an error may sit in few. Four times the asymmetry is taken
 * for ‖E‖_F: against float64 it was up to twice (test/golden), because what the
 * forward pass rounds is common to a_ij and a_ji.
 */
function exactSpectrum({ eigenvalues: values, noise }: KnownSpectrum): Spectra {
  const blur = (4 * noise) / Math.sqrt(values.length);
  const measure = exactMeasure(values);
  return { measure, bounds: blurredBounds(ruleBounds(measure), blur), blur };
}

/** In milliseconds. */
function eigenvalueTime(dimension: number): number {
  return (4 / 3) * (dimension ** 3 / EIGENVALUE_RATE);
}

function notFinite(): AnalysisError {
  return new AnalysisError(
    'curvature not finite: a product with it overflows float32; check the preprocessing (--scale, --normalize) and the checkpoint',
  );
}

/** Of the eigenvalues that count, what float32 may blur without being what keeps the interval wide. */
const BLURRED = 0.02;

/** A bracket can be narrow by accident while the spectrum is hardly known. */
const MINIMUM_STEPS = 12;
