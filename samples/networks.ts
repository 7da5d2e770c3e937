import { GraphBuilder } from '../server/src/graph/builder';
import type { AnyNode, GraphNode } from '../server/src/graph/ir';
import type { Model, Parameter, PrunableLayer } from '../server/src/graph/model';
import { elementCount } from '../server/src/graph/shapes';
import { Random } from '../server/src/random';

/**
 * Small networks with fresh weights, to be trained for the demonstration and
 * for tests. Weights are He-uniform (He, Zhang, Ren & Sun 2015), U(−b, b) with
 * b = √(6/fan-in), each tensor from its own stream of the seed; biases are 0.
 */

/** Input `image` [batch, channels, height, width]. */
export interface ConvolutionalShape {
  readonly image: readonly [channels: number, height: number, width: number];
  /** Outputs of the 3×3 convolutions, each followed by ReLU and 2×2 max pooling. */
  readonly convolutions: readonly number[];
  /** Outputs of the fully connected layers, the last of them the classes. */
  readonly linear: readonly number[];
}

/** Convolutions `conv1`, `conv2`, …, then fully connected layers `fc1`, `fc2`, …, ReLU between. */
export function convolutional(batch: number, shape: ConvolutionalShape, seed: number): Model {
  const network = new Network(batch, shape.image, seed);
  for (const outputs of shape.convolutions) network.convolution(outputs).relu().pool();
  network.flatten();
  shape.linear.forEach((outputs, i) => (i === 0 ? network : network.relu()).linear(outputs));
  return network.model('convolutional network');
}

/** Fully connected layers `fc1`, `fc2`, … with ReLU between, from sizes[0] inputs to the classes, the last size. */
export function fullyConnected(batch: number, sizes: readonly number[], seed: number): Model {
  const network = new Network(batch, sizes.slice(0, 1), seed);
  sizes.slice(1).forEach((outputs, i) => (i === 0 ? network : network.relu()).linear(outputs));
  return network.model('fully connected network');
}

/** A network under construction: every method appends a layer. */
class Network {
  private readonly builder = new GraphBuilder();
  private readonly parameters = new Map<string, Parameter>();
  private readonly layers: PrunableLayer[] = [];
  private readonly input: GraphNode<'input'>;
  private x: AnyNode;

  constructor(
    private readonly batch: number,
    sample: readonly number[],
    private readonly seed: number,
  ) {
    this.input = this.builder.input('input', [batch, ...sample]);
    this.x = this.input;
  }

  /** 3×3, stride 1, as large as its input. */
  convolution(outputs: number): this {
    const name = this.nextName('conv', 'Conv');
    const weight = this.weight(`${name}.weight`, 'Conv', [outputs, this.x.shape[1]!, 3, 3]);
    const bias = this.builder.reshape(this.zeros(`${name}.bias`, outputs), [1, outputs, 1, 1]);
    const attributes = { strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1], group: 1 };
    this.x = this.builder.add(this.builder.conv(this.x, weight, attributes), bias);
    return this;
  }

  linear(outputs: number): this {
    const name = this.nextName('fc', 'Gemm');
    const weight = this.weight(`${name}.weight`, 'Gemm', [outputs, this.x.shape[1]!]);
    this.x = this.builder.add(this.builder.matmul(this.x, weight, false, true), this.zeros(`${name}.bias`, outputs));
    return this;
  }

  relu(): this {
    this.x = this.builder.relu(this.x);
    return this;
  }

  /** Maxima of 2×2. */
  pool(): this {
    const attributes = { kernel: [2, 2], strides: [2, 2], dilations: [1, 1], pads: [0, 0, 0, 0], ceil: false };
    this.x = this.builder.maxPool(this.x, attributes);
    return this;
  }

  flatten(): this {
    this.x = this.builder.reshape(this.x, [this.batch, elementCount(this.x.shape.slice(1))]);
    return this;
  }

  model(source: string): Model {
    const { builder, input, x: logits, parameters, layers } = this;
    return { source, builder, input, logits, parameters, layers };
  }

  private nextName(kind: string, op: PrunableLayer['op']): string {
    return `${kind}${this.layers.filter((layer) => layer.op === op).length + 1}`;
  }

  private weight(name: string, op: PrunableLayer['op'], shape: readonly number[]): AnyNode {
    const bound = Math.sqrt(6 / elementCount(shape.slice(1)));
    const random = Random.stream(this.seed, name);
    const value = Float32Array.from({ length: elementCount(shape) }, () => bound * (2 * random.uniform() - 1));
    this.layers.push({ name, op, shape });
    this.parameters.set(name, { name, shape, value });
    return this.builder.parameter(name, shape);
  }

  private zeros(name: string, length: number): AnyNode {
    this.parameters.set(name, { name, shape: [length], value: new Float32Array(length) });
    return this.builder.parameter(name, [length]);
  }
}
