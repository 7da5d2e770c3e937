import type { CurvatureKind, LimitResult } from '../../../protocol/analysis';
import type { SymmetricOperator } from '../spectrum/operator';
import type { ParameterLayout } from '../curvature/parameters';
import { AnalysisError } from '../errors';
import { pruningLimit } from '../limit/limit';
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
import { liveCoordinates, restricted, restrictedRanges, withFlatShare } from '../spectrum/restriction';
import type { JacobiMatrix } from '../spectrum/quadrature';
import { Random } from '../random';
import { combineTraces, traceSample, type TraceEstimate, type TraceSample } from '../spectrum/traces';
import {
  announcement,
  eigenvalueSeconds,
  explain,
  plan,
  PROBES_PER_PASS,
  type Plan,
  type Situation,
  type StudyEnd,
} from './planner';

export interface StudyOptions {
  /** Most Lanczos steps, which are no more than `vectors` allow. */
  readonly steps: number;
  /** How many vectors of the operator's dimension may be held at once. */
  readonly vectors: number;
  /** Most probes of the Lanczos process; absent where as many may be taken as are worth it. */
  readonly probes?: number;
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
  /** The products that `apply` gives, but for what float32 rounds on the way from numbers of another scale. */
  rescaled(vectors: readonly Float32Array[]): Promise<Float32Array[]>;
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

/** Failure probability of the bounds of the phase transition. */
export const ETA = 0.05;
/** Products with Rademacher probes for the traces of operator and layers. */
export const TRACE_PROBES = 8;
/** Those, and the first of them again at another scale. */
export const TRACE_PRODUCTS = TRACE_PROBES + PROBES_PER_PASS;
/** Columns of a whole matrix that share one pass over the data; they are cheap and many. */
const COLUMNS_PER_PASS = 16;
/**
 * The error of a product against float64, in units of what it changes by at another
 * scale, ‖Av − A′v‖/√2, at most (test/golden). More than 1, because what the forward
 * pass rounds is the same in both.
 */
export const ROUNDING_FACTOR = 4;
/**
 * The limit of one operator, sharper with every update: traces first, then round
 * after round of products what the planner says. Ends when the interval is within
 * the tolerance, or nothing that may be spent would bring it there.
 */
export class LimitStudy {
  private readonly samples: TraceSample[] = [];
  /** Mean of ‖Ev‖² over probes v, as far as the rounding errors E of a product depend on the scale. */
  private rounding = 0;
  /** What is left of the operator without the rows that are zero. */
  private live!: Live;
  /** The first probe's, which decides on the depth; null once others need the memory of its basis. */
  private firstRun: LanczosRun | null = null;
  /** Width of its bracket after every step. */
  private readonly widths: number[] = [];
  /** Tridiagonal matrices of the runs, the one in progress first. */
  private readonly jacobis: JacobiMatrix[] = [];
  /** Once the matrix is known, nothing else matters. */
  private known: KnownSpectrum | undefined;
  private latest: LimitResult | null = null;
  /** Products that the first plan counted on at most. */
  private bound = 0;

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
    this.firstRun = LanczosRun.from(this.probe('lanczos 0'));
    let next = plan(this.situation());
    if (next.kind === 'deepen') this.bound = this.operator.products + next.rest.products;
    for (;;) {
      if (next.kind === 'end') return next.end;
      this.listener.announce(announcement(next, this.widths.length, this.jacobis.length));
      if (!(await this.carryOut(next))) return 'time';
      next = await this.update();
    }
  }

  /** False when it did not end in time. */
  private async carryOut(next: Exclude<Plan, { kind: 'end' }>): Promise<boolean> {
    switch (next.kind) {
      case 'deepen':
        return this.deepen();
      case 'probes':
        this.listener.plan(next.rest.products);
        return this.moreRuns(next.count, next.depth);
      case 'matrix':
        this.listener.plan(next.rest.products);
        return this.matrix();
    }
  }

  private situation(): Situation {
    const { seconds, products } = this.operator;
    const { steps, vectors, probes, tolerance, deadline, now } = this.options;
    return {
      dimension: this.live.operator.dimension,
      tolerance,
      steps,
      vectors,
      ...(probes !== undefined && { probes }),
      secondsPerProduct: seconds / products,
      secondsLeft: (deadline - now()) / 1000,
      widths: this.widths,
      running: this.firstRun?.status === 'running',
      limit: this.latest,
    };
  }

  private async estimateTraces(): Promise<void> {
    const products: Float32Array[] = [];
    for (let first = 0; first < TRACE_PROBES && (this.samples.length === 0 || this.hasTime());) {
      const width = Math.min(PROBES_PER_PASS, TRACE_PROBES - first);
      const probes = Array.from({ length: width }, (_, i) =>
        Random.stream(this.options.seed, `trace ${first + i}`).rademacher(this.layout.dimension),
      );
      this.listener.announce(`trace, probes ${first + 1} to ${first + width} of ${TRACE_PROBES}`);
      const round = await this.operator.apply(probes);
      probes.forEach((probe, i) => this.samples.push(traceSample(probe, round[i]!, this.layout.layers)));
      if (!this.samples.every(({ whole }) => Number.isFinite(whole.squaredNorm))) {
        throw notFinite();
      }
      if (first === 0) {
        this.listener.announce('the same products again, at another scale');
        this.rounding = meanSquaredDifference(round, await this.operator.rescaled(probes)) / 2;
      }
      products.push(...round);
      first += width;
    }
    this.live = withoutZeroRows(this.operator, products);
  }

  private async deepen(): Promise<boolean> {
    const run = this.firstRun!;
    const [product] = await this.live.operator.apply([run.next!]);
    if (run.absorb(product!) === 'non-finite') throw notFinite();
    this.jacobis[0] = run.jacobi;
    return true;
  }

  private async moreRuns(count: number, depth: number): Promise<boolean> {
    this.firstRun = null;
    const done = this.jacobis.length;
    const runs = Array.from({ length: count }, (_, i) => LanczosRun.from(this.probe(`lanczos ${done + i}`)));
    for await (const progress of lanczos(this.live.operator, runs)) {
      if (progress.status.includes('non-finite')) throw notFinite();
      if (progress.steps >= depth) break;
      if (!this.hasTime()) return false;
      this.listener.announce(
        `more probes, ${done + 1} to ${done + runs.length}, step ${progress.steps + 1} of ${depth}`,
      );
    }
    this.jacobis.push(...runs.map((run) => run.jacobi));
    return true;
  }

  private async matrix(): Promise<boolean> {
    const { operator, coordinates } = this.live;
    const { dimension } = operator;
    const matrix = await wholeMatrix(operator, COLUMNS_PER_PASS, (first, last) => {
      this.listener.announce(`whole matrix, columns ${first + 1} to ${last + 1} of ${dimension}`);
      return this.hasTime(eigenvalueSeconds(dimension));
    });
    if (matrix === null) return false;
    if (!matrix.entries.every(Number.isFinite)) throw notFinite();
    const traces = exactTraces(matrix, restrictedRanges(this.layout.layers, coordinates));
    this.known = { eigenvalues: eigenvalues(matrix), noise: matrix.noise, traces };
    return true;
  }

  /** Whether something that takes `seconds` would end before the deadline. */
  private hasTime(seconds = 0): boolean {
    return this.options.now() + 1000 * seconds < this.options.deadline;
  }

  private probe(name: string): Float32Array {
    return Random.stream(this.options.seed, name).rademacher(this.live.operator.dimension);
  }

  /** The next plan, with what is known by now told to the listener. */
  private async update(): Promise<Plan> {
    const traces = this.known?.traces ?? combineTraces(this.samples);
    const limit = pruningLimit({
      ...(this.known === undefined ? this.quadratures() : exactSpectrum(this.known, this.flat)),
      operator: this.operator.kind,
      magnitudes: this.magnitudes,
      epsilon: this.epsilon,
      eta: ETA,
      tolerance: this.options.tolerance,
      trace: traces.trace,
    });
    if (this.known === undefined && this.jacobis.length === 1) this.widths.push(limit.bracket[1] - limit.bracket[0]);
    this.latest = { ...limit, method: '' };
    const next = plan(this.situation());
    const flatShare = this.flat / this.operator.dimension;
    const method = explain(limit, next, { bound: this.bound, spent: this.operator.products, flatShare });
    this.latest = { ...limit, method };
    await this.listener.update({ limit: this.latest, traces });
    return next;
  }

  /** Directions that are known to be flat. */
  private get flat(): number {
    return this.operator.dimension - this.live.operator.dimension;
  }

  /**
   * What |λ| of a Lanczos run may be off by, estimated as in `exactSpectrum`: ‖E‖_F² is
   * the mean of ‖Ev‖² over Rademacher probes.
   */
  private productBlur(): number {
    return ROUNDING_FACTOR * Math.sqrt(this.rounding / this.live.operator.dimension);
  }

  private quadratures(): Spectra {
    const { positiveSemidefinite, dimension } = this.operator;
    const measure = spectralMeasure(dimension, this.jacobis, this.flat);
    const bounds = positiveSemidefinite
      ? ruleBounds(spectralMeasure(this.live.operator.dimension, this.jacobis))
      : modulusBounds(this.jacobis);
    const blur = this.productBlur();
    return { measure, bounds: withFlatShare(blurredBounds(bounds, blur), this.flat / dimension), blur };
  }
}

function meanSquaredDifference(these: readonly Float32Array[], those: readonly Float32Array[]): number {
  let sum = 0;
  these.forEach((product, i) => {
    const other = those[i]!;
    for (let j = 0; j < product.length; j++) sum += (product[j]! - other[j]!) ** 2;
  });
  return sum / these.length;
}

/** An operator without the coordinates that bend nothing, and those that do. */
export interface Live {
  readonly operator: SymmetricOperator;
  readonly coordinates: Int32Array;
}

/** Of all rows, those that have to be zero for it to be worth to be without them. */
const ZERO_ROWS = 0.01;

/** @param products with the random probes of the trace */
export function withoutZeroRows(operator: SymmetricOperator, products: readonly Float32Array[]): Live {
  const { dimension } = operator;
  const live = liveCoordinates(products);
  const all = { operator, coordinates: Int32Array.from({ length: dimension }, (_, i) => i) };
  if (live.length === 0 || dimension - live.length < ZERO_ROWS * dimension) return all;
  return { operator: restricted(operator, live), coordinates: live };
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
function exactSpectrum({ eigenvalues: values, noise }: KnownSpectrum, flat: number): Spectra {
  const blur = (4 * noise) / Math.sqrt(values.length);
  const measure = exactMeasure(values, flat);
  const bounds = blurredBounds(ruleBounds(exactMeasure(values)), blur);
  return { measure, bounds: withFlatShare(bounds, flat / measure.dimension), blur };
}

function notFinite(): AnalysisError {
  return new AnalysisError(
    'curvature not finite: a product with it overflows float32; check the preprocessing (--scale, --normalize) and the checkpoint',
  );
}
