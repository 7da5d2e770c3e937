import type {
  AnalysisEvent,
  AnalysisRequest,
  AnalysisResult,
  AnalysisWarning,
  CurvatureKind,
  LayerLimits,
  LimitResult,
  MeasureOptions,
  MeasuredSplit,
  PartialResult,
  PathPoint,
  SampleSizes,
} from '../../../protocol/analysis';
import type { Engine } from '../engine/engine';
import { createEngine } from '../engine/create';
import { detectProviders } from '../engine/detect';
import { nvidiaDevice } from '../engine/device';
import { InputError, toFailure } from '../errors';
import { Magnitudes } from '../limit/magnitudes';
import { comparePath, edgeOfValidity, pathSparsities, stationarity } from '../limit/path';
import type { TraceEstimate } from '../spectrum/traces';
import { assemble } from './assembly';
import { Batching } from './batching';
import { chooseEngine, type Engines } from './engine-choice';
import { checkTolerance, describeEpsilon, lossTolerance } from './epsilon';
import { Evaluator, lossGradient, type Evaluation } from './evaluator';
import { AnalysisClock, NO_JOURNAL, type Journal } from './journal';
import { studyLayers } from './layer-limits';
import { LimitStudy, TRACE_PRODUCTS, type StudyUpdate } from './limit-study';
import { CURVE_POINTS, measureSplit, NARROWING_POINTS, openSplits, type SplitSamples } from './measure';
import { MemoryGuard } from './memory';
import { Operators } from './operators';
import { measurePath } from './path';
import { Progress } from './progress';
import { checkSampleSizes, SIZES, smallestPart, studySampleSizes } from './sample-sizes';
import { openSubject, type Subject } from './subject';
import { inputsChanged, sizesMissing, validityWarnings } from './warnings';

/** Called with every event; awaited, so that a slow listener slows the analysis instead of losing events. */
export type Listener = (event: AnalysisEvent) => void | Promise<void>;

/** All engines in this process: for those who can afford to lose it. */
export const LOCAL_ENGINES: Engines = {
  local: createEngine,
  accelerated: createEngine,
  detect: detectProviders,
  device: nvidiaDevice,
};

/** Sparsities at which the path is measured. */
const PATH_POINTS = 24;
/** Evaluations that take as long as one product, before any product was timed. */
const PRODUCT_COST = 6;
/** A rise of the loss below this share of ε is noise in the comparison of measured and predicted. */
const NOISE_SHARE = 0.05;

/**
 * The whole analysis of one checkpoint. Partial results go out after every
 * step; the last event carries the result that is also returned.
 *
 * Gauss–Newton is studied before the Hessian, because its bracket closes in a
 * fraction of the steps, but the Hessian leads the result.
 *
 * @param journal of an analysis of the same network, data and options that was interrupted: this one goes on there
 * @throws InputError, AnalysisError
 */
export async function analyze(
  request: AnalysisRequest,
  listener: Listener,
  journal: Journal = NO_JOURNAL,
  engines: Engines = LOCAL_ENGINES,
): Promise<AnalysisResult> {
  return new Analysis(request, listener, journal, engines).run();
}

class Analysis {
  private readonly clock = new AnalysisClock();
  private readonly memory: MemoryGuard;
  private readonly progress: Progress;
  private engine!: Engine;
  private batching!: Batching;
  private magnitudes!: Magnitudes;
  private dense!: Evaluation;
  private epsilon = 0;
  private gradientNorm: number | null = null;
  /** Milliseconds of one evaluation over all samples. */
  private evaluationTime = 0;
  private readonly limits = new Map<CurvatureKind, LimitResult>();
  private readonly traces = new Map<CurvatureKind, TraceEstimate>();
  private operators!: Operators;
  private points: readonly PathPoint[] = [];
  private readonly layerLimits = new Map<CurvatureKind, LayerLimits>();
  private readonly sampleSizes = new Map<CurvatureKind, SampleSizes>();
  private splits: readonly SplitSamples[] = [];
  private measured: readonly MeasuredSplit[] = [];
  private edge: number | null = null;
  private validity: readonly AnalysisWarning[] = [];
  /** Why the engine is what it is. */
  private reason = '';
  /** What happened to the engine. */
  private readonly incidents: AnalysisWarning[] = [];

  constructor(
    private readonly request: AnalysisRequest,
    private readonly listener: Listener,
    private readonly journal: Journal,
    private readonly engines: Engines,
  ) {
    this.memory = new MemoryGuard(request.options.memory);
    this.progress = new Progress(listener, () => this.memory.check(), this.clock.now);
  }

  /** A process that an engine has of its own would outlive a failure. */
  async run(): Promise<AnalysisResult> {
    try {
      return await this.analyze();
    } finally {
      await (this.engine as Engine | undefined)?.dispose();
    }
  }

  private async analyze(): Promise<AnalysisResult> {
    const { options } = this.request;
    await this.progress.begin('reading', 'checkpoint and data');
    this.memory.begin();
    const subject = await openSubject(this.request, this.memory);
    if (options.sampleSizes) checkSampleSizes(subject.samples, options.steps);
    this.batching = new Batching(subject, (message) => {
      const others = this.incidents.filter(({ code }) => code !== 'batch-halved');
      if (message !== null) others.push({ code: 'batch-halved', message });
      this.incidents.splice(0, Infinity, ...others);
    });
    const { measure } = options;
    if (measure !== undefined) this.splits = await this.openSplits(subject, measure);
    this.memory.check();

    await this.progress.begin('compiling', 'network');
    const kinds = options.steps > 0 ? this.kinds() : [];
    await this.choose(kinds);
    this.progress.expect((kinds.length > 0 ? 2 + 2 * PATH_POINTS : 1) + this.curveWork());
    this.progress.allow(kinds.length * (TRACE_PRODUCTS + options.steps), this.studiesEnd());
    await this.progress.begin('evaluating', 'loss and accuracy');
    const evaluator = await this.firstEvaluation();
    // The splits are cut as the evaluator's network is bound.
    if (this.subject.batch !== subject.batch && measure !== undefined) {
      this.splits = await this.openSplits(this.subject, measure);
    }
    this.checkLoss();
    this.epsilon = lossTolerance(options.epsilon, this.dense.losses, this.dense.loss);
    this.magnitudes = this.sortMagnitudes();
    if (kinds.length > 0) {
      checkTolerance(this.epsilon, options.epsilon, this.subject.samples);
      await this.progress.begin('evaluating', 'gradient');
      const gradient = await this.batching.fitting(this.engine, (subject) =>
        lossGradient(this.engine, subject, () => this.progress.work(this.batchShare())),
      );
      this.gradientNorm = Math.sqrt(gradient.reduce((sum, x) => sum + x * x, 0));
      await this.publish();
      for (const kind of [...kinds].reverse()) await this.study(kind, kinds);
      await this.followPath(evaluator, gradient);
      if (options.layerLimits) for (const kind of kinds) await this.studyLayers(kind, kinds);
    }
    if (this.splits.length > 0) await this.measureCurve(evaluator);
    await evaluator.dispose();
    // What they keep from product to product is memory that the sizes need.
    await this.operators.dispose();
    if (options.sampleSizes) await this.studyAllSampleSizes(kinds);
    return this.finish();
  }

  /** Sets the dense evaluation. What fits into memory once does so again. */
  private firstEvaluation(): Promise<Evaluator> {
    return this.batching.fitting(this.engine, async (subject) => {
      const evaluator = await Evaluator.create(this.engine, subject, () => this.progress.work(this.batchShare()));
      const before = this.clock.now();
      this.dense = await evaluator.evaluate(subject.weights);
      this.evaluationTime = this.clock.now() - before;
      return evaluator;
    });
  }

  private async choose(kinds: readonly CurvatureKind[]): Promise<void> {
    const left = (message: string): void => {
      this.incidents.push({ code: 'provider-left', message });
      this.reason = message;
    };
    const { engine, reason, warning } = await chooseEngine(
      this.request.options,
      this.batching,
      kinds,
      this.engines,
      left,
    );
    this.engine = engine;
    // Another device has memory of its own, and a copy to it costs more than it saves.
    const cacheBytes = engine.description.provider === 'cpu' ? this.memory.cacheBytes() : 0;
    this.operators = new Operators(engine, this.batching, this.journal, this.clock, this.progress, cacheBytes);
    this.reason = reason;
    if (warning !== null) this.incidents.push({ code: 'provider-left', message: warning });
  }

  private get subject(): Subject {
    return this.batching.network;
  }

  /** The headline first. */
  private kinds(): CurvatureKind[] {
    const { curvature } = this.request.options;
    return curvature === 'both' ? ['hessian', 'ggn'] : [curvature];
  }

  private checkLoss(): void {
    if (Number.isFinite(this.dense.loss)) return;
    throw new InputError(
      `loss not finite: ${this.request.checkpoint} overflows on these samples; check the preprocessing (--scale, --normalize)`,
    );
  }

  private batchShare(): number {
    return 1 / this.subject.batches.length;
  }

  private sortMagnitudes(): Magnitudes {
    const { layout, weights } = this.subject;
    return Magnitudes.of(layout.layers.map(({ offset, length }) => weights.subarray(offset, offset + length)));
  }

  private async study(kind: CurvatureKind, kinds: readonly CurvatureKind[]): Promise<void> {
    const { options } = this.request;
    const { layout } = this.subject;
    await this.progress.begin(kind, 'compiling');
    const operator = this.operators.of(kind);
    const vectors = this.memory.lanczosVectors(layout.dimension);
    // One vector is the next step's.
    const steps = Math.min(options.steps, vectors - 1);
    const end = this.studiesEnd();
    const left = kinds.indexOf(kind) + 1;
    this.progress.allow(left * (TRACE_PRODUCTS + options.steps), end);
    const now = this.clock.now();
    // The time is shared evenly by the operators that are left.
    const deadline = now + Math.max(0, end - now) / left;
    const { tolerance, seed } = options;
    const studyOptions = { steps, vectors, tolerance, seed, deadline, now: this.clock.now };
    const ended = await new LimitStudy(operator, layout, this.magnitudes, this.epsilon, studyOptions, {
      announce: (message) => (this.progress.message = message),
      plan: (products) => this.progress.allow(products + (left - 1) * (TRACE_PRODUCTS + options.steps), end),
      update: async ({ limit, traces }: StudyUpdate) => {
        this.limits.set(kind, limit);
        this.traces.set(kind, traces);
        await this.publish();
      },
    }).run();
    this.limits.set(kind, {
      ...this.limits.get(kind)!,
      end: ended === 'steps' && steps < options.steps ? 'memory' : ended,
    });
    this.progress.allow(0, Infinity);
  }

  /** As much time again as the limits were given, shared evenly by what is left. */
  private async studyLayers(kind: CurvatureKind, kinds: readonly CurvatureKind[]): Promise<void> {
    const { tolerance, seed, steps, minutes } = this.request.options;
    const { layout, weights } = this.subject;
    await this.progress.begin('layers', 'compiling');
    const end = this.clock.now() + (minutes * 60_000) / kinds.length;
    this.progress.allow(layout.layers.length * (TRACE_PRODUCTS + steps), end);
    const limits = await studyLayers({
      kind,
      layout,
      weights,
      epsilon: this.epsilon,
      seed,
      whole: this.operators.of(kind),
      block: (block) => this.operators.block(kind, block),
      study: (dimension, left) => {
        const vectors = this.memory.lanczosVectors(dimension);
        const now = this.clock.now();
        const deadline = now + Math.max(0, end - now) / left;
        return { steps: Math.min(steps, vectors - 1), vectors, tolerance, deadline, now: this.clock.now };
      },
      announce: (message) => (this.progress.message = message),
      update: async (partial) => {
        this.layerLimits.set(kind, partial);
        await this.publish();
      },
    });
    this.layerLimits.set(kind, limits);
    this.progress.allow(0, Infinity);
    await this.publish();
  }

  /** Last of all, since memory that ran out would still be missing after it: hours of limits are not lost to it. */
  private async studyAllSampleSizes(kinds: readonly CurvatureKind[]): Promise<void> {
    try {
      for (const kind of [...kinds].reverse()) await this.studySampleSizes(kind, kinds);
      await this.operators.dispose();
    } catch (error) {
      this.incidents.push(sizesMissing(toFailure(error).message));
    }
  }

  /** As much time again as the limits were given, shared by what is left as it has samples. */
  private async studySampleSizes(kind: CurvatureKind, kinds: readonly CurvatureKind[]): Promise<void> {
    const { tolerance, seed, steps, minutes } = this.request.options;
    const { layout, samples, dataset, batch } = this.subject;
    await this.progress.begin('sizes', 'compiling');
    const end = this.clock.now() + (minutes * 60_000) / kinds.length;
    this.progress.allow(SIZES * (TRACE_PRODUCTS + steps), end);
    // The smallest parts would leave most of a larger batch empty.
    const unit = smallestPart(samples);
    const subject = unit < batch ? await this.subject.withBatch(unit) : this.subject;
    const parts = this.operators.parts(kind, subject);
    try {
      const found = await studySampleSizes({
        limit: this.limits.get(kind)!,
        layout,
        magnitudes: this.magnitudes,
        epsilon: this.epsilon,
        seed,
        samples,
        available: dataset.count,
        tolerance,
        whole: async () => {
          await parts.dispose();
          return this.operators.of(kind);
        },
        part: (first, end) => parts.of(first, end),
        study: (share) => {
          const vectors = this.memory.lanczosVectors(layout.dimension);
          const now = this.clock.now();
          const deadline = now + share * Math.max(0, end - now);
          return { steps: Math.min(steps, vectors - 1), vectors, deadline, now: this.clock.now };
        },
        announce: (message) => (this.progress.message = message),
      });
      this.sampleSizes.set(kind, found);
    } finally {
      await parts.dispose();
    }
    this.progress.allow(0, Infinity);
    await this.publish();
  }

  /** When the path has to begin, which takes as long as it takes: on the analysis' clock. */
  private studiesEnd(): number {
    const budget = this.request.options.minutes * 60_000;
    const { products, seconds } = this.operators.spent;
    const product = products > 0 ? (1000 * seconds) / products : PRODUCT_COST * this.evaluationTime;
    const path = PATH_POINTS * (this.evaluationTime + product) + this.curveWork() * this.evaluationTime;
    return budget - Math.min(Math.max(path, 0.1 * budget), 0.5 * budget);
  }

  private async followPath(evaluator: Evaluator, gradient: Float64Array): Promise<void> {
    const { options } = this.request;
    await this.progress.begin('path', 'measured loss');
    const limits = this.orderedLimits();
    const headline = limits[0]!;
    const sparsities = pathSparsities(
      limits.map((limit) => limit.sparsity),
      PATH_POINTS,
      this.magnitudes.zeros / this.magnitudes.count,
    );
    const operator = this.operators.of(headline.operator);
    const onPoint = async (points: readonly PathPoint[]): Promise<void> => {
      this.points = points;
      this.progress.message = `${points.length} of ${sparsities.length} points`;
      await this.publish();
    };
    const path = await measurePath(
      this.subject,
      this.magnitudes,
      evaluator,
      operator,
      gradient,
      sparsities,
      options.l1,
      onPoint,
    );
    this.judge(path, headline);
    await this.publish();
  }

  private async openSplits(subject: Subject, measure: MeasureOptions): Promise<SplitSamples[]> {
    const splits = await openSplits(subject, this.request.options, measure, this.memory);
    await subject.inputs.expectUnchanged();
    return splits;
  }

  /** The measured curve, in evaluations of the analysis' own samples: about. */
  private curveWork(): number {
    const samples = this.splits.reduce((sum, split) => sum + split.samples, 0);
    return ((CURVE_POINTS + NARROWING_POINTS) * samples) / this.subject.samples;
  }

  private async measureCurve(evaluator: Evaluator): Promise<void> {
    await this.progress.begin('measuring', 'dense network');
    const limits = this.orderedLimits().map((limit) => limit.sparsity);
    const sparsities = pathSparsities(limits, CURVE_POINTS, this.magnitudes.zeros / this.magnitudes.count);
    for (const split of this.splits) {
      const share = split.samples / this.subject.samples / split.batches.length;
      const onSplit = evaluator.on(split, () => this.progress.work(share));
      const given = { sparsities, epsilon: this.epsilon, seed: this.request.options.seed };
      const whole = this.measured;
      const measured = await measureSplit(split, this.subject, this.magnitudes, onSplit, given, async (partial) => {
        this.measured = [...whole, partial];
        this.progress.message = `${split.split} data, ${partial.points.length} points`;
        await this.publish();
      });
      this.measured = [...whole, measured];
      await this.publish();
    }
  }

  private judge(points: readonly PathPoint[], headline: LimitResult): void {
    const noise = NOISE_SHARE * this.epsilon;
    const comparison = comparePath(points, this.dense.loss);
    const edge = edgeOfValidity(comparison, noise);
    this.edge = edge?.sparsity ?? null;
    this.validity = validityWarnings(
      edge,
      stationarity(points, headline.sparsity, noise),
      headline,
      this.request.options.l1,
    );
  }

  private orderedLimits(): LimitResult[] {
    return this.kinds().flatMap((kind) => this.limits.get(kind) ?? []);
  }

  private snapshot(): PartialResult {
    const { options } = this.request;
    const { epsilon, dense, magnitudes, edge, gradientNorm, incidents, validity } = this;
    return assemble({
      request: this.request,
      subject: this.subject,
      engine: { ...this.engine.description, reason: this.reason },
      dense,
      epsilon: { value: epsilon, rule: describeEpsilon(options.epsilon) },
      magnitudes,
      limits: this.orderedLimits(),
      traces: this.traces,
      path: this.points,
      layerLimits: this.kinds().flatMap((kind) => this.layerLimits.get(kind) ?? []),
      sampleSizes: options.sampleSizes && this.kinds().flatMap((kind) => this.sampleSizes.get(kind) ?? []),
      measured: this.measured,
      validity: { edge, gradientNorm, warnings: validity },
      incidents,
    });
  }

  private async publish(): Promise<void> {
    await this.listener({ kind: 'partial', result: this.snapshot() });
  }

  private async finish(): Promise<AnalysisResult> {
    const change = await this.subject.inputs.changed();
    if (change !== null) this.incidents.push(inputsChanged(change));
    const { products, seconds } = this.operators.spent;
    const result: AnalysisResult = {
      ...this.snapshot(),
      options: this.request.options,
      time: {
        total: this.clock.now() / 1000,
        perProduct: products > 0 ? seconds / products : 0,
        products,
      },
    };
    await this.listener({ kind: 'done', result });
    return result;
  }
}
