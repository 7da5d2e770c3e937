import { InputError } from '../../errors';
import type { NodeList } from '../onnx/nodes';
import type { StoredTensor } from '../stored-tensor';
import { isObject, type Json, type KerasLayerConfig } from './config';

/**
 * A value of the network. Keras keeps channels last; between spatial layers
 * they stand first here, where ONNX has them, so that nothing is moved to and
 * fro.
 */
export interface KerasValue {
  readonly name: string;
  /** With the batch. */
  readonly rank: number;
  readonly channelsFirst: boolean;
}

/** The tensors of a layer, in the order in which Keras makes them, by the last part of their names. */
export type LayerWeights = readonly { readonly part: string; readonly tensor: StoredTensor }[];

/** One use of a layer: its inputs, its config checked as it is read, its weights. */
export class KerasLayer {
  constructor(
    readonly layer: KerasLayerConfig,
    readonly inputs: readonly KerasValue[],
    readonly nodes: NodeList,
    private readonly stored: LayerWeights,
    private readonly place: string,
  ) {}

  error(what: string, next = 'export the model to ONNX and open that'): InputError {
    return new InputError(
      `${this.layer.kind}: ${what} (layer ${JSON.stringify(this.layer.name)}, ${this.place}); ${next}`,
    );
  }

  get x(): KerasValue {
    const [x] = this.inputs;
    if (x === undefined) throw this.error('no input');
    return x;
  }

  get(key: string): Json | undefined {
    return this.layer.config[key];
  }

  number(key: string, fallback: number): number {
    const value = this.get(key) ?? fallback;
    if (typeof value !== 'number') throw this.error(`${key} is no number`);
    return value;
  }

  flag(key: string, fallback: boolean): boolean {
    return (this.get(key) ?? fallback) !== false;
  }

  /** A number, or one per spatial axis, as two. */
  pair(key: string, fallback: number): readonly [number, number] {
    const value = this.get(key) ?? fallback;
    const [a, b] = Array.isArray(value) ? (value as readonly Json[]) : [value, value];
    if (typeof a !== 'number' || typeof b !== 'number') throw this.error(`${key} is no pair of numbers`);
    return [a, b];
  }

  /** Weights by their names in the order in which Keras makes them. */
  weights(parts: readonly string[]): StoredTensor[] {
    return parts.map((part, index) => {
      const found = this.stored.find((entry) => entry.part === part) ?? this.stored[index];
      if (found === undefined) throw this.error(`weight ${part} is missing`, 'save the model again with its weights');
      return found.tensor;
    });
  }

  add(
    op: string,
    inputs: readonly string[],
    attributes: Parameters<NodeList['add']>[2] = {},
    like: KerasValue = this.x,
  ): KerasValue {
    return { ...like, name: this.nodes.add(op, inputs, attributes, this.layer.name) };
  }

  channelsFirst(x: KerasValue): KerasValue {
    if (x.rank !== 4) throw this.error(`input of rank ${x.rank} where images [N, H, W, C] are needed`);
    if (this.get('data_format') === 'channels_first') throw this.error('data_format channels_first is not supported');
    if (x.channelsFirst) return x;
    return { rank: 4, channelsFirst: true, name: this.nodes.add('Transpose', [x.name], { perm: [0, 3, 1, 2] }) };
  }

  /** As Keras has it: channels last. */
  asKeras(x: KerasValue): KerasValue {
    if (!x.channelsFirst) return x;
    return { ...x, channelsFirst: false, name: this.nodes.add('Transpose', [x.name], { perm: [0, 2, 3, 1] }) };
  }

  /** All inputs in one layout. */
  alike(): KerasValue[] {
    const same = this.inputs.every(({ channelsFirst }) => channelsFirst === this.x.channelsFirst);
    return same ? [...this.inputs] : this.inputs.map((x) => this.asKeras(x));
  }

  /** The name of a function, however Keras wrote it down; null for none. */
  functionName(key: string): string | null {
    const value = this.get(key);
    if (value === undefined || value === null) return null;
    if (typeof value === 'string') return value;
    if (isObject(value)) {
      if (typeof value.config === 'string') return value.config;
      if (typeof value.class_name === 'string') return value.class_name.toLowerCase();
    }
    throw this.error(`${key} is no function of Keras`);
  }
}
