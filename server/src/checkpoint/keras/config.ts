import { InputError } from '../../errors';

/**
 * The `config` of a Keras model: its layers, and which feeds which. Keras 1 to
 * 3 write the same with different words (keras/src/models/functional.py).
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** Use number `call` of a layer, output number `output`. */
export interface KerasTensor {
  readonly layer: string;
  readonly call: number;
  readonly output: number;
}

export interface KerasCall {
  readonly layer: KerasLayerConfig;
  readonly call: number;
  readonly inputs: readonly KerasTensor[];
}

export interface KerasLayerConfig {
  readonly kind: string;
  readonly name: string;
  readonly config: JsonObject;
}

export interface KerasModel {
  /** In file order, which is also that of their weights. */
  readonly layers: readonly KerasLayerConfig[];
  readonly calls: readonly KerasCall[];
  readonly inputs: readonly KerasTensor[];
  readonly outputs: readonly KerasTensor[];
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const list = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : []);

const MOST_LAYERS = 10_000;

/**
 * @param place for messages
 * @throws InputError when it is no model of layers
 */
export function parseModel(json: Json, place: string): KerasModel {
  const damaged = (what: string): InputError =>
    new InputError(`Keras config: ${what} (${place}); save the model again with model.save`);
  if (!isObject(json) || typeof json.class_name !== 'string') throw damaged('it has no class');
  const { class_name: kind, config } = json;
  // Keras 1 wrote the layers of a Sequential model as a list.
  const body = isObject(config) ? config : { layers: list(config) };
  const layers = list(body.layers).map((entry) => {
    if (!isObject(entry) || typeof entry.class_name !== 'string' || !isObject(entry.config)) {
      throw damaged('a layer has no class or no config');
    }
    const name = typeof entry.config.name === 'string' ? entry.config.name : entry.name;
    if (typeof name !== 'string') throw damaged(`a layer of class ${entry.class_name} has no name`);
    return { kind: entry.class_name, name, config: entry.config, entry };
  });
  if (layers.length === 0) throw damaged('it has no layers');
  if (layers.length > MOST_LAYERS) throw damaged(`it has ${layers.length} layers`);
  if (new Set(layers.map(({ name }) => name)).size !== layers.length) throw damaged('two layers have one name');
  if (kind === 'Sequential') return sequential(layers);
  if (kind !== 'Functional' && kind !== 'Model') {
    throw new InputError(
      `Keras model not supported: ${kind} (${place}); build it as Sequential or Functional, or export it to ONNX`,
    );
  }
  const calls = layers.flatMap((layer) => {
    const nodes = list(layer.entry.inbound_nodes);
    if (layer.kind === 'InputLayer' || nodes.length === 0) return [{ layer, call: 0, inputs: [] }];
    return nodes.map((node, call) => ({ layer, call, inputs: tensorsIn(node) }));
  });
  const inputs = tensorsIn(body.input_layers ?? null);
  const outputs = tensorsIn(body.output_layers ?? null);
  if (inputs.length === 0 || outputs.length === 0) throw damaged('it has no inputs or no outputs');
  return { layers, calls, inputs, outputs };
}

function sequential(layers: readonly KerasLayerConfig[]): KerasModel {
  const [first] = layers;
  const hasInput = first!.kind === 'InputLayer';
  // Without an input layer, the first layer says what it takes.
  const input: KerasLayerConfig = hasInput ? first! : { kind: 'InputLayer', name: '(input)', config: first!.config };
  const chain = hasInput ? layers.slice(1) : layers;
  const calls: KerasCall[] = [{ layer: input, call: 0, inputs: [] }];
  for (const layer of chain) {
    calls.push({ layer, call: 0, inputs: [{ layer: calls.at(-1)!.layer.name, call: 0, output: 0 }] });
  }
  const tensor = (layer: string): KerasTensor => ({ layer, call: 0, output: 0 });
  return { layers, calls, inputs: [tensor(input.name)], outputs: [tensor(calls.at(-1)!.layer.name)] };
}

/** Every reference to a tensor within: `[name, call, output, …]`, or a `__keras_tensor__` with such a history. */
function tensorsIn(json: Json, depth = 0): KerasTensor[] {
  if (depth > 16) return [];
  if (Array.isArray(json)) {
    const [layer, call, output] = json as readonly Json[];
    if (typeof layer === 'string' && typeof call === 'number' && typeof output === 'number') {
      return [{ layer, call, output }];
    }
    return (json as readonly Json[]).flatMap((item) => tensorsIn(item, depth + 1));
  }
  if (!isObject(json)) return [];
  if (isObject(json.config) && Array.isArray(json.config.keras_history)) {
    return tensorsIn(json.config.keras_history, depth + 1);
  }
  return Object.values(json).flatMap((item) => tensorsIn(item, depth + 1));
}
