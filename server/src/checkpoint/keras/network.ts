import { basename } from 'node:path';
import { InputError } from '../../errors';
import type { Container, NetworkFile } from '../checkpoint';
import { NodeList, OPSET } from '../onnx/nodes';
import type { StoredTensor } from '../stored-tensor';
import { type Json, type KerasCall, type KerasModel, type KerasTensor } from './config';
import { KerasLayer, type KerasValue, type LayerWeights } from './layer';
import { layerRules } from './layers';

interface Source {
  readonly container: Container;
  readonly format: string;
  readonly path: string;
  readonly producer: string;
  /** All tensors of the file. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Those of a layer, in order. */
  readonly weightsOf: (layer: string) => LayerWeights;
}

/**
 * A model of Keras layers as a network in ONNX's terms; the weights keep their
 * names and their layout, and the graph moves their axes.
 *
 * @throws InputError naming the layer that is not supported, or what is missing
 */
export function kerasNetwork(model: KerasModel, source: Source): NetworkFile {
  const place = basename(source.path);
  const nodes = new NodeList();
  const values = new Map<string, KerasValue>();
  const inputs: NetworkFile['inputs'][number][] = [];
  const key = ({ layer, call }: Pick<KerasTensor, 'layer' | 'call'>): string => `${call} ${layer}`;
  for (const { layer, call, inputs: fed } of ordered(model.calls, place)) {
    if (layer.kind === 'InputLayer') {
      const shape = inputShape(layer.config, place);
      inputs.push({ name: layer.name, dtype: 'float32', shape });
      values.set(key({ layer: layer.name, call }), { name: layer.name, rank: shape.length, channelsFirst: false });
      continue;
    }
    const rule = Object.hasOwn(layerRules, layer.kind) ? layerRules[layer.kind] : undefined;
    if (rule === undefined) {
      throw new InputError(
        `layer not supported: ${layer.kind} (layer ${JSON.stringify(layer.name)}, ${place}); export the model to ONNX and open that`,
      );
    }
    const given = fed.map((tensor) => values.get(key(tensor))!);
    const use = new KerasLayer(layer, given, nodes, source.weightsOf(layer.name), place);
    values.set(key({ layer: layer.name, call }), rule(use));
  }
  const outputs = model.outputs.map((tensor) => {
    const value = values.get(key(tensor));
    if (value === undefined) throw new InputError(`Keras config: output ${tensor.layer} is no layer (${place})`);
    return { name: nodes.add('Identity', [keras(value, nodes)]), dtype: 'float32', shape: null };
  });
  const { container, format, path, producer, tensors } = source;
  return {
    kind: 'network',
    container,
    format,
    path,
    producer,
    opset: OPSET,
    inputs,
    outputs,
    nodes: nodes.nodes,
    tensors,
  };
}

function keras(value: KerasValue, nodes: NodeList): string {
  return value.channelsFirst ? nodes.add('Transpose', [value.name], { perm: [0, 2, 3, 1] }) : value.name;
}

function inputShape(config: Readonly<Record<string, Json>>, place: string): (number | string)[] {
  // Keras 3, Keras 2, and a first layer of Keras 2 that only knows its features.
  const shape = config.batch_shape ?? config.batch_input_shape ?? null;
  if (!Array.isArray(shape) || shape.length < 2) {
    throw new InputError(`input shape unknown (${place}); build the model with an Input layer and save it again`);
  }
  return (shape as readonly Json[]).map((size, axis) => {
    if (typeof size === 'number' && axis > 0) return size;
    return axis === 0 ? 'N' : '?';
  });
}

/** Calls with their inputs before them; files have them in order as a rule. */
function ordered(calls: readonly KerasCall[], place: string): KerasCall[] {
  const done = new Set<string>();
  const result: KerasCall[] = [];
  let waiting = [...calls];
  while (waiting.length > 0) {
    const later: KerasCall[] = [];
    for (const call of waiting) {
      if (call.inputs.every(({ layer, call: use }) => done.has(`${use} ${layer}`))) {
        done.add(`${call.call} ${call.layer.name}`);
        result.push(call);
      } else later.push(call);
    }
    if (later.length === waiting.length) {
      const missing = later[0]!;
      throw new InputError(
        `Keras config: inputs of layer ${missing.layer.name} are missing or circular (${place}); save the model again`,
      );
    }
    waiting = later;
  }
  return result;
}
