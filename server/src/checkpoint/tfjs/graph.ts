import { basename } from 'node:path';
import { InputError } from '../../errors';
import type { NetworkFile } from '../checkpoint';
import { isObject, type Json, type JsonObject } from '../keras/config';
import { NodeList, OPSET } from '../onnx/nodes';
import type { StoredTensor } from '../stored-tensor';
import { graphRules, TfNode } from './operators';
import { damaged } from './weights';

interface Source {
  readonly path: string;
  readonly producer: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

const MOST_NODES = 100_000;

/** A TensorFlow graph as a network in ONNX's terms. */
export function graphNetwork(list: readonly Json[], signature: Json | undefined, source: Source): NetworkFile {
  const { path, producer, tensors } = source;
  const place = basename(path);
  if (list.length > MOST_NODES) throw damaged(`${list.length} nodes`, path);
  const nodes = new NodeList();
  const inputs: NetworkFile['inputs'][number][] = [];
  const values = new Map<string, string>();
  const used = new Set<string>();
  const entries = list.map((json) => {
    if (!isObject(json) || typeof json.name !== 'string' || typeof json.op !== 'string') {
      throw damaged('a node has no name or no op', path);
    }
    const fed = Array.isArray(json.input) ? (json.input as readonly Json[]).map(String) : [];
    // `^name` only orders, and `name:1` is a further output, which no rule has.
    const names = fed.filter((name) => !name.startsWith('^')).map((name) => name.replace(/:0$/, ''));
    return { name: json.name, op: json.op, inputs: names, attr: isObject(json.attr) ? json.attr : {} };
  });
  let waiting = entries;
  while (waiting.length > 0) {
    const later: typeof entries = [];
    for (const entry of waiting) {
      const { name, op, attr } = entry;
      if (!entry.inputs.every((input) => values.has(input))) {
        later.push(entry);
        continue;
      }
      if (op === 'Const') {
        if (!tensors.has(name)) throw damaged(`constant ${name} has no weights`, path);
        values.set(name, name);
      } else if (op === 'Placeholder') {
        inputs.push({ name, dtype: 'float32', shape: placeholderShape(attr) });
        values.set(name, name);
      } else {
        const rule = Object.hasOwn(graphRules, op) ? graphRules[op] : undefined;
        if (rule === undefined) {
          throw new InputError(
            `operator not supported: ${op} (node ${JSON.stringify(name)}, ${place}); export the model to ONNX and open that`,
          );
        }
        for (const input of entry.inputs) used.add(input);
        const given = entry.inputs.map((input) => values.get(input)!);
        values.set(name, rule(new TfNode(name, op, given, attr, nodes, tensors, place)));
      }
    }
    if (later.length === waiting.length) {
      throw damaged(`inputs of node ${later[0]!.name} are missing or circular`, path);
    }
    waiting = later;
  }
  const outputs = outputNames(signature) ?? entries.map(({ name }) => name).filter((name) => !used.has(name));
  return {
    kind: 'network',
    container: 'tensorflow.js',
    format: 'TensorFlow.js',
    path,
    producer,
    opset: OPSET,
    inputs,
    outputs: outputs.map((name) => {
      const value = values.get(name);
      if (value === undefined) throw damaged(`output ${name} is no node`, path);
      return { name: nodes.add('Identity', [value]), dtype: 'float32', shape: null };
    }),
    nodes: nodes.nodes,
    tensors,
  };
}

function placeholderShape(attr: JsonObject): (number | string)[] | null {
  const shape = isObject(attr.shape) ? attr.shape.shape : null;
  const dims = isObject(shape ?? undefined) ? (shape as JsonObject).dim : null;
  if (!Array.isArray(dims)) return null;
  return (dims as readonly Json[]).map((dim, axis) => {
    const size = isObject(dim) ? Number(dim.size) : NaN;
    return size > 0 && axis > 0 ? size : axis === 0 ? 'N' : '?';
  });
}

function outputNames(signature: Json | undefined): string[] | null {
  const outputs = isObject(signature) ? signature.outputs : null;
  if (!isObject(outputs ?? undefined)) return null;
  const names = Object.values(outputs as JsonObject).flatMap((output) =>
    isObject(output) && typeof output.name === 'string' ? [output.name.replace(/:0$/, '')] : [],
  );
  return names.length > 0 ? names : null;
}
