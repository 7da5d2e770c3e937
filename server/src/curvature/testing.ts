import { testRandom } from '../../../test/reference/cases';
import type { PreparedSamples } from '../dataset/dataset';
import { GraphBuilder } from '../graph/builder';
import type { Model, Parameter, PrunableLayer } from '../graph/model';
import { elementCount } from '../graph/shapes';

/** Seeded values in [−1, 1]. */
export function randomFloats(count: number, seed: number): Float32Array {
  const random = testRandom(seed);
  return Float32Array.from({ length: count }, () => 2 * random() - 1);
}

/** Seeded samples of `sampleShape` with labels below `classes`. */
export function randomSamples(
  count: number,
  sampleShape: readonly number[],
  classes: number,
  seed: number,
): PreparedSamples {
  const random = testRandom(seed + 1000);
  const labels = Int32Array.from({ length: count }, () => Math.floor(random() * classes));
  return { count, sampleShape, inputs: randomFloats(count * elementCount(sampleShape), seed), labels };
}

/** Collects a small model whose parameters are random. */
export class ModelMaker {
  readonly builder = new GraphBuilder();
  readonly parameters = new Map<string, Parameter>();
  readonly layers: PrunableLayer[] = [];

  /** A stored tensor; one with an `op` is prunable. */
  parameter(name: string, shape: readonly number[], op?: PrunableLayer['op']) {
    this.parameters.set(name, { name, shape, value: randomFloats(elementCount(shape), this.parameters.size + 1) });
    if (op !== undefined) this.layers.push({ name, op, shape });
    return this.builder.parameter(name, shape);
  }

  model(input: Model['input'], logits: Model['logits']): Model {
    return {
      source: 'made by hand',
      builder: this.builder,
      input,
      logits,
      parameters: this.parameters,
      layers: this.layers,
    };
  }
}

/** logits = x·W + b: the network whose Hessian and Gauss–Newton matrix are one, in closed form. */
export function softmaxRegression(batch: number, features: number, classes: number): Model {
  const maker = new ModelMaker();
  const input = maker.builder.input('x', [batch, features]);
  const product = maker.builder.matmul(input, maker.parameter('w', [features, classes], 'MatMul'));
  return maker.model(input, maker.builder.add(product, maker.parameter('b', [classes])));
}

/** Convolution, tanh, flatten, linear: two layers whose product of curvatures mixes them. */
export function smallConvNet(batch: number): Model {
  const maker = new ModelMaker();
  const { builder: b } = maker;
  const input = b.input('x', [batch, 2, 5, 5]);
  const attributes = { strides: [2, 2], dilations: [1, 1], pads: [1, 1, 1, 1], group: 1 };
  const hidden = b.tanh(b.conv(input, maker.parameter('conv', [4, 2, 3, 3], 'Conv'), attributes));
  const flat = b.reshape(hidden, [batch, 36]);
  const logits = b.matmul(flat, maker.parameter('linear', [3, 36], 'Gemm'), false, true);
  return maker.model(input, b.add(logits, maker.parameter('bias', [3])));
}
