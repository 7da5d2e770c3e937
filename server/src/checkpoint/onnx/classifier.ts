import { basename } from 'node:path';
import { InputError } from '../../errors';
import type { GraphBuilder } from '../../graph/builder';
import type { AnyNode } from '../../graph/ir';
import type { Model, TrainingModel } from '../../graph/model';
import { elementCount, formatShape } from '../../graph/shapes';
import { reachable } from '../../graph/traversal';
import { formatDeclared, importGraph, type ImportedGraph } from './import';
import type { OnnxFile, ValueInfo } from './reader';

/**
 * A classifier as the analysis needs it: one input with `batch` samples,
 * logits [batch, classes], and the weights by name.
 *
 * @throws InputError when the graph cannot be imported, or is no classifier
 */
export function importClassifier(file: OnnxFile, { batch }: { readonly batch: number }): Model {
  return importNetwork(file, batch, false);
}

/**
 * The same for training: batch normalisation uses the statistics of the batch.
 * Dropout stays inactive.
 *
 * @throws InputError as `importClassifier` does, and for running statistics that are not stored
 */
export function importForTraining(file: OnnxFile, { batch }: { readonly batch: number }): TrainingModel {
  return importNetwork(file, batch, true);
}

function importNetwork(file: OnnxFile, batch: number, training: boolean): TrainingModel {
  const place = basename(file.path);
  const input = onlyInput(file, place);
  const output = onlyOutput(file, place);
  const graph = bindBatch(file, input, batch, training);
  const node = graph.outputs.get(output.name);
  const fed = graph.inputs.get(input.name);
  if (node === undefined || fed === undefined || !reachable([node]).includes(fed)) {
    throw new InputError(`output independent of the input: ${output.name} (${place}); choose a trained classifier`);
  }
  const logits = toLogits(node, batch, graph.builder, `output ${JSON.stringify(output.name)}, ${place}`);
  const reached = new Set(reachable([logits]).flatMap((x) => (x.op === 'parameter' ? [x.attributes.name] : [])));
  const layers = graph.layers.filter(({ name }) => reached.has(name));
  if (layers.length === 0) {
    throw new InputError(
      `network without prunable weights (${place}); the weights of convolutions and matrix products are, and they must be stored in the file`,
    );
  }
  return {
    source: file.path,
    builder: graph.builder,
    input: fed,
    logits,
    parameters: new Map([...graph.parameters].filter(([name]) => reached.has(name))),
    layers,
    normalizations: graph.normalizations,
  };
}

function names(values: readonly ValueInfo[]): string {
  const list = values.map(({ name }) => name);
  return list.length > 6 ? `${list.slice(0, 5).join(', ')} and ${list.length - 5} more` : list.join(', ');
}

function onlyInput({ inputs }: OnnxFile, place: string): ValueInfo {
  if (inputs.length === 1) return inputs[0]!;
  throw new InputError(
    inputs.length === 0
      ? `network without an input (${place}); choose a trained classifier`
      : `several inputs: ${names(inputs)} (${place}); only networks with one data input can be analysed`,
  );
}

function onlyOutput({ outputs }: OnnxFile, place: string): ValueInfo {
  if (outputs.length === 1) return outputs[0]!;
  throw new InputError(
    outputs.length === 0
      ? `network without an output (${place}); export it again`
      : `several outputs: ${names(outputs)} (${place}); export the network with the class scores as its only output`,
  );
}

/** Imports with the leading dimension of the input set to `batch`, whatever the file was exported with. */
function bindBatch(file: OnnxFile, { name, shape }: ValueInfo, batch: number, training: boolean): ImportedGraph {
  const place = `input ${JSON.stringify(name)}, ${basename(file.path)}`;
  if (shape === null || shape.length < 2 || !shape.slice(1).every((size) => typeof size === 'number')) {
    const declared = shape === null ? 'unknown' : formatDeclared(shape);
    throw new InputError(
      `input shape: ${declared} (${place}); a batch of samples with fixed sizes is needed, export the network with them`,
    );
  }
  const sample = shape.slice(1) as number[];
  // An exporter that names the batch still traced the network with one sample.
  const own = typeof shape[0] === 'number' && shape[0] > 0 ? shape[0] : 1;
  const bound = (size: number): ImportedGraph =>
    importGraph(file, { shapes: new Map([[name, [size, ...sample]]]), rebatch: { from: own, to: size }, training });
  try {
    return bound(batch);
  } catch (error) {
    if (batch === own || !(error instanceof InputError)) throw error;
    try {
      bound(own);
    } catch {
      throw error;
    }
    throw new InputError(
      `batch size fixed: ${own} (${place}); export the network with a dynamic batch axis; at ${batch}: ${error.message}`,
    );
  }
}

/**
 * Logits [batch, classes] of a network's output: reshaped where all other
 * sizes are 1, and taken from before a last softmax or log-softmax, whose
 * cross entropy is that of the logits.
 */
function toLogits(output: AnyNode, batch: number, builder: GraphBuilder, place: string): AnyNode {
  const classes = elementCount(output.shape) / batch;
  const sizes = output.shape.filter((size) => size !== 1);
  const isFlat = output.shape[0] === batch && (classes === 1 || sizes.at(-1) === classes);
  if (!isFlat || sizes.length > (batch === 1 ? 1 : 2)) {
    throw new InputError(
      `output shape: ${formatShape(output.shape)} for ${batch} samples (${place}); class scores [batch, classes] are needed`,
    );
  }
  if (classes < 2) {
    throw new InputError(`output with ${classes} class (${place}); cross entropy needs two or more class scores`);
  }
  return builder.reshape(beforeSoftmax(output, batch, classes), [batch, classes]);
}

function beforeSoftmax(output: AnyNode, batch: number, classes: number): AnyNode {
  const through = (node: AnyNode): AnyNode => (node.op === 'reshape' ? through(node.inputs[0]!) : node);
  let node = through(output);
  if (node.op === 'log') {
    const inner = through(node.inputs[0]!);
    if (inner.op !== 'softmax') return output;
    node = inner;
  }
  if (node.op !== 'softmax' && node.op !== 'logSoftmax') return output;
  const { axis } = node.attributes;
  const isOverClasses = node.shape[axis] === classes && elementCount(node.shape) === batch * classes && axis > 0;
  return isOverClasses ? node.inputs[0]! : output;
}
