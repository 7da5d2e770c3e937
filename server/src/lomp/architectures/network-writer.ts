import { OnnxWriter } from '../../engine/onnx/writer';
import type { Shape } from '../../graph/ir';
import { elementCount } from '../../graph/shapes';
import { Random } from '../../random';

/**
 * Writes a network with fresh weights as an ONNX file, layer by layer. Each
 * tensor is drawn from its own stream of the seed.
 *
 * Convolutions and products are drawn as PyTorch's layers are: weights and
 * biases U(−b, b) with b = 1/√fan-in; `kaiming` networks draw weights from
 * N(0, 2/fan-in) instead (He, Zhang, Ren & Sun 2015). Normalisations begin
 * with scale 1, shift 0 and the statistics of a standard normal.
 */
export class NetworkWriter {
  private readonly writer: OnnxWriter;
  private value: string;
  /** Shape of one sample. */
  private shape: Shape;

  constructor(
    private readonly sample: Shape,
    private readonly seed: number,
    private readonly kaiming = false,
  ) {
    this.writer = new OnnxWriter(['input', 'logits'], 'batch');
    this.value = this.writer.input('input', [1, ...sample]);
    this.shape = sample;
  }

  /** A square kernel; without a bias where a normalisation follows. */
  conv(name: string, outputs: number, kernel: number, { stride = 1, pad = 0, bias = true } = {}): this {
    const [inputs, height, width] = this.shape as [number, number, number];
    const fan = inputs * kernel * kernel;
    const weight = this.weight(`${name}.weight`, [outputs, inputs, kernel, kernel], fan);
    const rest = bias ? [this.uniform(`${name}.bias`, [outputs], fan)] : [];
    this.node(name, 'Conv', [weight, ...rest], {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
    });
    const size = (extent: number): number => Math.floor((extent + 2 * pad - kernel) / stride) + 1;
    this.shape = [outputs, size(height), size(width)];
    return this;
  }

  norm(name: string): this {
    const channels = this.shape[0]!;
    const constant = (part: string, value: number): string =>
      this.writer.floats(new Float32Array(channels).fill(value), [channels], `${name}.${part}`);
    const statistics = [constant('running_mean', 0), constant('running_var', 1)];
    return this.node(name, 'BatchNormalization', [constant('weight', 1), constant('bias', 0), ...statistics], {
      epsilon: { float: 1e-5 },
      momentum: { float: 0.9 },
    });
  }

  linear(name: string, outputs: number): this {
    const inputs = this.shape[0]!;
    const weight = this.weight(`${name}.weight`, [outputs, inputs], inputs);
    this.node(name, 'Gemm', [weight, this.uniform(`${name}.bias`, [outputs], inputs)], { transB: 1 });
    this.shape = [outputs];
    return this;
  }

  relu(): this {
    return this.node('', 'Relu');
  }

  /** Maxima of windows, without padding. */
  maxPool(kernel: number, stride = kernel): this {
    const [channels, height, width] = this.shape as [number, number, number];
    this.node('', 'MaxPool', [], { kernel_shape: [kernel, kernel], strides: [stride, stride] });
    const size = (extent: number): number => Math.floor((extent - kernel) / stride) + 1;
    this.shape = [channels, size(height), size(width)];
    return this;
  }

  /** Mean over all pixels. */
  globalPool(): this {
    this.node('', 'GlobalAveragePool');
    this.shape = [this.shape[0]!, 1, 1];
    return this;
  }

  flatten(): this {
    if (this.shape.length > 1) this.node('', 'Flatten', [], { axis: 1 });
    this.shape = [elementCount(this.shape)];
    return this;
  }

  /** `branch` beside `shortcut`, both from here, and their sum. */
  sum(branch: (network: this) => void, shortcut: (network: this) => void): this {
    const { value, shape } = this;
    branch(this);
    const { value: left, shape: result } = this;
    this.value = value;
    this.shape = shape;
    shortcut(this);
    this.value = this.writer.node('Add', [left, this.value]);
    this.shape = result;
    return this;
  }

  /** Every other pixel of every other row, and channels of zeros on both sides up to `channels`. */
  subsample(channels: number): this {
    const [inputs, height, width] = this.shape as [number, number, number];
    const { writer } = this;
    const ends = [height, width];
    this.node('', 'Slice', [writer.ints([0, 0]), writer.ints(ends), writer.ints([2, 3]), writer.ints([2, 2])]);
    const before = Math.floor((channels - inputs) / 2);
    this.node('', 'Pad', [writer.ints([0, before, 0, 0, 0, channels - inputs - before, 0, 0])]);
    this.shape = [channels, Math.ceil(height / 2), Math.ceil(width / 2)];
    return this;
  }

  get channels(): number {
    return this.shape[0]!;
  }

  get sampleShape(): Shape {
    return this.sample;
  }

  /** The file; what was written last are the logits. */
  encode(): Uint8Array {
    this.writer.output('logits', this.value, [1, ...this.shape]);
    return this.writer.encode();
  }

  private node(
    scope: string,
    op: string,
    inputs: readonly string[] = [],
    attributes: Parameters<OnnxWriter['node']>[2] = {},
  ): this {
    this.writer.scope = scope;
    this.value = this.writer.node(op, [this.value, ...inputs], attributes);
    return this;
  }

  private weight(name: string, shape: Shape, fan: number): string {
    if (!this.kaiming) return this.uniform(name, shape, fan);
    const random = Random.stream(this.seed, name);
    const deviation = Math.sqrt(2 / fan);
    const values = Float32Array.from({ length: elementCount(shape) }, () => deviation * random.gaussian());
    return this.writer.floats(values, shape, name);
  }

  private uniform(name: string, shape: Shape, fan: number): string {
    const random = Random.stream(this.seed, name);
    const bound = 1 / Math.sqrt(fan);
    const values = Float32Array.from({ length: elementCount(shape) }, () => bound * (2 * random.uniform() - 1));
    return this.writer.floats(values, shape, name);
  }
}
