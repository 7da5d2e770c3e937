import type { Architecture } from '../architecture';
import {
  averagePool,
  batchNorm,
  chain,
  conv,
  globalAverage,
  identity,
  ifPresent,
  linear,
  maxPool,
  named,
  relu,
  relu6,
  repeat,
  residual,
  within,
} from '../layers';
import type { Layer } from '../network';

/** MobileNet v2, DenseNet and wide residual networks. */

/** Inverted residuals (Sandler et al. 2018): expansion, count and stride of every stage. */
const mobileStages = [
  [1, 1, 1],
  [6, 2, 2],
  [6, 3, 2],
  [6, 4, 2],
  [6, 3, 1],
  [6, 3, 2],
  [6, 1, 1],
] as const;

function invertedResidual(expansion: number, stride: number, first: boolean): Layer {
  const depthwise = (path: string): Layer =>
    chain(conv(`${path}.0`, { kernel: 3, stride, pad: 1, groups: 'depthwise' }), batchNorm(`${path}.1`), relu6);
  const main =
    expansion === 1
      ? chain(depthwise('0'), conv('1', { kernel: 1 }), batchNorm('2'))
      : chain(
          chain(conv('0.0', { kernel: 1 }), batchNorm('0.1'), relu6),
          chain(depthwise('1'), conv('2', { kernel: 1 }), batchNorm('3')),
        );
  // Only a stage's first block may change the channels: the others are added to their input.
  return first ? within('conv', main) : residual(within('conv', main), identity);
}

function mobileNet(): Layer {
  let index = 1;
  const blocks = mobileStages.flatMap(([expansion, count, stride]) =>
    Array.from({ length: count }, (_, i) =>
      within(`features.${index++}`, invertedResidual(expansion, i === 0 ? stride : 1, i === 0)),
    ),
  );
  return chain(
    chain(conv('features.0.0', { kernel: 3, stride: 2, pad: 1 }), batchNorm('features.0.1'), relu6),
    ...blocks,
    chain(conv('features.18.0', { kernel: 1 }), batchNorm('features.18.1'), relu6),
    globalAverage,
    linear('classifier.1'),
  );
}

/** Every layer sees all before it (Huang et al. 2017). */
const denseLayer: Layer = (net, x, scope) => {
  const fresh = chain(
    chain(batchNorm('norm1'), relu, conv('conv1', { kernel: 1 })),
    chain(batchNorm('norm2'), relu, conv('conv2', { kernel: 3, pad: 1 })),
  )(net, x, scope);
  return net.concat([x, fresh]);
};

const transition = (index: number): Layer =>
  within(`transition${index}`, chain(batchNorm('norm'), relu, conv('conv', { kernel: 1 }), averagePool({ kernel: 2 })));

const denseNet = (counts: readonly number[]): Layer =>
  chain(
    within(
      'features',
      chain(
        chain(conv('conv0', { kernel: 7, stride: 2, pad: 3 }), batchNorm('norm0'), relu),
        maxPool({ kernel: 3, stride: 2, pad: 1 }),
        ...counts.map((count, b) =>
          chain(
            ...Array.from({ length: count }, (_, l) =>
              within(`denseblock${b + 1}`, within(`denselayer${l + 1}`, denseLayer)),
            ),
            b < counts.length - 1 ? transition(b + 1) : identity,
          ),
        ),
        batchNorm('norm5'),
        relu,
      ),
    ),
    globalAverage,
    linear('classifier'),
  );

/**
 * Pre-activated blocks (Zagoruyko, Komodakis 2016). Two codes are common:
 * `block1.layer.0` activates what a projecting shortcut takes, `layer1.0` does
 * not.
 */
function wideBlock(stride: number): Layer {
  const activated: Layer = chain(batchNorm('bn1'), relu);
  const rest = (s: number): Layer =>
    chain(
      conv('conv1', { kernel: 3, stride: s, pad: 1 }),
      batchNorm('bn2'),
      relu,
      conv('conv2', { kernel: 3, pad: 1 }),
    );
  const separate = residual(
    chain(activated, rest(stride)),
    ifPresent('shortcut.0.weight', conv('shortcut.0', { kernel: 1, stride })),
  );
  const shared = chain(activated, residual(rest(stride), conv('convShortcut', { kernel: 1, stride })));
  return ifPresent('convShortcut.weight', shared, separate);
}

/** In `layer1.0` the first of the two convolutions keeps the size, and the second has the stride. */
function lateStrideBlock(stride: number): Layer {
  const main = chain(
    chain(batchNorm('bn1'), relu, conv('conv1', { kernel: 3, pad: 1 })),
    chain(batchNorm('bn2'), relu, conv('conv2', { kernel: 3, stride, pad: 1 })),
  );
  return residual(main, ifPresent('shortcut.0.weight', conv('shortcut.0', { kernel: 1, stride })));
}

function wideResNet(depth: number, names: (stage: number) => string, block: (stride: number) => Layer): Layer {
  const count = (depth - 4) / 6;
  return chain(
    conv('conv1', { kernel: 3, pad: 1 }),
    ...[0, 1, 2].map((stage) => repeat(names(stage + 1), count, (index) => block(stage > 0 && index === 0 ? 2 : 1))),
    chain(batchNorm('bn1'), relu),
    globalAverage,
    named(['fc', 'linear'], linear),
  );
}

export const modernNetworks: readonly Architecture[] = [
  {
    name: 'mobilenet_v2',
    title: 'MobileNet v2 (torchvision)',
    size: 224,
    first: 'features.0.0.weight',
    network: mobileNet(),
  },
  ...(
    [
      [121, [6, 12, 24, 16]],
      [161, [6, 12, 36, 24]],
      [169, [6, 12, 32, 32]],
      [201, [6, 12, 48, 32]],
    ] as const
  ).map(([depth, counts]): Architecture => ({
    name: `densenet${depth}`,
    title: `DenseNet-${depth} (torchvision)`,
    size: 224,
    first: 'features.conv0.weight',
    network: denseNet(counts),
  })),
  ...[10, 16, 22, 28, 34, 40].flatMap((depth): Architecture[] => [
    {
      name: `wideresnet${depth}`,
      title: `WideResNet-${depth} (block1.layer.0)`,
      size: 32,
      first: 'conv1.weight',
      network: wideResNet(depth, (stage) => `block${stage}.layer`, wideBlock),
    },
    {
      name: `wideresnet${depth}-late-stride`,
      title: `WideResNet-${depth} (layer1.0, stride in the second convolution)`,
      size: 32,
      first: 'conv1.weight',
      network: wideResNet(depth, (stage) => `layer${stage}`, lateStrideBlock),
    },
  ]),
];
