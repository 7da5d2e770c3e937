import type { Schedule, SearchOptions, TrainOptions, TrainRequest, TrainSource } from '../../../protocol/train';
import { InputError } from '../errors';
import { ARCHITECTURES } from '../lomp/architectures/architectures';
import { parseNormalize } from './analysis-options';
import { choice, parse, pathOption, Values } from './option-values';
import { typedPath, type TypedPath } from './paths';

export interface TrainCommand {
  readonly kind: 'train';
  readonly request: TrainRequest;
  /** Paths as they were typed, for messages. */
  readonly paths: readonly TypedPath[];
  readonly output: TypedPath;
  readonly json: boolean;
}

/** What a training does when nobody says otherwise. */
export const TRAIN_DEFAULTS = {
  epochs: 20,
  batch: 128,
  rate: 0.1,
  momentum: 0.9,
  factor: 0.1,
  range: [1e-6, 1e-2],
} as const;

const architectureLines = [...ARCHITECTURES].map(([name, about]) => `  ${name.padEnd(21)}${about}`).join('\n');

/** The data of whatever trains. */
export const TRAINING_DATA_USAGE = `Data
  --data PATH            a file or a folder: idx, CIFAR binary, .npy, .npz, CSV
  --split train|test     which part of it to train on (default train)
  --evaluate test|train|none
                         what loss and accuracy are of (default test)
  --scale 1|255          divide raw values by this (default 255)
  --normalize "M;S"      then subtract means and divide by deviations, one each
                         or one per channel: ".49,.48,.45;.25,.24,.26"
  --layout nchw|nhwc     of the network's input (default: as the network says)
  --samples N|all        how many, stratified by class (default all)
  --crop N               pad images by N pixels and cut them out at random
  --flip                 mirror every other image, at random
`;

export const TRAINING_RUNNING_USAGE = `Running
  --threads N            default: as many as the engine likes
  --memory N             most MiB of memory (default: 70 % of the machine's)
  --seed N               of fresh weights, order and variations (default 1)
`;

export const TRAIN_USAGE = `Usage: pruning-limit train FILE --data PATH -o OUT.onnx [OPTION ...]
       pruning-limit train --architecture NAME --data PATH -o OUT.onnx [OPTION ...]

Trains a classifier by stochastic gradient descent with an L1 penalty, so that
it can be pruned: from the weights of a checkpoint of any format, or from fresh
ones. An ONNX checkpoint is written after every epoch. A training that was cut
off goes on with --resume and ends at the same bytes.

Fresh networks
${architectureLines}

Network of a FILE that holds weights alone
  --architecture NAME    which it is, as for analyze
  --graph FILE           a file whose graph they borrow, such as ONNX

${TRAINING_DATA_USAGE}
Training
  --epochs N             default 20
  --batch N              samples per step (default 128)
  --rate X               learning rate (default 0.1)
  --schedule KIND        constant, cosine (default) or multistep
  --milestones N,N,...   epochs, from 0, before which multistep multiplies the
  --factor X             rate by this (default 0.1)
  --warmup N             epochs in which the rate rises from 0 (default 0)
  --momentum X           default 0.9
  --weight-decay X       on all weights, as in PyTorch (default 0)
  --l1 MU                coefficient of the L1 penalty on prunable weights
  --l1-mode KIND         subgradient (default), or proximal, which makes exact
                         zeros
  --mask zeros|FILE      weights that stay zero: those that are, or those of an
                         .npz with a mask per weight tensor

Search for the smallest MU that will do
  --target-sparsity S    the network, pruned once to this sparsity,
  --accuracy-budget P    loses at most P points against one trained without
                         penalty (default 1)
  --l1-range LOW,HIGH    where to look (default 1e-6,1e-2)

Output
  -o, --output OUT.onnx  the checkpoint; OUT.onnx.resume beside it, until the
                         end, is what --resume needs
  --resume               go on from there, or begin
  --force                replace what is there
  --limit-every N        predict the pruning limit after every N epochs
  --json                 one JSON object on standard output, nothing else there

${TRAINING_RUNNING_USAGE}
Near zero are weights below 0.001. An interrupt (Ctrl-C) ends after the epoch in
progress, a second one at once; nothing that was written is lost.
`;

/** What every command that trains takes. */
export const TRAINING_OPTIONS = {
  data: { type: 'string' },
  split: { type: 'string' },
  evaluate: { type: 'string' },
  scale: { type: 'string' },
  normalize: { type: 'string' },
  layout: { type: 'string' },
  samples: { type: 'string' },
  crop: { type: 'string' },
  flip: { type: 'boolean' },
  epochs: { type: 'string' },
  batch: { type: 'string' },
  rate: { type: 'string' },
  schedule: { type: 'string' },
  milestones: { type: 'string' },
  factor: { type: 'string' },
  warmup: { type: 'string' },
  momentum: { type: 'string' },
  'weight-decay': { type: 'string' },
  l1: { type: 'string' },
  'l1-mode': { type: 'string' },
  output: { type: 'string', short: 'o' },
  resume: { type: 'boolean' },
  force: { type: 'boolean' },
  json: { type: 'boolean' },
  threads: { type: 'string' },
  memory: { type: 'string' },
  seed: { type: 'string' },
} as const;

const OPTIONS = {
  ...TRAINING_OPTIONS,
  architecture: { type: 'string' },
  graph: { type: 'string' },
  mask: { type: 'string' },
  'target-sparsity': { type: 'string' },
  'accuracy-budget': { type: 'string' },
  'l1-range': { type: 'string' },
  'limit-every': { type: 'string' },
} as const;

type OptionName = keyof typeof OPTIONS;

type TrainValues = Values<OptionName>;
export type TrainingValues = Values<keyof typeof TRAINING_OPTIONS>;

/** Numbers with commas between. */
function list(text: string | undefined, name: string): number[] | undefined {
  const numbers = text?.split(',').map((part) => (part.trim() === '' ? NaN : Number(part)));
  if (numbers?.every(Number.isFinite) === false) {
    throw new InputError(`--${name} takes numbers with commas between, not ${JSON.stringify(text)}`);
  }
  return numbers;
}

/**
 * How a training goes, without a mask and a prediction of the limit.
 *
 * @param fallback epochs and rate where none are given
 * @throws InputError for a missing or a bad value
 */
export function readTraining(
  values: TrainingValues,
  command: string,
  fallback: { readonly epochs: number; readonly rate: number },
): { readonly options: TrainOptions; readonly data: TypedPath; readonly output: TypedPath } {
  const required = <T>(value: T | undefined, problem: string): T => {
    if (value === undefined) throw new InputError(`${problem}; see pruning-limit ${command} --help`);
    return value;
  };
  const output = required(pathOption(values.text('output'), '--output'), 'no output: give -o OUT.onnx');
  const data = required(
    pathOption(values.text('data'), '--data'),
    'no data: give --data PATH, the samples to train on',
  );
  const normalize = values.text('normalize');
  const layout = choice(values.text('layout'), '--layout', ['nchw', 'nhwc'], undefined);
  const evaluation = choice(values.text('evaluate'), '--evaluate', ['test', 'train', 'none'], 'test');
  const epochs = values.integer('epochs', fallback.epochs, 1, 1_000_000);
  const options: TrainOptions = {
    data: {
      path: data.absolute,
      split: choice(values.text('split'), '--split', ['train', 'test'], 'train'),
      scale: values.number('scale', 255, Number.MIN_VALUE),
      samples:
        values.text('samples') === 'all' ? 'all' : values.integer('samples', 0, 1, Number.MAX_SAFE_INTEGER) || 'all',
      ...(normalize !== undefined && { normalize: parseNormalize(normalize) }),
      ...(layout !== undefined && { layout }),
    },
    evaluation: evaluation === 'none' ? null : evaluation,
    epochs,
    batch: values.integer('batch', TRAIN_DEFAULTS.batch, 1, 65_536),
    rate: values.number('rate', fallback.rate, Number.MIN_VALUE),
    schedule: parseSchedule(values, epochs),
    warmup: values.number('warmup', 0, 0, epochs),
    momentum: values.number('momentum', TRAIN_DEFAULTS.momentum, 0, 0.9999),
    weightDecay: values.number('weight-decay', 0, 0),
    l1: values.number('l1', 0, 0),
    l1Mode: choice(values.text('l1-mode'), '--l1-mode', ['subgradient', 'proximal'], 'subgradient'),
    crop: values.integer('crop', 0, 0, 1024),
    flip: values.flag('flip'),
    mask: 'none',
    seed: values.integer('seed', 1, 0, 2 ** 32 - 1),
    threads: values.integer('threads', 0, 0, 1024),
    memory: values.integer('memory', 0, 0, Number.MAX_SAFE_INTEGER),
    limitEvery: 0,
  };
  return { options, data, output };
}

/**
 * @returns undefined when help was asked for
 * @throws InputError for an unknown option, a missing or a bad value
 */
export function parseTrain(argv: readonly string[]): TrainCommand | undefined {
  const parsed = parse(argv, 'train', OPTIONS);
  if (parsed.values['help']) return undefined;
  const values: TrainValues = new Values(parsed.values);
  const graph = pathOption(values.text('graph'), '--graph');
  const { source, path } = parseSource(values.text('architecture'), graph, parsed.positionals);
  const { options: training, data, output } = readTraining(values, 'train', TRAIN_DEFAULTS);
  const mask = values.text('mask');
  const maskFile = mask === undefined || mask === 'zeros' ? undefined : pathOption(mask, '--mask');
  const options: TrainOptions = {
    ...training,
    mask: maskFile !== undefined ? { path: maskFile.absolute } : mask === 'zeros' ? 'zeros' : 'none',
    limitEvery: values.integer('limit-every', 0, 0, 1_000_000),
  };
  const search = parseSearch(values, options);
  const paths = [path, graph, output, data, maskFile].filter((each) => each !== undefined);
  const request = {
    source,
    output: output.absolute,
    resume: values.flag('resume'),
    overwrite: values.flag('force'),
    options,
    ...(search !== undefined && { search }),
  };
  return { kind: 'train', request, paths, output, json: values.flag('json') };
}

function parseSource(
  architecture: string | undefined,
  graph: TypedPath | undefined,
  positionals: readonly string[],
): { source: TrainSource; path?: TypedPath } {
  const [file, ...more] = positionals;
  if (more.length > 0) throw new InputError(`more than one checkpoint: ${positionals.join(', ')}`);
  if (file === undefined || file === '') {
    if (architecture !== undefined && graph === undefined) {
      return { source: { kind: 'architecture', name: architecture } };
    }
    throw new InputError(
      `${graph === undefined ? 'neither a checkpoint nor an architecture' : 'graph without weights'}; give FILE or --architecture ${[...ARCHITECTURES.keys()].join('|')}`,
    );
  }
  const path = typedPath(file);
  const source: TrainSource = {
    kind: 'checkpoint',
    path: path.absolute,
    ...(architecture !== undefined && { architecture }),
    ...(graph !== undefined && { graph: graph.absolute }),
  };
  return { source, path };
}

function parseSchedule(values: TrainingValues, epochs: number): Schedule {
  const kind = choice(values.text('schedule'), '--schedule', ['constant', 'cosine', 'multistep'], 'cosine');
  const milestones = list(values.text('milestones'), 'milestones');
  if (kind !== 'multistep') {
    if (milestones !== undefined || values.text('factor') !== undefined) {
      throw new InputError(`--milestones and --factor go with --schedule multistep, not ${kind}`);
    }
    return { kind };
  }
  if (milestones === undefined) throw new InputError('--schedule multistep needs --milestones, such as 10,15');
  const late = milestones.find((epoch) => epoch <= 0 || epoch >= epochs);
  if (late !== undefined) throw new InputError(`milestone out of range: ${late}; give epochs between 0 and ${epochs}`);
  return { kind, milestones, factor: values.number('factor', TRAIN_DEFAULTS.factor, Number.MIN_VALUE, 1) };
}

function parseSearch(values: TrainValues, { l1 }: TrainOptions): SearchOptions | undefined {
  const text = values.text('target-sparsity');
  if (text === undefined) {
    if (values.text('accuracy-budget') !== undefined || values.text('l1-range') !== undefined) {
      throw new InputError('--accuracy-budget and --l1-range go with --target-sparsity');
    }
    return undefined;
  }
  const sparsity = values.number('target-sparsity', 0, 0, 1);
  if (sparsity <= 0 || sparsity >= 1) {
    throw new InputError(`--target-sparsity out of range: ${text}; give a fraction between 0 and 1, such as 0.95`);
  }
  if (l1 > 0) throw new InputError('--l1 and --target-sparsity: the search chooses the penalty; give one of them');
  const range = list(values.text('l1-range'), 'l1-range') ?? TRAIN_DEFAULTS.range;
  const [from, to] = range as readonly [number, number];
  if (range.length !== 2 || !(from > 0 && to > from)) {
    throw new InputError(`--l1-range takes LOW,HIGH with 0 < LOW < HIGH, not ${values.text('l1-range')}`);
  }
  return { sparsity, budget: values.number('accuracy-budget', 1, 0, 100) / 100, from, to };
}
