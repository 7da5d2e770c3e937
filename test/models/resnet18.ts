import type { AnyNode } from '../../server/src/graph/ir';
import type { Model } from '../../server/src/graph/model';
import { NetworkBuilder } from './layers';

/**
 * ResNet-18 with the CIFAR stem (11.17 M weights), evaluation-mode
 * normalisation, He-uniform random weights. Names and order are those of the
 * usual PyTorch module, so that a peer can load the same values.
 */
export function resnet18(batch: number, seed = 1, image = 32): Model {
  const net = new NetworkBuilder(batch, image, seed);
  const b = net.builder;
  const block = (x: AnyNode, name: string, outputs: number, stride: number): AnyNode => {
    let y = b.relu(net.norm(net.conv(x, `${name}.conv1`, outputs, 3, stride), `${name}.bn1`));
    y = net.norm(net.conv(y, `${name}.conv2`, outputs, 3, 1), `${name}.bn2`);
    const plain = stride === 1 && x.shape[1] === outputs;
    const shortcut = plain
      ? x
      : net.norm(net.conv(x, `${name}.downsample.0`, outputs, 1, stride), `${name}.downsample.1`);
    return b.relu(b.add(y, shortcut));
  };
  let x = b.relu(net.norm(net.conv(net.input, 'conv1', 64, 3, 1), 'bn1'));
  [64, 128, 256, 512].forEach((channels, stage) => {
    for (let i = 0; i < 2; i++) x = block(x, `layer${stage + 1}.${i}`, channels, stage > 0 && i === 0 ? 2 : 1);
  });
  return net.model('ResNet-18', net.linear(net.mean(x), 'fc', 10));
}
