import { basename } from 'node:path';
import { InputError } from '../errors';
import type { Shape } from '../graph/ir';
import type { Model } from '../graph/model';
import type { Checkpoint, NetworkFile } from './checkpoint';
import { identifyOne } from './identify';
import { lendGraph } from './lend';
import { importClassifier } from './onnx/classifier';
import { openCheckpoint } from './open';

export interface ModelOptions {
  /** Samples per run. */
  readonly batch: number;
  /** Shape of one sample of the data. */
  readonly sample?: Shape | undefined;
  /** Name of the architecture of weights alone; the one that fits when absent. */
  readonly architecture?: string | undefined;
  /** Path of a file whose graph weights alone borrow. */
  readonly graph?: string | undefined;
}

/** Opens a checkpoint as a classifier, as `openCheckpoint` and `toModel` do. */
export async function openModel(path: string, options: ModelOptions): Promise<Model> {
  return toModel(await openCheckpoint(path), options);
}

/**
 * An open checkpoint of any format as a classifier.
 *
 * @throws InputError when its network is not known, or it is no classifier
 */
export async function toModel(checkpoint: Checkpoint, options: ModelOptions): Promise<Model> {
  return importClassifier(await networkOf(checkpoint, options), options);
}

/** @throws InputError when the network of weights alone is not known */
export async function networkOf(
  checkpoint: Checkpoint,
  { sample, architecture, graph }: Omit<ModelOptions, 'batch'>,
): Promise<NetworkFile> {
  if (checkpoint.kind === 'network') {
    if (architecture === undefined && graph === undefined) return checkpoint;
    throw new InputError(
      `graph known: ${basename(checkpoint.path)} holds its own; leave out ${graph === undefined ? '--architecture' : '--graph'}`,
    );
  }
  if (graph === undefined) return identifyOne(checkpoint, architecture, sample).network;
  if (architecture !== undefined) {
    throw new InputError('graph given twice: --architecture and --graph; leave out one of them');
  }
  const lender = await openCheckpoint(graph);
  if (lender.kind === 'weights') {
    throw new InputError(`no graph: ${graph} holds weights alone; give a file with the network's graph, such as ONNX`);
  }
  return lendGraph(lender, checkpoint).network;
}
