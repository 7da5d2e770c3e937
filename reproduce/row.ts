import { cpus } from 'node:os';
import { join } from 'node:path';
import type { AnalysisResult, CurvatureKind, Interval, OneShotLimit, Split } from '../protocol/analysis';
import type { RetrainResult } from '../protocol/retrain';
import type { Score, TrainResult } from '../protocol/train';
import { openModel } from '../server/src/checkpoint/model';
import type { Experiment, Settings } from './experiments';
import { Steps, type Step } from './steps';

export type Preset = 'small' | 'full';

export interface LimitCell {
  readonly sparsity: number;
  readonly bracket: Interval;
  /** 95 %. */
  readonly interval: Interval;
  readonly resolved: boolean;
  readonly traceBound: number;
  readonly sharp: number;
  readonly lambdaMax: number;
  readonly trace: readonly [value: number, standardError: number];
  readonly steps: number;
}

export interface MeasuredCell {
  readonly sparsity: number;
  readonly interval: Interval;
}

/** One experiment with one seed. Sparsities are fractions. */
export interface Row {
  readonly name: string;
  readonly preset: Preset;
  readonly seed: number;
  readonly machine: string;
  readonly commands: readonly string[];
  /** Of the clock: training, analysis, search for the retrained limit. */
  readonly seconds: readonly [number, number, number];
  readonly weights: number;
  readonly l1: number;
  readonly trainSamples: number;
  /** Samples that the curvature is of. */
  readonly samples: number;
  readonly dense: {
    /** Over all training samples. */
    readonly loss: number;
    readonly test: Score;
    /** ‖w*‖₂ and ‖w*‖₁ over the prunable weights. */
    readonly norms: readonly [number, number];
  };
  /** Of the analysis, in nats. */
  readonly epsilon: number;
  readonly hessian: LimitCell;
  readonly ggn: LimitCell;
  /** Of validity. */
  readonly edge: number | null;
  /** Pruned at once: on test data by accuracy (not below the dense, within 0.1, 0.5 and 1 point) and loss, on training data by loss. */
  readonly oneShot: {
    readonly accuracy: readonly [MeasuredCell, MeasuredCell, MeasuredCell, MeasuredCell];
    readonly testLoss: MeasuredCell;
    readonly trainLoss: MeasuredCell;
  };
  /** Interval: from what came back to what did not. */
  readonly retrained: MeasuredCell & { readonly test: Score; readonly epochs: number; readonly epsilon: number };
}

export interface Place {
  readonly root: string;
  /** Of the data set, as typed. */
  readonly data: string;
  /** Of the data sets, as typed. */
  readonly dataRoot: string;
  readonly folder: string;
  readonly threads: number;
}

const words = (text: string): string[] => text.split(' ').filter((word) => word !== '');

/** An option with its value, where the settings have none of their own. */
function unless(settings: string, name: string, value: string): string[] {
  return words(settings).includes(name) ? [] : [name, value];
}

/** What is run for a row, and where its checkpoints lie. */
export interface RowCommands {
  readonly train: readonly string[];
  readonly analyze: readonly string[];
  readonly retrain: readonly string[];
  readonly dense: string;
}

export function commandsOf(
  seed: number,
  { input }: Pick<Experiment, 'input'>,
  settings: Settings,
  { data, dataRoot, folder, threads }: Omit<Place, 'root'>,
): RowCommands {
  const [dense, retrained] = [join(folder, 'dense.onnx'), join(folder, 'retrained.onnx')];
  const common = ['--data', data, ...words(input), '--threads', `${threads}`, '--seed', `${seed}`];
  const penalty = settings.l1 > 0 ? ['--l1', `${settings.l1}`] : [];
  const network = settings.network.map((word) => word.replace('{data}', dataRoot));
  return {
    train: ['train', ...network, ...common, ...words(settings.train), ...penalty, '-o', dense],
    analyze: [
      ...['analyze', dense, ...common, '--split', 'train', ...penalty],
      ...unless(settings.analyze, '--tolerance', '0.01'),
      ...unless(settings.analyze, '--minutes', '60'),
      ...words(settings.analyze),
      '--measure',
    ],
    retrain: ['retrain', dense, ...common, ...words(settings.retrain), '-o', retrained],
    dense,
  };
}

/** Trains, analyses and retrains, as far as that has not been done. */
export async function makeRow(
  name: string,
  preset: Preset,
  seed: number,
  experiment: Experiment,
  settings: Settings,
  place: Place,
): Promise<Row> {
  const steps = new Steps(place.root, place.folder);
  const commands = commandsOf(seed, experiment, settings, place);
  const train = steps.run<TrainResult>('train', commands.train);
  const analysis = steps.run<AnalysisResult>('analysis', commands.analyze);
  const retrain = steps.run<RetrainResult>('retrain', commands.retrain);
  return rowOf({ name, preset, seed, l1: settings.l1 }, train, analysis, retrain, await normsOf(commands.dense));
}

function rowOf(
  what: Pick<Row, 'name' | 'preset' | 'seed' | 'l1'>,
  train: Step<TrainResult>,
  analysis: Step<AnalysisResult>,
  retrain: Step<RetrainResult>,
  norms: readonly [number, number],
): Row {
  const { result } = analysis;
  const measured = (split: Split): readonly OneShotLimit[] =>
    result.measured.find((candidate) => candidate.split === split)!.oneShot;
  const cell = ({ sparsity, interval }: OneShotLimit): MeasuredCell => ({ sparsity, interval });
  const [none, tenth, half, one] = measured('test').filter(({ criterion }) => criterion === 'accuracy');
  const lossOf = (split: Split): MeasuredCell => cell(measured(split).find(({ criterion }) => criterion === 'loss')!);
  const bracket = retrain.result.brackets[0]!;
  const cameBack = retrain.result.trials.find(({ reached, sparsity }) => reached && sparsity === bracket.reached);
  return {
    ...what,
    machine: `${cpus()[0]!.model}, Node ${process.versions.node}`,
    commands: [train, analysis, retrain].map(({ command }) => command),
    seconds: [train.seconds, analysis.seconds, retrain.seconds],
    weights: train.result.weights,
    trainSamples: retrain.result.samples,
    samples: result.data.samples,
    dense: { loss: retrain.result.dense.loss, test: train.result.epochs.at(-1)!.score!, norms },
    epsilon: result.epsilon.value,
    hessian: limitCell(result, 'hessian'),
    ggn: limitCell(result, 'ggn'),
    edge: result.validity.edge,
    oneShot: {
      accuracy: [cell(none!), cell(tenth!), cell(half!), cell(one!)],
      testLoss: lossOf('test'),
      trainLoss: lossOf('train'),
    },
    retrained: {
      sparsity: retrain.result.limit!.sparsity,
      interval: retrain.result.limit!.interval,
      test: bracket.score!,
      epochs: cameBack?.epochs ?? 0,
      epsilon: retrain.result.epsilon.value,
    },
  };
}

function limitCell({ limits }: AnalysisResult, kind: CurvatureKind): LimitCell {
  const { sparsity, bracket, interval, resolved, traceBound, sharp, curvature } = limits.find(
    ({ operator }) => operator === kind,
  )!;
  const { lambdaMax, trace, traceStandardError, steps } = curvature;
  return {
    sparsity,
    bracket,
    interval,
    resolved,
    traceBound,
    sharp,
    lambdaMax,
    trace: [trace, traceStandardError],
    steps,
  };
}

async function normsOf(path: string): Promise<[number, number]> {
  const { layers, parameters } = await openModel(path, { batch: 1 });
  let squares = 0;
  let absolute = 0;
  for (const { name } of layers) {
    for (const w of parameters.get(name)!.value) {
      squares += w * w;
      absolute += Math.abs(w);
    }
  }
  return [Math.sqrt(squares), absolute];
}

/** Files of rows are compact: digits beyond the eighth are no information. */
export function rowJson(row: object): string {
  const short = (_: string, value: unknown): unknown =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(8)) : value;
  return `${JSON.stringify(row, short, 1)}\n`;
}
