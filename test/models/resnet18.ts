import { GraphBuilder } from '../../server/src/graph/builder';
import type { AnyNode, ConvAttributes } from '../../server/src/graph/ir';
import type { Model, Parameter, PrunableLayer } from '../../server/src/graph/model';
import { elementCount } from '../../server/src/graph/shapes';
import { testRandom } from '../reference/cases';

/**
 * ResNet-18 with the CIFAR stem (11.17 M weights), evaluation-mode
 * normalisation, He-uniform random weights. Names and order are those of the
 * usual PyTorch module, so that a peer can load the same values.
 */
export function resnet18(batch: number, seed = 1): Model {
  const b = new GraphBuilder();
  const random = testRandom(seed);
  const parameters = new Map<string, Parameter>();
  const layers: PrunableLayer[] = [];

  const uniform = (name: string, shape: number[], low: number, high: number): AnyNode => {
    const value = Float32Array.from({ length: elementCount(shape) }, () => low + (high - low) * random());
    parameters.set(name, { name, shape, value });
    return b.parameter(name, shape);
  };
  const conv = (x: AnyNode, name: string, outputs: number, kernel: number, stride: number): AnyNode => {
    const shape = [outputs, x.shape[1]!, kernel, kernel];
    const bound = Math.sqrt(6 / (x.shape[1]! * kernel * kernel));
    const w = uniform(`${name}.weight`, shape, -bound, bound);
    layers.push({ name: `${name}.weight`, op: 'Conv', shape });
    const pad = (kernel - 1) / 2;
    const attributes: ConvAttributes = {
      strides: [stride, stride],
      dilations: [1, 1],
      pads: [pad, pad, pad, pad],
      group: 1,
    };
    return b.conv(x, w, attributes);
  };
  const norm = (x: AnyNode, name: string): AnyNode => {
    const channels = [1, x.shape[1]!, 1, 1];
    const read = (part: string, low: number, high: number): AnyNode =>
      b.reshape(uniform(`${name}.${part}`, [x.shape[1]!], low, high), channels);
    const [gamma, beta] = [read('weight', 0.5, 1), read('bias', -0.1, 0.1)];
    const [mean, variance] = [read('running_mean', -0.1, 0.1), read('running_var', 0.8, 1.2)];
    const scale = b.div(gamma, b.sqrt(b.add(variance, b.scalar(1e-5))));
    return b.add(b.mul(x, scale), b.sub(beta, b.mul(mean, scale)));
  };
  const block = (x: AnyNode, name: string, outputs: number, stride: number): AnyNode => {
    let y = b.relu(norm(conv(x, `${name}.conv1`, outputs, 3, stride), `${name}.bn1`));
    y = norm(conv(y, `${name}.conv2`, outputs, 3, 1), `${name}.bn2`);
    const plain = stride === 1 && x.shape[1] === outputs;
    const shortcut = plain ? x : norm(conv(x, `${name}.downsample.0`, outputs, 1, stride), `${name}.downsample.1`);
    return b.relu(b.add(y, shortcut));
  };

  const input = b.input('input', [batch, 3, 32, 32]);
  let x = b.relu(norm(conv(input, 'conv1', 64, 3, 1), 'bn1'));
  [64, 128, 256, 512].forEach((channels, stage) => {
    for (let i = 0; i < 2; i++) x = block(x, `layer${stage + 1}.${i}`, channels, stage > 0 && i === 0 ? 2 : 1);
  });
  const pooled = b.mul(b.reduceSum(x, [2, 3], false), b.scalar(1 / 16));
  const bound = 1 / Math.sqrt(512);
  const w = uniform('fc.weight', [10, 512], -bound, bound);
  layers.push({ name: 'fc.weight', op: 'Gemm', shape: [10, 512] });
  const logits = b.add(b.matmul(pooled, w, false, true), uniform('fc.bias', [10], -bound, bound));
  return { source: 'ResNet-18', builder: b, input, logits, parameters, layers };
}
