import type { Shape } from '../../graph/ir';
import type { StoredTensor } from '../stored-tensor';
import type { Attribute, OnnxNode } from './reader';

/** Opset whose operators the nodes are that readers of other formats write. */
export const OPSET = 18;

export type AttributeValue = number | readonly number[] | string;

/** Nodes in ONNX's terms, for networks that come from elsewhere: written in order, inputs before users. */
export class NodeList {
  readonly nodes: OnnxNode[] = [];
  private values = 0;

  /**
   * Adds a node with one output.
   *
   * @param label of the node, for messages
   * @returns the output's name
   */
  add(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    label = '',
  ): string {
    const list = Object.entries(attributes).map(([key, value]) => [key, attribute(key, value)] as const);
    return this.push(op, inputs, new Map(list), label);
  }

  /** A list of integers as an operator wants it: a constant of type int64. */
  integers(values: readonly number[]): string {
    return this.constant('int64', [values.length], Float64Array.from(values));
  }

  /** A number as an operator wants it: a constant of type float32. */
  scalar(value: number): string {
    return this.constant('float32', [], Float32Array.of(value));
  }

  /** Numbers along one axis. */
  floats(values: readonly number[]): string {
    return this.constant('float32', [values.length], Float32Array.from(values));
  }

  private constant(type: 'int64' | 'float32', shape: Shape, values: Float64Array | Float32Array): string {
    const bytes = (): Uint8Array =>
      new Uint8Array((type === 'int64' ? BigInt64Array.from([...values].map(BigInt)) : values).buffer as ArrayBuffer);
    const tensor: StoredTensor = { name: '', dtype: type, shape, read: () => ({ type, shape, values }), bytes };
    return this.push('Constant', [], new Map([['value', { kind: 'tensor', value: tensor }]]), '');
  }

  private push(
    op: string,
    inputs: readonly string[],
    attributes: ReadonlyMap<string, Attribute>,
    label: string,
  ): string {
    const output = `value ${++this.values}`;
    const name = label === '' ? output : label;
    this.nodes.push({ index: this.nodes.length, name, op, inputs, outputs: [output], attributes });
    return output;
  }
}

/** Attributes that are no integers, whatever their value. */
const FLOATS = new Set(['alpha', 'beta', 'epsilon', 'gamma']);

function attribute(key: string, value: AttributeValue): Attribute {
  if (typeof value === 'string') return { kind: 'string', value };
  if (typeof value !== 'number') return { kind: 'ints', value };
  return FLOATS.has(key) ? { kind: 'float', value } : { kind: 'int', value };
}
