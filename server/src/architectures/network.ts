import { NodeList, type AttributeValue } from '../checkpoint/onnx/nodes';
import type { OnnxNode } from '../checkpoint/onnx/reader';
import type { Shape } from '../graph/ir';
import { elementCount, formatShape, sameShape } from '../graph/shapes';

/**
 * The nodes of a network in ONNX's terms, written down layer by layer against
 * the names and shapes of a checkpoint's tensors. What does not fit is noted
 * and not thrown, so that two networks can be compared by how much does not.
 */

/** A value in the network: its name and its shape for one sample, without the batch. */
export interface Value {
  readonly name: string;
  readonly shape: Shape;
}

/** A part of a network: from a value to a value. `scope` is the path of its tensors in the checkpoint. */
export type Layer = (net: NetworkWriter, x: Value, scope: string) => Value;

export class NetworkWriter {
  private readonly list = new NodeList();
  /** What does not fit: one sentence each. */
  readonly problems: string[] = [];
  readonly used = new Set<string>();

  /**
   * @param shapes of the checkpoint's tensors, by name
   * @param sketch leaves the nodes out: to see what fits, there is no need of them
   */
  constructor(
    readonly shapes: ReadonlyMap<string, Shape>,
    private readonly sketch = false,
  ) {}

  has(name: string): boolean {
    return this.shapes.has(name);
  }

  /**
   * Shape of a tensor that the network needs; where it is missing, or not as
   * it must be, that is noted and the writing goes on with what is there.
   *
   * @param expected sizes, null where any will do
   * @param assumed sizes that take the place of null where the tensor is missing
   */
  tensor(name: string, expected: readonly (number | null)[], assumed: Shape): Shape {
    const shape = this.shapes.get(name);
    if (shape === undefined) {
      this.problems.push(`${name} is missing`);
      return assumed;
    }
    this.used.add(name);
    const fits = shape.length === expected.length && expected.every((size, i) => size === null || size === shape[i]);
    if (fits) return shape;
    const wanted = `[${expected.map((size) => size ?? 'any').join(', ')}]`;
    this.problems.push(`${name} is ${formatShape(shape)}, not ${wanted}`);
    return shape.length === expected.length ? shape : assumed;
  }

  note(problem: string): void {
    this.problems.push(problem);
  }

  /** Adds a node; its result has `shape` for one sample. */
  node(
    op: string,
    inputs: readonly string[],
    shape: Shape,
    attributes: Readonly<Record<string, AttributeValue>> = {},
    label = '',
  ): Value {
    return { name: this.sketch ? '' : this.list.add(op, inputs, attributes, label), shape };
  }

  get nodes(): readonly OnnxNode[] {
    return this.list.nodes;
  }

  integers(values: readonly number[]): string {
    return this.sketch ? '' : this.list.integers(values);
  }

  scalar(value: number): string {
    return this.sketch ? '' : this.list.scalar(value);
  }

  /** Adds two values of one shape. */
  add(a: Value, b: Value, scope: string): Value {
    if (!sameShape(a.shape, b.shape)) {
      this.note(`${scope === '' ? 'sum' : scope}: ${formatShape(a.shape)} and ${formatShape(b.shape)} cannot be added`);
    }
    return this.node('Add', [a.name, b.name], a.shape);
  }

  /** Values side by side along the channels. */
  concat(values: readonly Value[]): Value {
    const [first] = values;
    const channels = values.reduce((sum, { shape }) => sum + shape[0]!, 0);
    return this.node(
      'Concat',
      values.map(({ name }) => name),
      [channels, ...first!.shape.slice(1)],
      { axis: 1 },
    );
  }

  flatten(x: Value): Value {
    return x.shape.length === 1 ? x : this.node('Flatten', [x.name], [elementCount(x.shape)], { axis: 1 });
  }
}
