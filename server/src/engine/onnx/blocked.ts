import type { AnyNode, GraphNode, OpType, Shape } from '../../graph/ir';
import { elementCount, sameShape } from '../../graph/shapes';
import { BlockedConvolutions, NCHWC, type ConvolutionNode } from './blocked-convolution';
import { BlockedWeightGradients, type WeightGradient } from './blocked-weight-gradient';
import type { OnnxWriter } from './writer';

/** A product or an affine map per channel that is not written yet, because what follows may go into the same node. */
interface Pending {
  /** Product: data and kernel. Affine: the value that is scaled. */
  readonly inputs: readonly string[];
  /** Of a product. */
  readonly attributes?: ConvolutionNode;
  /** Of a product's data. */
  readonly dataShape?: Shape;
  /** [1, C, 1, 1]; of an affine map, 1 when absent. */
  readonly scale?: string;
  /** [1, C, 1, 1]. */
  readonly shift?: string;
  /** Of the shape of the result; a product is written where it is added. */
  readonly sum?: string | Pending;
  readonly kind: 'product' | 'affine';
}

/** How an op is written whatever the order of its elements. */
type Elementwise = (node: AnyNode, inputs: readonly string[]) => string;

const UNARY: ReadonlySet<OpType> = new Set([
  'neg',
  'exp',
  'log',
  'sqrt',
  'reciprocal',
  'tanh',
  'sigmoid',
  'erf',
  'relu',
  'abs',
  'sign',
  'step',
]);

/**
 * Values in onnxruntime's blocked layout: [N, C, H, W] as [N, C/b, H, W, b],
 * with b channels side by side as wide as a vector register. Its convolution
 * is twice as fast as the one that takes plain images; onnxruntime itself uses
 * it for constant kernels alone, and goes back to plain images for whatever it
 * has no such op for.
 *
 * A value stays blocked from one convolution to the next: element-wise ops do
 * not care. What varies with the channel alone (biases, the scale and shift of
 * a normalisation) is a depthwise convolution of one pixel, which adds another
 * value and rectifies in the same pass over memory.
 */
export class BlockedLayout {
  private readonly values = new Map<AnyNode, string>();
  private readonly pending = new Map<AnyNode, Pending>();
  private readonly weights = new Map<AnyNode, WeightGradient>();
  private readonly convolutions: BlockedConvolutions;
  private readonly gradients: BlockedWeightGradients;

  /**
   * @param block channels in a block
   * @param threads that share the work
   * @param uses how often each node is used
   * @param plain the name of a value that is not blocked
   */
  constructor(
    private readonly writer: OnnxWriter,
    private readonly block: number,
    threads: number,
    private readonly uses: ReadonlyMap<AnyNode, number>,
    private readonly plain: (node: AnyNode) => string,
    private readonly elementwise: Elementwise,
  ) {
    this.convolutions = new BlockedConvolutions(writer, block);
    this.gradients = new BlockedWeightGradients(writer, block, threads);
  }

  /** Whether the value is here. */
  holds(node: AnyNode): boolean {
    return this.values.has(node) || this.pending.has(node);
  }

  /** Its name as a plain image, or as plain weights. */
  unblocked(node: AnyNode): string {
    const gradient = this.weights.get(node);
    if (gradient !== undefined) return this.gradients.write(gradient);
    return this.writer.node('ReorderOutput', [this.value(node)], { channels: node.shape[1]! }, NCHWC);
  }

  /**
   * Writes the node, or remembers it.
   *
   * @returns false where it is none of this class's business, the name where its result is not blocked
   */
  add(node: AnyNode): boolean | string {
    if (UNARY.has(node.op)) return this.addUnary(node);
    switch (node.op) {
      case 'conv':
        return this.addConv(node);
      case 'convInputGrad':
        return this.addInputGrad(node);
      case 'convWeightGrad':
        return this.addWeightGrad(node);
      case 'add':
      case 'sub':
      case 'mul':
      case 'div':
        return this.addBinary(node);
      case 'reduceSum':
        return this.addSum(node);
      case 'slice':
        return this.addSlice(node);
      case 'embed':
        return this.addEmbed(node);
      case 'standardize':
        return this.addStandardize(node);
      case 'standardizeGrad':
        return this.addStandardizeGrad(node);
      case 'variance':
        return this.holds(node.inputs[0]!) && this.moments(node.inputs[0]!).variance;
      default:
        return false;
    }
  }

  private fits({ shape }: AnyNode): boolean {
    return shape.length === 4 && shape[1]! % this.block === 0 && elementCount(shape) > 0;
  }

  /** Its name as a blocked value. */
  private value(node: AnyNode): string {
    let name = this.values.get(node);
    if (name === undefined) {
      const pending = this.pending.get(node);
      name =
        pending === undefined
          ? this.writer.node('ReorderInput', [this.plain(node)], {}, NCHWC)
          : this.write(pending, node.shape);
      this.keep(node, name);
    }
    return name;
  }

  private keep(node: AnyNode, name: string): true {
    this.pending.delete(node);
    this.values.set(node, name);
    return true;
  }

  /** An affine map may be written once per use, a product may not. */
  private wait(node: AnyNode, pending: Pending): true {
    this.pending.set(node, pending);
    if ((pending.kind === 'product' || pending.sum !== undefined) && this.uses.get(node) !== 1) this.value(node);
    return true;
  }

  private write(
    { inputs, attributes, dataShape, scale, shift, sum, kind }: Pending,
    shape: Shape,
    relu = false,
  ): string {
    const { writer } = this;
    const channels = shape[1]!;
    const all = [...inputs];
    if (kind === 'affine') {
      const factor = scale ?? writer.scalar(1);
      all.push(
        scale === undefined
          ? writer.node('Expand', [factor, writer.ints([channels, 1, 1, 1])])
          : writer.node('Reshape', [factor, writer.ints([channels, 1, 1, 1])]),
      );
    }
    if (shift !== undefined || sum !== undefined) {
      all.push(shift === undefined ? '' : writer.node('Reshape', [shift, writer.ints([channels])]));
    }
    if (sum !== undefined) all.push(typeof sum === 'string' ? sum : this.write(sum, shape));
    if (kind === 'product') {
      const narrow = this.convolutions.sideBySide(all, dataShape!, attributes!, shape, relu);
      if (narrow !== undefined) return narrow;
    }
    const own = kind === 'affine' ? { kernel_shape: [1, 1], group: channels } : attributes;
    return writer.node('Conv', all, { ...own, ...(relu && { activation: 'Relu' }) }, NCHWC);
  }

  private addConv(node: GraphNode<'conv'>): boolean {
    const [x, w] = node.inputs as readonly [AnyNode, AnyNode];
    if (!this.fits(node as AnyNode) || node.attributes.group !== 1) return false;
    // Images of fewer channels than a block are taken as they are.
    if (!this.fits(x) && x.shape[1]! >= this.block) return false;
    const kernel = this.fits(x)
      ? this.convolutions.kernel(this.plain(w), w.shape)
      : this.convolutions.outerKernel(this.plain(w), w.shape);
    const inputs = [this.fits(x) ? this.value(x) : this.plain(x), kernel];
    const { strides, dilations, pads } = node.attributes;
    const attributes = { kernel_shape: w.shape.slice(2), strides, dilations, pads, group: 1 } as const;
    return this.wait(node as AnyNode, { kind: 'product', inputs, attributes, dataShape: x.shape });
  }

  private addInputGrad(node: GraphNode<'convInputGrad'>): boolean {
    const [g, w] = node.inputs as readonly [AnyNode, AnyNode];
    if (!this.fits(node as AnyNode) || !this.fits(g) || node.attributes.group !== 1) return false;
    const [phases, steps] = this.convolutions.phases(node);
    if (phases === undefined) return false;
    const kernel = phases.length > 0 ? this.plain(w) : '';
    const data = phases.length > 0 ? this.value(g) : '';
    if (steps.every((step) => step === 1)) {
      const [phase] = phases;
      const inputs = [data, this.convolutions.adjointKernel(kernel, w.shape, phase!.taps)];
      const kernel_shape = phase!.taps.map(({ length }) => length);
      const { strides, dilations } = node.attributes;
      const attributes = { kernel_shape, strides, dilations, pads: phase!.pads, group: 1 } as const;
      return this.wait(node as AnyNode, { kind: 'product', inputs, attributes, dataShape: g.shape });
    }
    return this.keep(node as AnyNode, this.convolutions.interleaved(data, kernel, w.shape, phases, steps, node.shape));
  }

  private addWeightGrad(node: GraphNode<'convWeightGrad'>): boolean {
    const [x, g] = node.inputs as readonly [AnyNode, AnyNode];
    if (!this.fits(g) || x.shape[0]! % this.block !== 0 || node.attributes.group !== 1) return false;
    const blocked = this.fits(x);
    const data = blocked ? this.value(x) : this.plain(x);
    const gradient = this.gradients.prepare(data, x.shape, blocked, this.value(g), g.shape, node.attributes);
    if (gradient === undefined) return false;
    this.weights.set(node as AnyNode, gradient);
    return true;
  }

  /** Two weight gradients, one added where the other is written. */
  private addWeights(node: AnyNode, x: AnyNode, y: AnyNode): boolean {
    const [first, second] = [this.weights.get(x), this.weights.get(y)];
    if (first === undefined || second === undefined || first.sum !== undefined) return false;
    if ([x, y].some((part) => this.uses.get(part) !== 1) || !BlockedWeightGradients.areAlike(first, second))
      return false;
    this.weights.set(node, { ...first, sum: second });
    return true;
  }

  private addUnary(node: AnyNode): boolean {
    const [x] = node.inputs as readonly [AnyNode];
    if (!this.holds(x)) return false;
    const pending = this.pending.get(x);
    if (node.op === 'relu' && pending !== undefined) return this.keep(node, this.write(pending, x.shape, true));
    if (node.op === 'neg' && pending?.kind === 'affine' && pending.sum === undefined) {
      return this.wait(node, this.scaled(x, this.writer.node('Neg', [this.unit(x)])));
    }
    return this.keep(node, this.elementwise(node, [this.value(x)]));
  }

  private addBinary(node: GraphNode<'add' | 'sub' | 'mul' | 'div'>): boolean {
    const [x, y] = node.inputs as readonly [AnyNode, AnyNode];
    if (node.op === 'add' && this.addWeights(node as AnyNode, x, y)) return true;
    if (!this.fits(node as AnyNode) || !(this.holds(x) || this.holds(y))) return false;
    if (sameShape(x.shape, y.shape)) return this.addSame(node as AnyNode, x, y);
    if (this.isPerChannel(y, node.shape) && sameShape(x.shape, node.shape)) {
      return this.addPerChannel(node as AnyNode, x, this.vector(y));
    }
    if ((node.op === 'add' || node.op === 'mul') && this.isPerChannel(x, node.shape)) {
      return this.addPerChannel(node as AnyNode, y, this.vector(x));
    }
    if (![x, y].every((part) => elementCount(part.shape) === 1 || sameShape(part.shape, node.shape))) return false;
    const names = [x, y].map((part) => (elementCount(part.shape) === 1 ? this.plain(part) : this.value(part)));
    return this.keep(node as AnyNode, this.elementwise(node as AnyNode, names));
  }

  /** Two values of one shape. */
  private addSame(node: AnyNode, x: AnyNode, y: AnyNode): boolean {
    if (node.op === 'add') {
      for (const [first, second] of [
        [x, y],
        [y, x],
      ] as const) {
        const pending = this.pending.get(first);
        if (pending === undefined || !isOpen(pending) || first === second) continue;
        const other = this.pending.get(second);
        const joins = other?.kind === 'product';
        const sum = joins ? other : this.value(second);
        if (joins) this.pending.delete(second);
        if (pending.kind === 'product') this.pending.delete(first);
        return this.wait(node, withSum(pending, sum));
      }
    }
    if (node.op === 'mul') {
      const [left, right] = [this.factored(x), this.factored(y)];
      const scale = [left.scale, right.scale].filter((name) => name !== undefined);
      if (scale.length > 0) {
        const base = this.writer.node('Mul', [left.base, right.base]);
        const product = scale.length === 1 ? scale[0]! : this.writer.node('Mul', scale);
        return this.wait(node, { kind: 'affine', inputs: [base], scale: product });
      }
    }
    return this.keep(node, this.elementwise(node, [this.value(x), this.value(y)]));
  }

  /** Something that varies with the channel alone on the right, or on either side where that is the same. */
  private addPerChannel(node: AnyNode, x: AnyNode, vector: string): boolean {
    const { writer } = this;
    if (node.op === 'mul') return this.wait(node, this.scaled(x, vector));
    if (node.op === 'div') return this.wait(node, this.scaled(x, writer.node('Reciprocal', [vector])));
    const addend = node.op === 'sub' ? writer.node('Neg', [vector]) : vector;
    const pending = this.pending.get(x) ?? this.affine(x);
    const shift = pending.shift === undefined ? addend : writer.node('Add', [pending.shift, addend]);
    if (pending.kind === 'product') this.pending.delete(x);
    return this.wait(node, { ...pending, shift });
  }

  /** x times a vector, as an affine map. */
  private scaled(x: AnyNode, vector: string): Pending {
    const { writer } = this;
    const known = this.pending.get(x);
    const { inputs, scale, shift } = known?.kind === 'affine' && known.sum === undefined ? known : this.affine(x);
    return {
      kind: 'affine',
      inputs,
      scale: scale === undefined ? vector : writer.node('Mul', [scale, vector]),
      ...(shift !== undefined && { shift: writer.node('Mul', [shift, vector]) }),
    };
  }

  private affine(x: AnyNode): Pending {
    return { kind: 'affine', inputs: [this.value(x)] };
  }

  private unit(x: AnyNode): string {
    return this.writer.node('Expand', [this.writer.scalar(1), this.writer.ints([1, x.shape[1]!, 1, 1])]);
  }

  /** x as scale · base, without writing a map that only scales. */
  private factored(x: AnyNode): { base: string; scale?: string } {
    const pending = this.pending.get(x);
    if (pending?.kind !== 'affine' || pending.shift !== undefined || pending.sum !== undefined) {
      return { base: this.value(x) };
    }
    return { base: pending.inputs[0]!, ...(pending.scale !== undefined && { scale: pending.scale }) };
  }

  private isPerChannel({ shape }: AnyNode, whole: Shape): boolean {
    return elementCount(shape) === whole[1] && shape.length >= 3 && shape.at(-3) === whole[1];
  }

  private vector(node: AnyNode): string {
    return this.writer.node('Reshape', [this.plain(node), this.writer.ints([1, elementCount(node.shape), 1, 1])]);
  }

  /** Sums over all pixels, [N, C, 1, 1], or over samples too, [1, C, 1, 1]. */
  private addSum(node: GraphNode<'reduceSum'>): boolean | string {
    const [x] = node.inputs as readonly [AnyNode];
    const { axes } = node.attributes;
    if (!this.holds(x) || axes.includes(1)) return false;
    if ([2, 3].some((axis) => !axes.includes(axis) && x.shape[axis] !== 1)) return false;
    const { base, scale } = this.factored(x);
    const total = this.pixelSum(base, x.shape, axes.includes(0));
    return scale === undefined ? total : this.writer.node('Mul', [total, scale]);
  }

  private pixelSum(value: string, shape: Shape, overSamples: boolean): string {
    const { writer } = this;
    // An image of one pixel has the same order in both layouts.
    const means = writer.node('GlobalAveragePool', [value], {}, NCHWC);
    const sum = overSamples ? writer.node('ReduceSum', [means, writer.ints([0])], { keepdims: 1 }) : means;
    return writer.node('Mul', [sum, writer.scalar(shape[2]! * shape[3]!)]);
  }

  private channelMean(value: string, shape: Shape): string {
    const { writer } = this;
    const factor = writer.scalar(shape[1]! / elementCount(shape));
    return writer.node('Mul', [this.pixelSum(value, shape, true), factor]);
  }

  private moments(x: AnyNode): { centred: string; variance: string } {
    const { writer } = this;
    const value = this.value(x);
    const shift = writer.node('Neg', [this.channelMean(value, x.shape)]);
    const centred = this.write({ kind: 'affine', inputs: [value], shift }, x.shape);
    return { centred, variance: this.channelMean(writer.node('Mul', [centred, centred]), x.shape) };
  }

  private inverseDeviation(variance: string, epsilon: number): string {
    const { writer } = this;
    return writer.node('Reciprocal', [writer.node('Sqrt', [writer.node('Add', [variance, writer.scalar(epsilon)])])]);
  }

  private addStandardize(node: GraphNode<'standardize'>): boolean {
    const [x] = node.inputs as readonly [AnyNode];
    if (!this.holds(x)) return false;
    const { centred, variance } = this.moments(x);
    const scale = this.inverseDeviation(variance, node.attributes.epsilon);
    return this.wait(node as AnyNode, { kind: 'affine', inputs: [centred], scale });
  }

  /** s·(g − mean(g) − c·mean(g·c)/σ²)/σ for g scaled by s and c = x − mean(x): two maps, one added in the other. */
  private addStandardizeGrad(node: GraphNode<'standardizeGrad'>): boolean {
    const [x, g] = node.inputs as readonly [AnyNode, AnyNode];
    if (!this.holds(x)) return false;
    const { writer } = this;
    const { centred, variance } = this.moments(x);
    const inverse = this.inverseDeviation(variance, node.attributes.epsilon);
    const { base, scale } = this.factored(g);
    const factor = scale === undefined ? inverse : writer.node('Mul', [inverse, scale]);
    const covariance = this.channelMean(writer.node('Mul', [base, centred]), x.shape);
    const slope = writer.node('Mul', [covariance, writer.node('Mul', [inverse, inverse])]);
    const minus = writer.node('Neg', [factor]);
    const inner: Pending = {
      kind: 'affine',
      inputs: [centred],
      scale: writer.node('Mul', [minus, slope]),
      shift: writer.node('Mul', [minus, this.channelMean(base, x.shape)]),
    };
    const sum = this.write(inner, x.shape);
    return this.wait(node as AnyNode, { kind: 'affine', inputs: [base], scale: factor, sum });
  }

  /** Whole blocks of channels. */
  private addSlice(node: GraphNode<'slice'>): boolean {
    const [x] = node.inputs as readonly [AnyNode];
    const { starts, steps, shape } = node.attributes;
    if (!this.holds(x) || !this.fits(node as AnyNode) || starts[1]! % this.block !== 0 || steps[1] !== 1) return false;
    const { writer, block } = this;
    const begin = starts.map((start, axis) => (axis === 1 ? start / block : start));
    const size = shape.map((extent, axis) => (axis === 1 ? extent / block : extent));
    const end = begin.map((start, axis) => start + (size[axis]! - 1) * steps[axis]! + 1);
    const split = writer.node('Reshape', [this.value(x), writer.ints(this.split(x.shape))]);
    const axes = writer.ints([0, 1, 2, 3]);
    const part = writer.node('Slice', [split, writer.ints(begin), writer.ints(end), axes, writer.ints(steps)]);
    return this.keep(node as AnyNode, writer.node('Reshape', [part, writer.ints(shape)]));
  }

  /** Whole blocks of channels; pixels with equal steps from the first on, or one after the other. */
  private addEmbed(node: GraphNode<'embed'>): boolean {
    const [x] = node.inputs as readonly [AnyNode];
    const { starts, steps, shape } = node.attributes;
    const spatial = steps.slice(2);
    const spreads = spatial.some((step) => step > 1);
    // Zeros between single numbers take so long that it is worth a change of the layout.
    if (!this.holds(x) && !(spreads && this.fits(x))) return false;
    if (!this.fits(node as AnyNode) || starts[1]! % this.block !== 0 || steps[0] !== 1 || steps[1] !== 1) return false;
    if (spreads && [2, 3].some((axis) => starts[axis]! > 0)) return false;
    const { writer, block } = this;
    const spread = x.shape.map((size, axis) => size * steps[axis]!);
    const name = spreads
      ? this.convolutions.spread(this.value(x), x.shape, spatial as [number, number])
      : this.value(x);
    const before = starts.map((start, axis) => (axis === 1 ? start / block : start));
    const after = shape.map((size, axis) => {
      const rest = size - starts[axis]! - spread[axis]!;
      return axis === 1 ? rest / block : rest;
    });
    if (after.some((rest) => rest < 0)) return false;
    if ([...before, ...after].every((rest) => rest === 0)) return this.keep(node as AnyNode, name);
    const split = writer.node('Reshape', [name, writer.ints(this.split(spread))]);
    const padded = writer.node('Pad', [split, writer.ints([...before, 0, ...after, 0])]);
    return this.keep(node as AnyNode, writer.node('Reshape', [padded, writer.ints(shape)]));
  }

  private split([samples, channels, ...pixels]: Shape): number[] {
    return [samples!, channels! / this.block, ...pixels, this.block];
  }
}

/** Whether something can still be added. */
function isOpen({ sum }: Pending): boolean {
  return sum === undefined || (typeof sum !== 'string' && isOpen(sum));
}

function withSum(pending: Pending, addend: string | Pending): Pending {
  const { sum } = pending;
  return { ...pending, sum: sum === undefined ? addend : withSum(sum as Pending, addend) };
}
