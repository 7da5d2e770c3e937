import type { Architecture } from '../architecture';
import {
  batchNorm,
  chain,
  conv,
  globalAverage,
  ifPresent,
  linear,
  maxPool,
  named,
  relu,
  repeat,
  residual,
  subsampledShortcut,
  within,
} from '../layers';
import type { Layer } from '../network';

/**
 * Residual networks (He, Zhang, Ren, Sun 2015), as torchvision, its CIFAR
 * adaptations and the CIFAR networks of the paper write them.
 */

const convNorm = (convName: string, normName: string, kernel: number, stride: number, pad: number): Layer =>
  chain(conv(convName, { kernel, stride, pad }), batchNorm(normName));

/** A 1×1 convolution where channels or size change; `downsample` in torchvision, `shortcut` elsewhere. */
const projection = (stride: number): Layer =>
  named(
    ['downsample', 'shortcut'],
    (name) => ifPresent(`${name}.0.weight`, convNorm(`${name}.0`, `${name}.1`, 1, stride, 0)),
    '0.weight',
  );

const basicBlock = (stride: number): Layer =>
  chain(
    residual(
      chain(convNorm('conv1', 'bn1', 3, stride, 1), relu, convNorm('conv2', 'bn2', 3, 1, 1)),
      projection(stride),
    ),
    relu,
  );

/** The stride is that of the 3×3 convolution, as in torchvision. */
const bottleneck = (stride: number): Layer =>
  chain(
    residual(
      chain(
        convNorm('conv1', 'bn1', 1, 1, 0),
        relu,
        convNorm('conv2', 'bn2', 3, stride, 1),
        relu,
        convNorm('conv3', 'bn3', 1, 1, 0),
      ),
      projection(stride),
    ),
    relu,
  );

/** Blocks as one `Sequential` each (pytorch-cifar100). */
const sequentialBlock =
  (kind: 'basic' | 'bottleneck') =>
  (stride: number): Layer => {
    const main =
      kind === 'basic'
        ? chain(convNorm('0', '1', 3, stride, 1), relu, convNorm('3', '4', 3, 1, 1))
        : chain(convNorm('0', '1', 1, 1, 0), relu, convNorm('3', '4', 3, stride, 1), relu, convNorm('6', '7', 1, 1, 0));
    return chain(residual(within('residual_function', main), projection(stride)), relu);
  };

type Block = (stride: number) => Layer;

const stages = (names: readonly string[], counts: readonly number[], block: Block): Layer =>
  chain(...counts.map((count, i) => repeat(names[i]!, count, (index) => block(i > 0 && index === 0 ? 2 : 1))));

const layerNames = ['layer1', 'layer2', 'layer3', 'layer4'];
const classifier: Layer = named(['fc', 'linear'], linear);

const depths: readonly (readonly [number, 'basic' | 'bottleneck', readonly number[]])[] = [
  [18, 'basic', [2, 2, 2, 2]],
  [34, 'basic', [3, 4, 6, 3]],
  [50, 'bottleneck', [3, 4, 6, 3]],
  [101, 'bottleneck', [3, 4, 23, 3]],
  [152, 'bottleneck', [3, 8, 36, 3]],
];

const imageNet = depths.flatMap(([depth, kind, counts]): Architecture[] => {
  const block = kind === 'basic' ? basicBlock : bottleneck;
  const body = chain(stages(layerNames, counts, block), globalAverage, classifier);
  return [
    {
      name: `resnet${depth}`,
      title: `ResNet-${depth} (torchvision)`,
      size: 224,
      first: 'conv1.weight',
      network: chain(convNorm('conv1', 'bn1', 7, 2, 3), relu, maxPool({ kernel: 3, stride: 2, pad: 1 }), body),
    },
    {
      name: `resnet${depth}-cifar`,
      title: `ResNet-${depth} with a 3×3 stem (CIFAR)`,
      size: 32,
      first: 'conv1.weight',
      network: chain(convNorm('conv1', 'bn1', 3, 1, 1), relu, body),
    },
    {
      name: `resnet${depth}-cifar100`,
      title: `ResNet-${depth} with a 3×3 stem (CIFAR, blocks named residual_function)`,
      size: 32,
      first: 'conv1.0.weight',
      network: chain(
        convNorm('conv1.0', 'conv1.1', 3, 1, 1),
        relu,
        stages(['conv2_x', 'conv3_x', 'conv4_x', 'conv5_x'], counts, sequentialBlock(kind)),
        globalAverage,
        classifier,
      ),
    },
  ];
});

/** The CIFAR networks of the paper's section 4.2: three stages of (depth − 2)/6 blocks. */
const cifar = [20, 32, 44, 56, 110].map((depth): Architecture => {
  const count = (depth - 2) / 6;
  const block = (stride: number): Layer => {
    const main = chain(convNorm('conv1', 'bn1', 3, stride, 1), relu, convNorm('conv2', 'bn2', 3, 1, 1));
    const shortcut = named(
      ['shortcut', 'downsample'],
      (name) =>
        ifPresent(
          `${name}.0.weight`,
          convNorm(`${name}.0`, `${name}.1`, 1, stride, 0),
          stride === 1 ? chain() : subsampledShortcut,
        ),
      '0.weight',
    );
    return chain(residual(main, shortcut), relu);
  };
  return {
    name: `cifar-resnet${depth}`,
    title: `ResNet-${depth} for CIFAR`,
    size: 32,
    first: 'conv1.weight',
    network: chain(
      convNorm('conv1', 'bn1', 3, 1, 1),
      relu,
      stages(['layer1', 'layer2', 'layer3'], [count, count, count], block),
      globalAverage,
      classifier,
    ),
  };
});

/** A residual network without normalisation, from the benchmarks of network verification (VNN-COMP 2021). */
const verified: Architecture = {
  name: 'resnet2b',
  title: 'ResNet-2B without normalisation (VNN-COMP)',
  size: 32,
  first: 'conv1.weight',
  network: chain(
    conv('conv1', { kernel: 3, stride: 2, pad: 1 }),
    relu,
    repeat('layer1', 2, (index) =>
      chain(
        residual(
          chain(
            conv('conv1', { kernel: 3, stride: index === 0 ? 2 : 1, pad: 1 }),
            relu,
            conv('conv2', { kernel: 3, pad: 1 }),
          ),
          ifPresent('shortcut.0.weight', conv('shortcut.0', { kernel: 1, stride: 2 })),
        ),
        relu,
      ),
    ),
    linear('linear1'),
    relu,
    linear('linear2'),
  ),
};

export const resnets: readonly Architecture[] = [...imageNet, ...cifar, verified];
