import type { AnalysisOptions, CurvatureKind } from '../../../protocol/analysis';
import type { Batch } from '../curvature/batches';
import { CurvatureOperator } from '../curvature/operator';
import { curvatureProgram } from '../curvature/programs';
import type { EngineFactory } from '../engine/create';
import { largestBytes, peakBytes, productFlops } from '../engine/cost';
import type { Detection } from '../engine/detect';
import type { Device } from '../engine/device';
import type { Engine } from '../engine/engine';
import { FallbackEngine } from '../engine/fallback';
import { AnalysisError, toFailure } from '../errors';
import { Random } from '../random';
import type { Batching } from './batching';
import { TRACE_PROBES } from './limit-study';
import { PROBES_PER_PASS } from './planner';
import type { Subject } from './subject';

/** How engines are made. */
export interface Engines {
  /** In this process, where the CPU is. */
  readonly local: EngineFactory;
  /** Where a driver may crash. */
  readonly accelerated: EngineFactory;
  readonly detect: () => Detection;
  /** The GPU, where its driver says how much memory it has. */
  readonly device: () => Promise<Device | undefined>;
  /** Bytes that every device can bind as one value; `BINDING` when absent. */
  readonly binding?: number;
}

export interface EngineChoice {
  readonly engine: Engine;
  /** One sentence, in the report. */
  readonly reason: string;
  /** Set when what was asked for, or what should have worked, does not. */
  readonly warning: string | null;
}

/** ‖accelerator − CPU‖/‖CPU‖ of a product that still counts as the same. */
export const AGREEMENT = 1e-4;
/**
 * Batches on which the two may disagree before the accelerator is called
 * wrong. Where a sample lies within rounding of a ReLU's kink, two right
 * engines differ by more than 10⁻⁴ (test/golden); a wrong kernel is wrong on
 * every batch.
 */
const TRIAL_BATCHES = 3;
/**
 * Bytes of the largest binding that every WebGPU device has to offer. Most
 * offer more, and onnxruntime does not say how much. It binds larger values in
 * parts, but not in every kernel: Pad and Slice are then wrong without a word,
 * Conv fails (`npm run conformance -- --provider webgpu --large`).
 */
const BINDING = 2 ** 27;
/** What is tried after that: within an op, a value may be padded. */
const PADDED = 2;
/** Products that are timed, after one that is not. */
const TIMED = 3;
/** Multiply-adds per second and processor that the CPU can be expected to do. */
const CPU_RATE = 4e10;
/** Seconds below which a trial would cost more than it could win. */
const WORTHWHILE = 15;
/** Of a device's free memory that a job may be estimated to take: what a runtime needs for itself is not in the estimate. */
const MEMORY_SHARE = 0.6;
/** Lanczos steps that a study hardly ever ends before. */
const FEW_STEPS = 16;

/**
 * The engine for a job. An accelerator is taken only after a product of the
 * job's own graph with it agreed with the CPU's; `auto` asks besides that it
 * was faster. Whenever it fails later, the CPU goes on in its place.
 *
 * @param onLeave called with one sentence when the accelerator is left later
 */
export async function chooseEngine(
  options: AnalysisOptions,
  batching: Batching,
  kinds: readonly CurvatureKind[],
  engines: Engines,
  onLeave: (warning: string) => void,
): Promise<EngineChoice> {
  const { provider, threads, modules } = options;
  const cpu = await engines.local(provider === 'wasm' ? 'wasm' : 'cpu', threads);
  // Why it is not the native one.
  const own = cpu.description.reason;
  if (provider === 'cpu' || provider === 'wasm') return { engine: cpu, reason: own, warning: null };
  const isAsked = provider !== 'auto';
  const { providers, reason } = isAsked ? { providers: [provider], reason: '' } : engines.detect();
  if (providers.length === 0) return { engine: cpu, reason: own || reason, warning: null };
  if (kinds.length === 0) return { engine: cpu, reason: 'loss and accuracy only', warning: null };
  if (!isAsked && !isWorthATrial(batching.network, kinds, cpu.description.threads)) {
    return { engine: cpu, reason: 'too little work for a GPU to pay', warning: null };
  }
  const device = await engines.device();
  const failures: string[] = [];
  const whole = batching.network;
  let isWrong = false;
  for (const candidate of providers) {
    if (device !== undefined) await fitInto(device.free, batching, kinds);
    const trial = await tryEngine(cpu, batching, kinds[0]!, engines.binding ?? BINDING, () =>
      engines.accelerated(candidate, threads, modules),
    );
    if ('failure' in trial) {
      isWrong ||= trial.isWrong;
      failures.push(`${candidate} ${trial.failure}`);
      batching.restore(whole);
      continue;
    }
    const { engine: accelerator, speedup, error } = trial;
    const times = `${speedup >= 1 ? speedup.toPrecision(2) : (1 / speedup).toPrecision(2)} times as ${speedup >= 1 ? 'fast' : 'slow'} as the CPU`;
    const compared = `${times} and equal to ${error.toExponential(0)} on a batch of this job`;
    if (!isAsked && speedup < 1) {
      await accelerator.dispose();
      failures.push(`${candidate} was ${compared}`);
      batching.restore(whole);
      continue;
    }
    const engine = new FallbackEngine(accelerator, cpu, (why) =>
      onLeave(`${candidate} failed in the middle of the analysis, which went on with the CPU: ${why}`),
    );
    const on = device === undefined ? '' : `${device.name}, driver ${device.driver}: `;
    return { engine, reason: on + [compared, ...failures].join('; '), warning: null };
  }
  const text = [...failures, ...(own === '' ? [] : [own])].join('; ');
  const warning = isAsked || isWrong ? `the CPU was used instead of ${providers.join(' and ')}: ${text}` : null;
  return { engine: cpu, reason: text, warning };
}

/** Whether the CPU would be busy for longer than it takes to try something else. */
function isWorthATrial(subject: Subject, kinds: readonly CurvatureKind[], threads: number): boolean {
  const flops = kinds.reduce((sum, kind) => sum + productFlops(curvatureProgram(subject.model, kind, 1)), 0);
  const products = TRACE_PROBES + FEW_STEPS;
  return (products * subject.batches.length * flops) / (CPU_RATE * threads) > WORTHWHILE;
}

/** Lowers the batch until the estimated peak of a product fits. */
async function fitInto(free: number, batching: Batching, kinds: readonly CurvatureKind[]): Promise<void> {
  const peak = (): number =>
    Math.max(...kinds.map((kind) => peakBytes(curvatureProgram(batching.network.model, kind, PROBES_PER_PASS))));
  while (batching.network.batch > 1 && peak() > MEMORY_SHARE * free)
    await batching.halveTo(batching.network.batch >> 1);
}

/** Lowers the batch until no value that grows with it is larger than `limit` bytes; false where none was. */
async function bindWithin(limit: number, batching: Batching, kind: CurvatureKind): Promise<boolean> {
  const isLarger = (): boolean => largestBytes(curvatureProgram(batching.network.model, kind, 1)) > limit;
  const whole = batching.network;
  while (batching.network.batch > 1 && isLarger()) await batching.halveTo(batching.network.batch >> 1);
  return batching.network !== whole;
}

type Trial =
  | { readonly engine: Engine; readonly speedup: number; readonly error: number }
  | { readonly failure: string; readonly isWrong: boolean };

/** Makes an engine and compares it with the CPU, with smaller batches where its memory runs out. */
async function tryEngine(
  cpu: Engine,
  batching: Batching,
  kind: CurvatureKind,
  binding: number,
  create: () => Promise<Engine>,
): Promise<Trial> {
  let accelerator: Engine | undefined;
  try {
    const engine = (accelerator = await create());
    const attempt = (): Promise<Trial> =>
      batching
        .fitting(engine, (subject) => compare(engine, cpu, subject, kind))
        .catch((error: unknown) => {
          if (!(error instanceof AnalysisError)) throw error;
          return { failure: `could not be used: ${error.message}`, isWrong: false };
        });
    let trial = await attempt();
    if (engine.description.provider === 'webgpu') {
      for (const limit of [binding, binding / PADDED]) {
        if (!('failure' in trial) || !(await bindWithin(limit, batching, kind))) break;
        trial = await attempt();
      }
    }
    if ('failure' in trial) await engine.dispose();
    return trial;
  } catch (error) {
    await accelerator?.dispose();
    return { failure: `could not be used: ${toFailure(error).message}`, isWrong: false };
  }
}

/** Compares products over single batches, and times them. */
async function compare(accelerator: Engine, cpu: Engine, subject: Subject, kind: CurvatureKind): Promise<Trial> {
  const [theirs, ours] = [new OneBatch(accelerator, subject, kind), new OneBatch(cpu, subject, kind)];
  const errors: number[] = [];
  for (const batch of subject.batches.slice(0, TRIAL_BATCHES)) {
    errors.push(relativeError(await theirs.product(batch), await ours.product(batch)));
    if (errors.at(-1)! <= AGREEMENT) break;
  }
  const error = errors.at(-1)!;
  if (!(error <= AGREEMENT)) {
    const least = Math.min(...errors.map((value) => (Number.isFinite(value) ? value : Infinity)));
    const size = least === Infinity ? 'is not a number' : `differs by ${least.toExponential(1)}`;
    return { failure: `disagrees with the CPU: a product ${size} where ${AGREEMENT} is allowed`, isWrong: true };
  }
  const [slow, fast] = [await ours.time(), await theirs.time()];
  await ours.dispose();
  await theirs.dispose();
  return { engine: accelerator, speedup: slow / fast, error };
}

/** Products with one fixed direction over one batch. */
class OneBatch {
  private readonly direction: Float32Array;
  private latest: CurvatureOperator | undefined;

  constructor(
    private readonly engine: Engine,
    private readonly subject: Subject,
    private readonly kind: CurvatureKind,
  ) {
    this.direction = Random.stream(1, 'engine check').rademacher(subject.layout.dimension);
  }

  async product(batch: Batch): Promise<Float32Array> {
    const { model, layout } = this.subject;
    await this.latest?.dispose();
    this.latest = new CurvatureOperator(this.engine, model, layout, this.kind, [batch]);
    return (await this.latest.apply([this.direction]))[0]!;
  }

  /** Median of a few products with the latest batch, in milliseconds. */
  async time(): Promise<number> {
    const times: number[] = [];
    for (let i = 0; i < TIMED; i++) {
      const started = performance.now();
      await this.latest!.apply([this.direction]);
      times.push(performance.now() - started);
    }
    return times.sort((a, b) => a - b)[TIMED >> 1]!;
  }

  async dispose(): Promise<void> {
    await this.latest?.dispose();
  }
}

function relativeError(vector: Float32Array, expected: Float32Array): number {
  let [difference, size] = [0, 0];
  expected.forEach((x, i) => {
    difference += (vector[i]! - x) ** 2;
    size += x * x;
  });
  return size === 0 ? (difference === 0 ? 0 : Infinity) : Math.sqrt(difference / size);
}
