import type { AnyNode, ConvAttributes, GraphNode, OpAttributes, OpType, PoolAttributes, Shape } from './ir';
import { broadcastShapes, elementCount, sameShape, shapeRules } from './shapes';

/**
 * Makes nodes. Equal nodes are made once (common subexpressions), identities
 * such as a reshape to the same shape are not made at all, and shapes are
 * checked here, so that a graph that exists is well formed.
 *
 * Every method throws `ShapeError` where its operands do not fit.
 */
export class GraphBuilder {
  private readonly known = new Map<string, AnyNode>();
  private readonly arrays = new Map<object, number>();
  private count = 0;
  private order: number | undefined;

  /**
   * Runs `make` so that the nodes it creates are executed beside `node` rather
   * than after everything made so far: a tangent computed where its primal is
   * lets both die early. `make` may use only what is known at `node`.
   */
  beside<T>(node: AnyNode, make: () => T): T {
    const outer = this.order;
    this.order = node.order;
    try {
      return make();
    } finally {
      this.order = outer;
    }
  }

  input(name: string, shape: Shape): GraphNode<'input'> {
    return this.make('input', [], { name }, shape) as GraphNode<'input'>;
  }

  parameter(name: string, shape: Shape): GraphNode<'parameter'> {
    return this.make('parameter', [], { name }, shape) as GraphNode<'parameter'>;
  }

  constant(value: Float32Array | Float64Array, shape: Shape): AnyNode {
    return this.make('constant', [], { value }, shape);
  }

  scalar(value: number): AnyNode {
    return this.make('constant', [], { value: Float64Array.of(value) }, []);
  }

  neg(x: AnyNode): AnyNode {
    return x.op === 'neg' ? x.inputs[0]! : this.make('neg', [x], {});
  }
  exp = (x: AnyNode): AnyNode => this.make('exp', [x], {});
  log = (x: AnyNode): AnyNode => this.make('log', [x], {});
  sqrt = (x: AnyNode): AnyNode => this.make('sqrt', [x], {});
  reciprocal = (x: AnyNode): AnyNode => this.make('reciprocal', [x], {});
  tanh = (x: AnyNode): AnyNode => this.make('tanh', [x], {});
  sigmoid = (x: AnyNode): AnyNode => this.make('sigmoid', [x], {});
  erf = (x: AnyNode): AnyNode => this.make('erf', [x], {});
  relu = (x: AnyNode): AnyNode => this.make('relu', [x], {});
  abs = (x: AnyNode): AnyNode => this.make('abs', [x], {});
  sign = (x: AnyNode): AnyNode => this.make('sign', [x], {});
  step = (x: AnyNode): AnyNode => this.make('step', [x], {});

  add(a: AnyNode, b: AnyNode): AnyNode {
    if (isScalar(a, 0) && absorbs(b, a)) return b;
    if (isScalar(b, 0) && absorbs(a, b)) return a;
    return this.make('add', [a, b], {});
  }
  sub(a: AnyNode, b: AnyNode): AnyNode {
    return isScalar(b, 0) && absorbs(a, b) ? a : this.make('sub', [a, b], {});
  }
  mul(a: AnyNode, b: AnyNode): AnyNode {
    if (isScalar(a, 1) && absorbs(b, a)) return b;
    if (isScalar(b, 1) && absorbs(a, b)) return a;
    return this.make('mul', [a, b], {});
  }
  div(a: AnyNode, b: AnyNode): AnyNode {
    return isScalar(b, 1) && absorbs(a, b) ? a : this.make('div', [a, b], {});
  }
  pow = (a: AnyNode, b: AnyNode): AnyNode => this.make('pow', [a, b], {});
  where = (mask: AnyNode, a: AnyNode, b: AnyNode): AnyNode => this.make('where', [mask, a, b], {});

  /** A batch of row vectors times one matrix is made a single product of matrices. */
  matmul(a: AnyNode, b: AnyNode, transposeA = false, transposeB = false): AnyNode {
    if (a.shape.length > 2 && b.shape.length === 2 && !transposeA) {
      const rows = a.shape.slice(0, -1);
      const flat = this.reshape(a, [elementCount(rows), a.shape.at(-1)!]);
      const product = this.matmul(flat, b, false, transposeB);
      return this.reshape(product, [...rows, product.shape[1]!]);
    }
    return this.make('matmul', [a, b], { transposeA, transposeB });
  }
  conv = (x: AnyNode, w: AnyNode, attributes: ConvAttributes): AnyNode =>
    this.make('conv', [x, w], convAttributes(attributes));
  convInputGrad = (g: AnyNode, w: AnyNode, attributes: ConvAttributes, inputShape: Shape): AnyNode =>
    this.make('convInputGrad', [g, w], { ...convAttributes(attributes), inputShape });
  convWeightGrad = (x: AnyNode, g: AnyNode, attributes: ConvAttributes, kernelShape: Shape): AnyNode =>
    this.make('convWeightGrad', [x, g], { ...convAttributes(attributes), kernelShape });

  reshape(x: AnyNode, shape: Shape): AnyNode {
    if (sameShape(x.shape, shape)) return x;
    return this.make('reshape', [x.op === 'reshape' ? x.inputs[0]! : x], { shape });
  }
  transpose(x: AnyNode, permutation: readonly number[]): AnyNode {
    if (x.op === 'transpose') {
      const inner = x.attributes.permutation;
      return this.transpose(
        x.inputs[0]!,
        permutation.map((axis) => inner[axis]!),
      );
    }
    return permutation.every((axis, i) => axis === i) && permutation.length === x.shape.length
      ? x
      : this.make('transpose', [x], { permutation });
  }
  expand(x: AnyNode, shape: Shape): AnyNode {
    return sameShape(x.shape, shape) ? x : this.make('expand', [x], { shape });
  }
  /** Axes may be negative; they are kept with size 1 unless `keep` is false. */
  reduceSum(x: AnyNode, axes: readonly number[], keep = true): AnyNode {
    const rank = x.shape.length;
    const sorted = [...new Set(axes.map((axis) => (axis < 0 ? axis + rank : axis)))].sort((a, b) => a - b);
    const real = sorted.filter((axis) => x.shape[axis] !== 1);
    const sum = real.length === 0 ? x : this.make('reduceSum', [x], { axes: real });
    return keep
      ? sum
      : this.reshape(
          sum,
          sum.shape.filter((_, axis) => !sorted.includes(axis)),
        );
  }
  slice(x: AnyNode, starts: readonly number[], steps: readonly number[], shape: Shape): AnyNode {
    return sameShape(x.shape, shape) ? x : this.make('slice', [x], { starts, steps, shape });
  }
  embed(x: AnyNode, starts: readonly number[], steps: readonly number[], shape: Shape): AnyNode {
    return sameShape(x.shape, shape) ? x : this.make('embed', [x], { starts, steps, shape });
  }
  concat(inputs: readonly AnyNode[], axis: number): AnyNode {
    return inputs.length === 1 ? inputs[0]! : this.make('concat', inputs, { axis });
  }
  gather = (x: AnyNode, axis: number, indices: Int32Array): AnyNode => this.make('gather', [x], { axis, indices });
  scatterAdd = (x: AnyNode, axis: number, indices: Int32Array, size: number): AnyNode =>
    this.make('scatterAdd', [x], { axis, indices, size });

  maxPool = (x: AnyNode, attributes: PoolAttributes): AnyNode => this.make('maxPool', [x], attributes);
  maxPoolGather = (x: AnyNode, t: AnyNode, attributes: PoolAttributes): AnyNode =>
    this.make('maxPoolGather', [x, t], attributes);
  maxPoolScatter = (x: AnyNode, g: AnyNode, attributes: PoolAttributes): AnyNode =>
    this.make('maxPoolScatter', [x, g], attributes);

  standardize = (x: AnyNode, epsilon: number): AnyNode => this.make('standardize', [x], { epsilon });
  standardizeGrad = (x: AnyNode, g: AnyNode, epsilon: number): AnyNode =>
    this.make('standardizeGrad', [x, g], { epsilon });
  variance = (x: AnyNode): AnyNode => this.make('variance', [x], {});
  /** Mean over all axes but the channels', [1, C, 1, …]. */
  channelMean(x: AnyNode): AnyNode {
    const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
    return this.mul(this.reduceSum(x, axes), this.scalar(x.shape[1]! / elementCount(x.shape)));
  }

  softmax = (x: AnyNode, axis: number): AnyNode =>
    this.make('softmax', [x], { axis: axis < 0 ? axis + x.shape.length : axis });
  logSoftmax = (x: AnyNode, axis: number): AnyNode =>
    this.make('logSoftmax', [x], { axis: axis < 0 ? axis + x.shape.length : axis });

  /** Adjoint of numpy broadcasting: sums `x` down to `shape`. */
  sumTo(x: AnyNode, shape: Shape): AnyNode {
    if (sameShape(x.shape, shape)) return x;
    const lead = x.shape.length - shape.length;
    const axes = x.shape.flatMap((size, axis) =>
      axis < lead || (shape[axis - lead] === 1 && size !== 1) ? [axis] : [],
    );
    return this.reshape(this.reduceSum(x, axes), shape);
  }

  /** A node of any op: for passes that rebuild a graph. Same checks, no identities. */
  make<T extends OpType>(
    op: T,
    inputs: readonly AnyNode[],
    attributes: OpAttributes[T],
    declared: Shape = [],
  ): AnyNode {
    const key = `${op}(${inputs.map((node) => node.id).join()})${this.attributeKey(attributes)}${declared.join()}`;
    const existing = this.known.get(key);
    if (existing !== undefined) {
      // Wanted earlier than it was made; its inputs are known there, since the caller named them.
      if (this.order !== undefined && this.order < existing.order) (existing as { order: number }).order = this.order;
      return existing;
    }
    const shape = shapeRules[op](
      inputs.map((node) => node.shape),
      attributes,
      declared,
    );
    const id = this.count++;
    const node = { id, order: this.order ?? id, op, inputs, attributes, shape } as unknown as AnyNode;
    this.known.set(key, node);
    return node;
  }

  private attributeKey(attributes: object): string {
    return Object.entries(attributes)
      .map(([name, value]) => `${name}:${this.valueKey(value)}`)
      .sort()
      .join(';');
  }

  /** Large arrays by identity: comparing weights by value would cost more than it saves. */
  private valueKey(value: unknown): string {
    if (!ArrayBuffer.isView(value)) return JSON.stringify(value);
    const array = value as Float32Array | Float64Array | Int32Array;
    if (array.length <= 64) return `${array.constructor.name}[${array.join()}]`;
    let id = this.arrays.get(array);
    if (id === undefined) this.arrays.set(array, (id = this.arrays.size));
    return `@${id}`;
  }
}

function convAttributes({ strides, dilations, pads, group }: ConvAttributes): ConvAttributes {
  return { strides, dilations, pads, group };
}

function isScalar(node: AnyNode, value: number): boolean {
  return node.op === 'constant' && elementCount(node.shape) === 1 && node.attributes.value[0] === value;
}

/** True when broadcasting `unit` against `x` leaves the shape of `x`. */
function absorbs(x: AnyNode, unit: AnyNode): boolean {
  return sameShape(broadcastShapes(x.shape, unit.shape), x.shape);
}
