import { basename } from 'node:path';
import {
  EXPORT,
  INPUT,
  listProblems,
  matchArchitectures,
  matchNamed,
  reasonOf,
  type Match,
} from '../architectures/match';
import { InputError } from '../errors';
import type { Shape } from '../graph/ir';
import type { NetworkFile, WeightsFile } from './checkpoint';
import { isElementType, isFloat } from './elements';
import { modelWeights } from './model-weights';
import { OPSET } from './onnx/nodes';
import type { StoredTensor } from './stored-tensor';

/** A network found for weights, and why it is thought to be theirs. */
export interface Identified {
  readonly network: NetworkFile;
  readonly name: string;
  readonly reason: string;
}

export interface Identification {
  /** More than one where names and shapes do not decide. */
  readonly found: readonly Identified[];
  /** Where none was found: what comes closest, what differs, and what to do. */
  readonly advice: string;
}

/** @param sample shape of one sample of the data, where it is known */
export function identify(file: WeightsFile, sample?: Shape): Identification {
  const weights = modelWeights(file);
  const { fitting, closest } = matchArchitectures(shapesOf(weights), sample);
  if (fitting.length > 0) return { found: fitting.map((match) => identified(match, file, weights)), advice: '' };
  const nearest =
    closest === null
      ? 'no known network has tensors of these names'
      : `closest is ${closest.architecture.name}, but ${listProblems(closest.problems)}`;
  return { found: [], advice: `no architecture fits: ${nearest}; ${EXPORT}` };
}

/**
 * The network of weights: the architecture of that name, or the one that fits.
 *
 * @throws InputError when none fits, or several do
 */
export function identifyOne(file: WeightsFile, name: string | undefined, sample?: Shape): Identified {
  const place = basename(file.path);
  if (name !== undefined) {
    const weights = modelWeights(file);
    return identified(matchNamed(name, shapesOf(weights), place, sample), file, weights);
  }
  const { found, advice } = identify(file, sample);
  if (found.length === 1) return found[0]!;
  if (found.length === 0) throw new InputError(`${advice} (${place})`);
  throw new InputError(
    `several architectures fit: ${found.map((one) => one.name).join(', ')} (${place}); choose one with --architecture NAME`,
  );
}

function shapesOf(weights: ReadonlyMap<string, StoredTensor>): Map<string, Shape> {
  return new Map([...weights].map(([name, { shape }]) => [name, shape]));
}

function identified(match: Match, file: WeightsFile, weights: ReadonlyMap<string, StoredTensor>): Identified {
  const { architecture, writer, input, output } = match;
  const used = [...weights].filter(([name]) => writer.used.has(name));
  for (const [name, { dtype }] of used) {
    if (isElementType(dtype) && isFloat(dtype)) continue;
    throw new InputError(
      `element type not supported: ${dtype} (tensor ${JSON.stringify(name)}, ${basename(file.path)}); save the network with float32 weights`,
    );
  }
  const network: NetworkFile = {
    kind: 'network',
    container: file.container,
    format: file.format,
    path: file.path,
    producer: file.producer,
    opset: OPSET,
    inputs: [{ name: INPUT, dtype: 'float32', shape: ['N', ...input] }],
    outputs: [{ name: output.name, dtype: 'float32', shape: ['N', ...output.shape] }],
    nodes: writer.nodes,
    tensors: new Map(used),
  };
  return { network, name: architecture.name, reason: reasonOf(match) };
}
