import type { AnyNode } from '../../server/src/graph/ir';
import type { Model } from '../../server/src/graph/model';
import { NetworkBuilder } from './layers';

const CLASSES = 1000;

/** ResNet-50 (25.5 M weights at any image size), evaluation-mode normalisation, random weights. */
export function resnet50(batch: number, seed = 1, image = 224): Model {
  const net = new NetworkBuilder(batch, image, seed);
  const b = net.builder;
  const block = (x: AnyNode, name: string, width: number, stride: number): AnyNode => {
    let y = b.relu(net.norm(net.conv(x, `${name}.conv1`, width, 1, 1), `${name}.bn1`));
    y = b.relu(net.norm(net.conv(y, `${name}.conv2`, width, 3, stride), `${name}.bn2`));
    y = net.norm(net.conv(y, `${name}.conv3`, 4 * width, 1, 1), `${name}.bn3`);
    const plain = stride === 1 && x.shape[1] === 4 * width;
    const shortcut = plain
      ? x
      : net.norm(net.conv(x, `${name}.downsample.0`, 4 * width, 1, stride), `${name}.downsample.1`);
    return b.relu(b.add(y, shortcut));
  };
  let x = net.pool(b.relu(net.norm(net.conv(net.input, 'conv1', 64, 7, 2), 'bn1')), 3, 2, 1);
  [3, 4, 6, 3].forEach((blocks, stage) => {
    for (let i = 0; i < blocks; i++) {
      x = block(x, `layer${stage + 1}.${i}`, 64 * 2 ** stage, stage > 0 && i === 0 ? 2 : 1);
    }
  });
  return net.model('ResNet-50', net.linear(net.mean(x), 'fc', CLASSES));
}

/** VGG-16 without normalisation (138.3 M weights at 224 × 224), without dropout, random weights. */
export function vgg16(batch: number, seed = 1, image = 224): Model {
  const net = new NetworkBuilder(batch, image, seed);
  const b = net.builder;
  let x = net.input as AnyNode;
  let position = 0;
  [
    [64, 64],
    [128, 128],
    [256, 256, 256],
    [512, 512, 512],
    [512, 512, 512],
  ].forEach((stage) => {
    for (const channels of stage) {
      const name = `features.${position}`;
      const y = net.conv(x, name, channels, 3, 1);
      const bias = net.uniform(`${name}.bias`, [channels], -0.1, 0.1);
      x = b.relu(b.add(y, b.reshape(bias, [1, channels, 1, 1])));
      position += 2;
    }
    x = net.pool(x, 2, 2, 0);
    position += 1;
  });
  let y: AnyNode = b.reshape(x, [batch, x.shape[1]! * x.shape[2]! * x.shape[3]!]);
  y = b.relu(net.linear(y, 'classifier.0', 4096));
  y = b.relu(net.linear(y, 'classifier.3', 4096));
  return net.model('VGG-16', net.linear(y, 'classifier.6', CLASSES));
}
