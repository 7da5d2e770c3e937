import {
  PROVIDER_CHOICES,
  type AnalysisOptions,
  type DataOptions,
  type MeasureOptions,
} from '../../../protocol/analysis';
import { InputError } from '../errors';
import { DEFAULT_MEASURE, DEFAULT_OPTIONS, parseEpsilon } from '../options';
import type { Values } from './option-values';
import { choice, pathOption } from './option-values';
import type { TypedPath } from './paths';

/** The options that say how a checkpoint is analysed, for every command that does. */
export const ANALYSIS_OPTIONS = {
  architecture: { type: 'string' },
  graph: { type: 'string' },
  data: { type: 'string' },
  split: { type: 'string' },
  scale: { type: 'string' },
  normalize: { type: 'string' },
  layout: { type: 'string' },
  resize: { type: 'string' },
  crop: { type: 'string' },
  samples: { type: 'string' },
  batch: { type: 'string' },
  steps: { type: 'string' },
  tolerance: { type: 'string' },
  minutes: { type: 'string' },
  epsilon: { type: 'string' },
  curvature: { type: 'string' },
  l1: { type: 'string' },
  'layer-limits': { type: 'boolean' },
  'sample-sizes': { type: 'boolean' },
  provider: { type: 'string' },
  modules: { type: 'string' },
  threads: { type: 'string' },
  memory: { type: 'string' },
  seed: { type: 'string' },
} as const;

export const NETWORK_USAGE = `Network, where the file holds weights alone
  --architecture NAME    which it is (default: the one whose tensors have the
                         names and shapes of the file's)
  --graph FILE           a file whose graph they borrow, such as ONNX
`;

export const DATA_USAGE = `Data
  --data PATH            a file or a folder: idx, CIFAR (binary or Python), npy,
                         npz, CSV, or one folder of images per class
  --split test|train     which part of it (default test)
  --scale 1|255          divide raw values by this (default 255)
  --normalize "M;S"      then subtract means and divide by deviations, one each
                         or one per channel: ".49,.48,.45;.25,.24,.26"
  --layout nchw|nhwc     of the network's input (default: as the network says)
  --resize N, --crop N   bring images to one size: the shorter side to N pixels,
                         then the middle (default: they are of one size)
  --samples N|all        how many, stratified by class (default 2000)
`;

export const PRECISION_USAGE = `Precision
  --tolerance X          wished width of the limit's bracket (default 0.01,
                         which is one point)
  --steps N              most Lanczos steps per operator (default 256); 0 only
                         evaluates loss and accuracy
  --minutes N            time budget (default 10)
  --curvature KIND       both, hessian or ggn (default both)
  --epsilon RULE         loss tolerance: batch-std, the deviation of the loss
                         over mini-batches (default), abs:X in nats, or rel:X,
                         a multiple of the loss
  --l1 MU                coefficient of an L1 penalty it was trained with
  --layer-limits         then study every layer by itself, in as much time again
                         as --minutes: how far it could be pruned alone, and how
                         much the layers are coupled
  --sample-sizes         then study an eighth, a quarter and half of the samples
                         too, in as much time again: how the limit falls as
                         samples are added, and what all of the data would say
`;

export const MEASURE_USAGE = `Measured curve
  --measure              after the limits, measure loss and accuracy of the
                         pruned network on test and training data, and up to
                         where it is as good as the dense one; takes its time
                         whatever --minutes says
  --measure-on SPLIT     both, test or train (default both)
  --measure-samples N|all  of each split (default 10000)
  --test-data PATH       where the test samples are (default: in --data)
`;

export const RUNNING_USAGE = `Running
  --batch N              samples per run of the engine (default 128)
  --provider NAME        auto, cpu, wasm, webgpu, cuda, coreml, dml or tfjs
                         (default auto: the GPU where it agrees with the CPU
                         and is faster, which is measured)
  --modules DIR          where TensorFlow.js is installed, for tfjs
  --threads N            default: as many as the engine likes
  --memory N             most MiB of memory (default: 70 % of the machine's)
  --seed N               of samples and probes (default 1)
`;

/**
 * What the options say; undefined when no data are given.
 *
 * @throws InputError for a bad value
 */
export function readAnalysisOptions(
  values: Values<keyof typeof ANALYSIS_OPTIONS>,
): { readonly options: AnalysisOptions; readonly data: TypedPath } | undefined {
  const data = pathOption(values.text('data'), '--data');
  if (data === undefined) return undefined;
  const normalize = values.text('normalize');
  const layout = choice(values.text('layout'), '--layout', ['nchw', 'nhwc'], undefined);
  const modules = pathOption(values.text('modules'), '--modules');
  const dataOptions: DataOptions = {
    path: data.absolute,
    split: choice(values.text('split'), '--split', ['test', 'train'], DEFAULT_OPTIONS.data.split),
    scale: values.number('scale', DEFAULT_OPTIONS.data.scale, Number.MIN_VALUE),
    samples: values.text('samples') === 'all' ? 'all' : values.integer('samples', DEFAULT_OPTIONS.data.samples, 1),
    ...(normalize !== undefined && { normalize: parseNormalize(normalize) }),
    ...(layout !== undefined && { layout }),
    ...(values.text('resize') !== undefined && { resize: values.integer('resize', 0, 1, 16_384) }),
    ...(values.text('crop') !== undefined && { crop: values.integer('crop', 0, 1, 16_384) }),
  };
  const architecture = values.text('architecture');
  const graph = pathOption(values.text('graph'), '--graph');
  const options: AnalysisOptions = {
    data: dataOptions,
    ...(values.flag('layer-limits') && { layerLimits: true as const }),
    ...(values.flag('sample-sizes') && { sampleSizes: true as const }),
    ...(architecture !== undefined && { architecture }),
    ...(graph !== undefined && { graph: graph.absolute }),
    batch: values.integer('batch', DEFAULT_OPTIONS.batch, 1, 65_536),
    steps: values.integer('steps', DEFAULT_OPTIONS.steps, 0, 100_000),
    tolerance: values.number('tolerance', DEFAULT_OPTIONS.tolerance, 1e-6, 1),
    minutes: values.number('minutes', DEFAULT_OPTIONS.minutes, 0.001),
    epsilon: parseEpsilon(values.text('epsilon') ?? 'batch-std', '--epsilon'),
    curvature: choice(values.text('curvature'), '--curvature', ['both', 'hessian', 'ggn'], DEFAULT_OPTIONS.curvature),
    l1: values.number('l1', DEFAULT_OPTIONS.l1, 0),
    provider: choice(values.text('provider'), '--provider', PROVIDER_CHOICES, DEFAULT_OPTIONS.provider),
    ...(modules !== undefined && { modules: [modules.absolute] }),
    threads: values.integer('threads', DEFAULT_OPTIONS.threads, 0, 1024),
    memory: values.integer('memory', DEFAULT_OPTIONS.memory, 0),
    seed: values.integer('seed', DEFAULT_OPTIONS.seed, 0, 2 ** 32 - 1),
  };
  return { options, data };
}

export const MEASURE_OPTIONS = {
  measure: { type: 'boolean' },
  'measure-on': { type: 'string' },
  'measure-samples': { type: 'string' },
  'test-data': { type: 'string' },
} as const;

/**
 * What is to be measured; undefined when nothing is.
 *
 * @throws InputError for a bad value, or one without --measure
 */
export function readMeasureOptions(
  values: Values<keyof typeof MEASURE_OPTIONS>,
): { readonly measure: MeasureOptions; readonly testData: TypedPath | undefined } | undefined {
  const details = ['measure-on', 'measure-samples', 'test-data'] as const;
  if (!values.flag('measure')) {
    const lonely = details.find((name) => values.text(name) !== undefined);
    if (lonely !== undefined) throw new InputError(`--${lonely} without --measure: add --measure, or leave it out`);
    return undefined;
  }
  const testData = pathOption(values.text('test-data'), '--test-data');
  const measure: MeasureOptions = {
    on: choice(values.text('measure-on'), '--measure-on', ['both', 'test', 'train'], DEFAULT_MEASURE.on),
    samples:
      values.text('measure-samples') === 'all' ? 'all' : values.integer('measure-samples', DEFAULT_MEASURE.samples, 1),
    ...(testData !== undefined && { testData: testData.absolute }),
  };
  return { measure, testData };
}

/** "m,m,m;s,s,s" */
export function parseNormalize(text: string): NonNullable<DataOptions['normalize']> {
  const parts = text.split(';').map((part) => part.split(',').map((item) => (item.trim() === '' ? NaN : Number(item))));
  const [mean, deviation] = parts;
  const valid =
    parts.length === 2 &&
    mean!.length === deviation!.length &&
    [...mean!, ...deviation!].every(Number.isFinite) &&
    deviation!.every((s) => s > 0);
  if (!valid) {
    throw new InputError(
      `--normalize takes as many means as positive deviations, such as "0.5,0.5,0.5;0.2,0.2,0.2", not ${JSON.stringify(text)}`,
    );
  }
  return { mean: mean!, deviation: deviation! };
}
