import { InputError } from '../../errors';
import type { Checkpoint } from '../checkpoint';
import { isObject, parseModel, type Json } from '../keras/config';
import type { LayerWeights } from '../keras/layer';
import { kerasNetwork } from '../keras/network';
import { graphNetwork } from './graph';
import { damaged, readManifest } from './weights';

/**
 * `model.json` of TensorFlow.js: a layers model holds a Keras config, a graph
 * model the nodes of a TensorFlow graph. The weights lie in files beside it.
 */

export function isModel(json: unknown): boolean {
  return isObject(json as Json) && 'modelTopology' in (json as object);
}

/** @throws InputError when something is missing or not supported */
export async function open(json: Json, path: string): Promise<Checkpoint> {
  if (!isObject(json)) throw damaged('it is no object', path);
  const topology = json.modelTopology;
  if (!isObject(topology)) throw damaged('modelTopology is missing', path);
  const tensors = await readManifest(json.weightsManifest, path);
  const producer = typeof json.convertedBy === 'string' ? json.convertedBy : text(json.generatedBy);
  if (Array.isArray(topology.node)) {
    return graphNetwork(topology.node as readonly Json[], json.signature, { path, producer, tensors });
  }
  const config = isObject(topology.model_config) ? topology.model_config : topology;
  const weightsOf = (layer: string): LayerWeights =>
    [...tensors.values()].flatMap((tensor) => {
      const parts = tensor.name.split('/');
      return parts.at(-2) === layer ? [{ part: parts.at(-1)!.replace(/:\d+$/, ''), tensor }] : [];
    });
  const model = parseModel(config, path);
  return kerasNetwork(model, {
    container: 'tensorflow.js',
    format: 'TensorFlow.js',
    path,
    producer,
    tensors,
    weightsOf,
  });
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

export function notAModel(path: string): never {
  throw new InputError(`JSON unknown: ${path}; model.json of TensorFlow.js and *.safetensors.index.json are read`);
}
