import { basename } from 'node:path';
import { InputError } from '../../errors';
import type { AnyNode, Shape } from '../../graph/ir';
import type { GraphBuilder } from '../../graph/builder';
import type { Normalization } from '../../graph/model';
import { formatShape } from '../../graph/shapes';
import { isFloat, type ElementType, type KnownTensor } from '../elements';
import type { Attribute, OnnxNode, Subgraph } from './reader';
import type { StoredTensor } from './tensor';
import type { Value } from './value';

/** Entries of a table along an axis, or of a kernel, at most: no network that is looked at has more. */
const LARGEST_TABLE = 2 ** 22;

/** `node 12 "name", model.onnx` */
export function nodePlace(node: OnnxNode, path: string): string {
  return `node ${node.index}${node.name === '' ? '' : ` ${JSON.stringify(node.name)}`}, ${basename(path)}`;
}

/** A batch size that is bound to another one than the file was exported with. */
export interface Rebatch {
  readonly from: number;
  readonly to: number;
}

/** An ONNX node with its inputs at hand, as the operator rules see it. */
export class NodeView {
  constructor(
    readonly node: OnnxNode,
    readonly opset: number,
    readonly path: string,
    readonly builder: GraphBuilder,
    /** Undefined where an optional input is omitted. */
    readonly inputs: readonly (Value | undefined)[],
    /** Whether output `i` is used by anything. */
    readonly isUsed: (output: number) => boolean,
    readonly rebatch: Rebatch | null,
    /** A tensor of the file under the name by which the graph knows it. */
    readonly stored: (tensor: StoredTensor, name: string) => Value,
    /** Values of the outputs of a graph in the node. */
    readonly run: (graph: Subgraph) => Value[],
    /** Collects the batch normalisations of a network in training; null in evaluation. */
    readonly normalizations: Normalization[] | null = null,
  ) {}

  /** An error that names operator, node and file; `next` is what the user can do. */
  error(problem: string, next = 'export the network again without it'): InputError {
    return new InputError(`${this.node.op}: ${problem} (${nodePlace(this.node, this.path)}); ${next}`);
  }

  /** `count`, where a table with so many entries may be made: sizes are the word of the file. */
  tableSize(count: number, what: string): number {
    if (count <= LARGEST_TABLE) return count;
    throw this.error(`${what} of ${count}`, 'export the network for smaller inputs');
  }

  has(index: number): boolean {
    return this.inputs[index] !== undefined;
  }

  value(index: number): Value {
    const value = this.inputs[index];
    if (value === undefined) throw this.error(`input ${index} missing`, 'the file is damaged, export it again');
    return value;
  }

  shape(index: number): Shape {
    return this.value(index).shape;
  }

  /** Input `index` in the graph; float, unless `mask` allows zeros and ones. */
  x(index: number, mask = false): AnyNode {
    const value = this.value(index);
    if (value.isNode && (isFloat(value.type) || (mask && value.type === 'bool'))) return value.node();
    throw this.error(`${value.type} input ${index} not supported where data flow; only float tensors are`);
  }

  /** Input `index` when its values do not depend on data. */
  known(index: number): KnownTensor {
    const value = this.value(index);
    if (!value.isKnown) {
      throw this.error(`input ${index} depends on data`, 'only values fixed in the file can be used there');
    }
    return value.tensor();
  }

  knownNumbers(index: number): number[] {
    return Array.from(this.known(index).values);
  }

  /** Integers of an attribute before opset `since`, of input `index` from then on; undefined when absent. */
  axesOrInput(name: string, index: number, since: number): number[] | undefined {
    if (this.opset < since) return this.optionalInts(name);
    return this.has(index) ? this.knownNumbers(index) : undefined;
  }

  int(name: string, otherwise: number): number {
    return this.attribute(name, 'int')?.value ?? otherwise;
  }

  /** A required integer. */
  requiredInt(name: string): number {
    const attribute = this.attribute(name, 'int');
    if (attribute === undefined) throw this.missing(name);
    return attribute.value;
  }

  float(name: string, otherwise: number): number {
    return this.attribute(name, 'float')?.value ?? otherwise;
  }

  optionalFloat(name: string): number | undefined {
    return this.attribute(name, 'float')?.value;
  }

  string(name: string, otherwise: string): string {
    return this.attribute(name, 'string')?.value ?? otherwise;
  }

  optionalInts(name: string): number[] | undefined {
    const attribute = this.attribute(name, 'ints');
    return attribute === undefined ? undefined : [...attribute.value];
  }

  ints(name: string): number[] {
    const value = this.optionalInts(name);
    if (value === undefined) throw this.missing(name);
    return value;
  }

  optionalFloats(name: string): number[] | undefined {
    const attribute = this.attribute(name, 'floats');
    return attribute === undefined ? undefined : [...attribute.value];
  }

  optionalTensor(name: string): StoredTensor | undefined {
    return this.attribute(name, 'tensor')?.value;
  }

  subgraph(name: string): Subgraph {
    const attribute = this.attribute(name, 'graph');
    if (attribute === undefined) throw this.missing(name);
    return attribute.value;
  }

  /** A non-negative axis of a tensor of `rank`. */
  axis(axis: number, rank: number): number {
    const result = axis < 0 ? axis + rank : axis;
    if (!(result >= 0 && result < rank)) throw this.error(`axis ${axis} of a tensor of rank ${rank}`, DAMAGED);
    return result;
  }

  /** Non-negative, distinct axes in the given order. */
  axes(axes: readonly number[], rank: number): number[] {
    const result = axes.map((axis) => this.axis(axis, rank));
    if (new Set(result).size !== result.length) throw this.error(`repeated axis in ${formatShape(axes)}`, DAMAGED);
    return result;
  }

  /** Element type of input `index`. */
  type(index: number): ElementType {
    return this.value(index).type;
  }

  private missing(name: string): InputError {
    return this.error(`attribute ${name} missing`, DAMAGED);
  }

  private attribute<K extends Attribute['kind']>(name: string, kind: K): Extract<Attribute, { kind: K }> | undefined;
  private attribute(name: string, kind: Attribute['kind']): Attribute | undefined {
    const attribute = this.node.attributes.get(name);
    if (attribute !== undefined && attribute.kind !== kind) {
      throw this.error(`attribute ${name} is of kind ${attribute.kind}, not ${kind}`, DAMAGED);
    }
    return attribute;
  }
}

export const DAMAGED = 'the file is damaged, export it again';
