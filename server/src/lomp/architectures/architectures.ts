import { InputError } from '../../errors';
import type { Shape } from '../../graph/ir';
import { formatShape } from '../../graph/shapes';
import { NetworkWriter } from './network-writer';

/** A network that can be trained from fresh weights. */
interface Architecture {
  readonly about: string;
  /** Smallest image it takes, on a side; without it, any samples are. */
  readonly smallest?: number;
  readonly kaiming?: boolean;
  build(network: NetworkWriter, classes: number): void;
}

/** Fully connected layers `fc1`, `fc2`, … with ReLU between. */
const fullyConnected =
  (...hidden: number[]) =>
  (network: NetworkWriter, classes: number): void => {
    network.flatten();
    hidden.forEach((outputs, i) => network.linear(`fc${i + 1}`, outputs).relu());
    network.linear(`fc${hidden.length + 1}`, classes);
  };

/** LeNet with so many channels in its two convolutions; LeCun et al. (1998) have 6 and 16. */
const leNet =
  (first: number, second: number) =>
  (network: NetworkWriter, classes: number): void => {
    network.conv('conv1', first, 5).relu().maxPool(2).conv('conv2', second, 5).relu().maxPool(2).flatten();
    network.linear('fc1', 120).relu().linear('fc2', 84).relu().linear('fc3', classes);
  };

/** 6n + 2 layers for images of 32 × 32 (He, Zhang, Ren & Sun 2016, section 4.2), shortcuts without weights. */
const cifarResnet =
  (n: number) =>
  (network: NetworkWriter, classes: number): void => {
    network.conv('conv1', 16, 3, { pad: 1, bias: false }).norm('bn1').relu();
    [16, 32, 64].forEach((channels, stage) => {
      for (let i = 0; i < n; i++) block(network, `layer${stage + 1}.${i}`, channels, stage > 0 && i === 0);
    });
    network.globalPool().flatten().linear('linear', classes);
  };

function block(network: NetworkWriter, name: string, channels: number, down: boolean): void {
  const conv = (x: NetworkWriter, i: number, stride: number): NetworkWriter =>
    x.conv(`${name}.conv${i}`, channels, 3, { stride, pad: 1, bias: false }).norm(`${name}.bn${i}`);
  network.sum(
    (x) => conv(conv(x, 1, down ? 2 : 1).relu(), 2, 1),
    (x) => (down ? x.subsample(channels) : undefined),
  );
  network.relu();
}

const architectures = {
  fc5: { about: 'fully connected, 1000-600-300-100 hidden', build: fullyConnected(1000, 600, 300, 100) },
  fc12: {
    about: 'fully connected, eleven hidden layers, 1000 to 100',
    build: fullyConnected(1000, 900, 800, 750, 700, 650, 600, 500, 400, 200, 100),
  },
  lenet: { about: '5×5 convolutions 16 and 32, then 120-84', smallest: 16, build: leNet(16, 32) },
  lenet5: { about: '5×5 convolutions 6 and 16, then 120-84', smallest: 16, build: leNet(6, 16) },
  resnet20: {
    about: 'residual, three stages of 16, 32, 64 channels',
    smallest: 8,
    kaiming: true,
    build: cifarResnet(3),
  },
} satisfies Record<string, Architecture>;

/** Fully connected networks are named by their hidden layers. */
const HIDDEN = /^fc((?:-[1-9]\d{0,4})+)$/;

/** Names and one line about each. */
export const ARCHITECTURES: ReadonlyMap<string, string> = new Map([
  ...Object.entries(architectures).map(([name, { about }]) => [name, about] as const),
  ['fc-N-N-...', 'fully connected, so many units in each hidden layer'],
]);

function architectureOf(name: string): Architecture | undefined {
  if (Object.hasOwn(architectures, name)) return (architectures as Record<string, Architecture>)[name];
  const hidden = HIDDEN.exec(name)?.[1]!.slice(1).split('-').map(Number);
  return hidden && { about: '', build: fullyConnected(...hidden) };
}

/**
 * An architecture with fresh weights for samples of `sample`, as an ONNX file.
 *
 * @throws InputError when there is none of the name, or it does not take such samples
 */
export function freshNetwork(name: string, sample: Shape, classes: number, seed: number): Uint8Array {
  const architecture = architectureOf(name);
  if (architecture === undefined) {
    throw new InputError(`unknown architecture: ${name}; known are ${[...ARCHITECTURES.keys()].join(', ')}`);
  }
  const { smallest, kaiming, build } = architecture;
  if (smallest !== undefined && (sample.length !== 3 || sample[1]! < smallest || sample[2]! < smallest)) {
    throw new InputError(
      `data do not fit ${name}: samples ${formatShape(sample)}; it takes images [channels, height, width] of at least ${smallest} × ${smallest}`,
    );
  }
  const network = new NetworkWriter(sample, seed, kaiming);
  build(network, classes);
  return network.encode();
}
