import { GraphBuilder } from '../../server/src/graph/builder';
import type { AnyNode, ConvAttributes } from '../../server/src/graph/ir';
import type { Model, Parameter, PrunableLayer } from '../../server/src/graph/model';
import { elementCount } from '../../server/src/graph/shapes';
import { testRandom } from '../reference/cases';

/** Builds networks with He-uniform random weights and the parameter names of PyTorch's modules. */
export class NetworkBuilder {
  readonly builder = new GraphBuilder();
  readonly input: AnyNode;
  private readonly random: () => number;
  private readonly parameters = new Map<string, Parameter>();
  private readonly layers: PrunableLayer[] = [];

  /** @param image height and width */
  constructor(batch: number, image: number, seed: number) {
    this.random = testRandom(seed);
    this.input = this.builder.input('input', [batch, 3, image, image]);
  }

  uniform(name: string, shape: number[], low: number, high: number): AnyNode {
    const value = Float32Array.from({ length: elementCount(shape) }, () => low + (high - low) * this.random());
    this.parameters.set(name, { name, shape, value });
    return this.builder.parameter(name, shape);
  }

  /** Padded by half the kernel. */
  conv(x: AnyNode, name: string, outputs: number, kernel: number, stride: number): AnyNode {
    const shape = [outputs, x.shape[1]!, kernel, kernel];
    const bound = Math.sqrt(6 / (x.shape[1]! * kernel * kernel));
    const w = this.uniform(`${name}.weight`, shape, -bound, bound);
    this.layers.push({ name: `${name}.weight`, op: 'Conv', shape });
    const pad = (kernel - 1) / 2;
    const attributes: ConvAttributes = {
      strides: [stride, stride],
      dilations: [1, 1],
      pads: [pad, pad, pad, pad],
      group: 1,
    };
    return this.builder.conv(x, w, attributes);
  }

  /** Evaluation-mode batch normalisation. */
  norm(x: AnyNode, name: string): AnyNode {
    const b = this.builder;
    const channels = [1, x.shape[1]!, 1, 1];
    const read = (part: string, low: number, high: number): AnyNode =>
      b.reshape(this.uniform(`${name}.${part}`, [x.shape[1]!], low, high), channels);
    const [gamma, beta] = [read('weight', 0.5, 1), read('bias', -0.1, 0.1)];
    const [mean, variance] = [read('running_mean', -0.1, 0.1), read('running_var', 0.8, 1.2)];
    const scale = b.div(gamma, b.sqrt(b.add(variance, b.scalar(1e-5))));
    return b.add(b.mul(x, scale), b.sub(beta, b.mul(mean, scale)));
  }

  pool(x: AnyNode, kernel: number, stride: number, pad: number): AnyNode {
    const square = (size: number): number[] => [size, size];
    return this.builder.maxPool(x, {
      kernel: square(kernel),
      strides: square(stride),
      dilations: [1, 1],
      pads: [pad, pad, pad, pad],
      ceil: false,
    });
  }

  /** Mean over the image: [N, C]. */
  mean(x: AnyNode): AnyNode {
    const pixels = elementCount(x.shape.slice(2));
    return this.builder.mul(this.builder.reduceSum(x, [2, 3], false), this.builder.scalar(1 / pixels));
  }

  linear(x: AnyNode, name: string, outputs: number): AnyNode {
    const inputs = x.shape[1]!;
    const bound = 1 / Math.sqrt(inputs);
    const w = this.uniform(`${name}.weight`, [outputs, inputs], -bound, bound);
    this.layers.push({ name: `${name}.weight`, op: 'Gemm', shape: [outputs, inputs] });
    const product = this.builder.matmul(x, w, false, true);
    return this.builder.add(product, this.uniform(`${name}.bias`, [outputs], -bound, bound));
  }

  model(source: string, logits: AnyNode): Model {
    const { builder, parameters, layers } = this;
    return { source, builder, input: this.input as Model['input'], logits, parameters, layers };
  }
}
