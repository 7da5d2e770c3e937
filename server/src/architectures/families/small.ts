import type { Architecture } from '../architecture';
import { adaptiveAverage, batchNorm, chain, conv, ifPresent, linear, maxPool, relu } from '../layers';
import type { Layer } from '../network';

/** LeNet (LeCun et al. 1998) and its relatives, and AlexNet (Krizhevsky et al. 2012). */

const pool2 = maxPool({ kernel: 2 });
const plain = (name: string, kernel: number, pad = 0): Layer => chain(conv(name, { kernel, pad }), relu);
/** With a normalisation before the ReLU where the checkpoint has one. */
const normed = (name: string, kernel: number, pad: number): Layer =>
  chain(conv(name, { kernel, pad }), ifPresent(`${name}_bn.weight`, batchNorm(`${name}_bn`)), relu);
const normedLinear = (name: string): Layer =>
  chain(linear(name), ifPresent(`${name}_bn.weight`, batchNorm(`${name}_bn`)), relu);

const tutorial = (pad: number): Layer =>
  chain(
    chain(plain('conv1', 5, pad), pool2, plain('conv2', 5), pool2),
    chain(linear('fc1'), relu, linear('fc2'), relu, linear('fc3')),
  );

const twoLinear = chain(linear('fc1'), relu, linear('fc2'));

export const smallNetworks: readonly Architecture[] = [
  {
    name: 'lenet5',
    title: 'LeNet-5 with ReLU, no padding (conv1, conv2, fc1, fc2, fc3)',
    size: 32,
    first: 'conv1.weight',
    network: tutorial(0),
  },
  {
    name: 'lenet5-padded',
    title: 'LeNet-5 with ReLU, first convolution padded by 2 (conv1, conv2, fc1, fc2, fc3)',
    size: 28,
    first: 'conv1.weight',
    network: tutorial(2),
  },
  {
    name: 'lenet5-three-convolutions',
    title: 'LeNet-5 with ReLU and three convolutions, the first padded by 2 (fc1, fc3, fc5, fc6, fc7)',
    size: 28,
    first: 'fc1.weight',
    network: chain(
      chain(normed('fc1', 5, 2), pool2, normed('fc3', 5, 0), pool2, normed('fc5', 5, 0)),
      chain(normedLinear('fc6'), linear('fc7')),
    ),
  },
  {
    name: 'lenet5-c1-f7',
    title: 'LeNet-5 with ReLU (convnet.c1, c3, c5, fc.f6, f7)',
    size: 32,
    first: 'convnet.c1.weight',
    network: chain(
      chain(plain('convnet.c1', 5), pool2, plain('convnet.c3', 5), pool2, plain('convnet.c5', 5)),
      chain(linear('fc.f6'), relu, linear('fc.f7')),
    ),
  },
  {
    name: 'mnist-example',
    title: 'MNIST example of PyTorch (3×3 convolutions conv1, conv2, one pooling, fc1, fc2)',
    size: 28,
    first: 'conv1.weight',
    network: chain(plain('conv1', 3), plain('conv2', 3), pool2, twoLinear),
  },
  {
    name: 'mnist-example-5x5',
    title: 'MNIST example of PyTorch before 2019 (5×5 convolutions conv1, conv2, two poolings, fc1, fc2)',
    size: 28,
    first: 'conv1.weight',
    network: chain(plain('conv1', 5), pool2, plain('conv2', 5), pool2, twoLinear),
  },
  {
    name: 'mnist-three-convolutions',
    title: 'MNIST network of Burn (conv1, conv2, conv3, norm1, fc1, fc2, norm2)',
    size: 28,
    first: 'conv1.weight',
    network: chain(
      chain(plain('conv1', 3), plain('conv2', 3), plain('conv3', 3), batchNorm('norm1')),
      chain(twoLinear, batchNorm('norm2')),
    ),
  },
  {
    name: 'alexnet',
    title: 'AlexNet (torchvision)',
    size: 224,
    first: 'features.0.weight',
    network: chain(
      chain(conv('features.0', { kernel: 11, stride: 4, pad: 2 }), relu, maxPool({ kernel: 3, stride: 2 })),
      chain(plain('features.3', 5, 2), maxPool({ kernel: 3, stride: 2 })),
      chain(plain('features.6', 3, 1), plain('features.8', 3, 1), plain('features.10', 3, 1)),
      chain(maxPool({ kernel: 3, stride: 2 }), adaptiveAverage(6)),
      chain(linear('classifier.1'), relu, linear('classifier.4'), relu, linear('classifier.6')),
    ),
  },
  {
    name: 'alexnet-cifar',
    title: 'AlexNet with one linear layer (CIFAR)',
    size: 32,
    first: 'features.0.weight',
    network: chain(
      chain(conv('features.0', { kernel: 11, stride: 4, pad: 5 }), relu, pool2),
      chain(plain('features.3', 5, 2), pool2),
      chain(plain('features.6', 3, 1), plain('features.8', 3, 1), plain('features.10', 3, 1), pool2),
      linear('classifier'),
    ),
  },
  {
    name: 'alexnet-cifar-3x3',
    title: 'AlexNet with 3×3 convolutions (CIFAR)',
    size: 32,
    first: 'features.0.weight',
    network: chain(
      chain(conv('features.0', { kernel: 3, stride: 2, pad: 1 }), relu, pool2),
      chain(plain('features.3', 3, 1), pool2),
      chain(plain('features.6', 3, 1), plain('features.8', 3, 1), plain('features.10', 3, 1), pool2),
      chain(linear('classifier.1'), relu, linear('classifier.4'), relu, linear('classifier.6')),
    ),
  },
];
