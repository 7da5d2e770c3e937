import type { PruneResult } from '../protocol/prune';
import type { Score, TrainResult } from '../protocol/train';
import type { Experiment } from './experiments';
import type { Place } from './row';
import { Steps } from './steps';

/** Stages of gradual pruning, and epochs of each; as many epochs follow at the wished sparsity. */
const STAGES = 5;

interface Tuned {
  /** Mean over the last epoch's batches, in nats. */
  readonly loss: number;
  readonly test: Score;
}

/** The dense network of an experiment, pruned to one sparsity in two ways with the same number of epochs. */
export interface GradualRow {
  readonly kind: 'gradual';
  readonly name: string;
  readonly seed: number;
  readonly sparsity: number;
  readonly dense: Score;
  readonly atOnce: Tuned;
  readonly gradually: Tuned;
  readonly commands: readonly string[];
}

const words = (text: string): string[] => text.split(' ').filter((word) => word !== '');

/**
 * At once: pruned, then 2·STAGES epochs with the mask fixed, cosine. Gradually:
 * one epoch at a constant rate after each of STAGES prunings, whose sparsities
 * rise as s·(1 − (1 − t)³) (Zhu and Gupta 2017), then STAGES epochs with the
 * mask fixed, cosine.
 *
 * @param rate learning rate of all of it
 */
export function makeGradual(
  name: string,
  sparsity: number,
  seed: number,
  { input }: Experiment,
  rate: number,
  dense: { readonly path: string; readonly score: Score },
  place: Place,
): GradualRow {
  const steps = new Steps(place.root, place.folder);
  const commands: string[] = [];
  const common = ['--data', place.data, ...words(input), '--threads', `${place.threads}`];
  const prune = (step: string, from: string, to: number): string => {
    const output = steps.path(`${step}.onnx`);
    const args = ['prune', from, '--sparsity', `${Number(to.toPrecision(6))}`, '--allow-disconnected', '-o', output];
    commands.push(steps.run<PruneResult>(step, args).command);
    return output;
  };
  const tune = (step: string, from: string, epochs: number, schedule: string): { path: string; tuned: Tuned } => {
    const path = steps.path(`${step}.onnx`);
    const options = ['--mask', 'zeros', '--epochs', `${epochs}`, '--rate', `${rate}`, '--schedule', schedule];
    const args = ['train', from, ...common, '--seed', `${seed}`, ...options, '-o', path];
    const { command, result } = steps.run<TrainResult>(step, args);
    commands.push(command);
    const { loss, score } = result.epochs.at(-1)!;
    return { path, tuned: { loss, test: score! } };
  };
  const atOnce = tune('at-once', prune('at-once-pruned', dense.path, sparsity), 2 * STAGES, 'cosine').tuned;
  let path = dense.path;
  for (let stage = 1; stage <= STAGES; stage++) {
    const target = sparsity * (1 - (1 - stage / STAGES) ** 3);
    const pruned = prune(`stage-${stage}-pruned`, path, target);
    path = tune(`stage-${stage}`, pruned, 1, 'constant').path;
  }
  const gradually = tune('gradually', path, STAGES, 'cosine').tuned;
  return { kind: 'gradual', name, seed, sparsity, dense: dense.score, atOnce, gradually, commands };
}
