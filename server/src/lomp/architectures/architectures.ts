import { chain, linear, relu } from '../../architectures/layers';
import { architectureNamed } from '../../architectures/match';
import type { Layer } from '../../architectures/network';
import { networkToOnnx } from '../../checkpoint/onnx/export';
import { InputError } from '../../errors';
import type { Shape } from '../../graph/ir';
import { formatShape } from '../../graph/shapes';
import { freshLayers, type Widths } from './fresh-network';

/** A network that can be trained from fresh weights: layers that the checkpoints of its kind have too, and their widths. */
interface Architecture extends Omit<Widths, 'divisor'> {
  readonly about: string;
  /** Takes images; else any samples. */
  readonly images: boolean;
  readonly kaiming: boolean;
  readonly layers: Layer;
}

const isBias = (name: string): boolean => name.endsWith('.bias');
/** Widths in the order of the layers, without the last. */
const inOrder =
  (...widths: number[]) =>
  (_: string, index: number): number | undefined =>
    widths[index];

/** Fully connected layers `fc1`, `fc2`, … with ReLU between. */
function fullyConnected(about: string, ...hidden: number[]): Architecture {
  const layers = [...hidden, 0].map((_, i) => chain(i === 0 ? chain() : relu, linear(`fc${i + 1}`)));
  return { about, images: false, kaiming: false, layers: chain(...layers), width: inOrder(...hidden), has: isBias };
}

function sequential(about: string, layers: string, kaiming: boolean, ...widths: number[]): Architecture {
  return {
    about,
    images: true,
    kaiming,
    layers: architectureNamed(layers).network,
    width: inOrder(...widths),
    has: (name) => isBias(name) || name === 'classifier.weight',
  };
}

/** Residual networks: the channels double with every stage, from `first` on. */
function residual(
  about: string,
  layers: string,
  first: number,
  expansion: number,
  hasProjections: boolean,
): Architecture {
  const stage = (name: string): number => Number(/^layer(\d)/.exec(name)?.[1] ?? 1) - 1;
  return {
    about,
    images: true,
    kaiming: true,
    layers: architectureNamed(layers).network,
    width: (name) => {
      if (name === 'linear.weight') return undefined;
      const isWide = /\.(downsample\.0|conv3)\.weight$/.test(name);
      return first * 2 ** stage(name) * (isWide ? expansion : 1);
    },
    has: (name) => {
      if (/^linear\.(weight|bias)$/.test(name)) return true;
      return hasProjections && /^layer\d\.0\.downsample\.0\.weight$/.test(name) && (expansion > 1 || stage(name) > 0);
    },
  };
}

const vgg16 = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512];

const architectures = {
  fc5: fullyConnected('fully connected, 1000-600-300-100 hidden', 1000, 600, 300, 100),
  fc12: fullyConnected(
    'fully connected, eleven hidden layers, 1000 to 100',
    ...[1000, 900, 800, 750, 700, 650, 600, 500, 400, 200, 100],
  ),
  lenet: sequential('5×5 convolutions 16 and 32, then 120-84', 'lenet5', false, 16, 32, 120, 84),
  lenet5: sequential('5×5 convolutions 6 and 16, then 120-84', 'lenet5', false, 6, 16, 120, 84),
  alexnet: sequential(
    'five 3×3 convolutions, then 4096-4096, for 32 × 32',
    'alexnet-cifar-3x3',
    false,
    ...[64, 192, 384, 256, 256, 4096, 4096],
  ),
  vgg16: sequential('thirteen 3×3 convolutions, normalised, for 32 × 32', 'vgg16_bn-cifar', true, ...vgg16),
  resnet18: residual('residual, four stages of 64 to 512 channels, for 32 × 32', 'resnet18-cifar', 64, 1, true),
  resnet20: residual('residual, three stages of 16, 32, 64 channels', 'cifar-resnet20', 16, 1, false),
  resnet50: residual('residual, bottlenecks, 64 to 2048 channels, for 32 × 32', 'resnet50-cifar', 64, 4, true),
} satisfies Record<string, Architecture>;

/** Fully connected networks are named by their hidden layers. */
const HIDDEN = /^fc((?:-[1-9]\d{0,4})+)$/;
/** A network with a part of the widths. */
const DIVIDED = /^(.+)\/([1-9]\d{0,2})$/;

/** Names and one line about each. */
export const ARCHITECTURES: ReadonlyMap<string, string> = new Map([
  ...Object.entries(architectures).map(([name, { about }]) => [name, about] as const),
  ['fc-N-N-...', 'fully connected, so many units in each hidden layer'],
  ['NAME/N', 'one of these, with an N-th of its units and channels'],
]);

function architectureOf(name: string): Architecture | undefined {
  if (Object.hasOwn(architectures, name)) return (architectures as Record<string, Architecture>)[name];
  const hidden = HIDDEN.exec(name)?.[1]!.slice(1).split('-').map(Number);
  return hidden && fullyConnected('', ...hidden);
}

/**
 * An architecture with fresh weights for samples of `sample`, as an ONNX file.
 *
 * @throws InputError when there is none of the name, or it does not take such samples
 */
export function freshNetwork(name: string, sample: Shape, classes: number, seed: number): Uint8Array {
  const [, base = name, divisor = '1'] = DIVIDED.exec(name) ?? [];
  const architecture = architectureOf(base);
  if (architecture === undefined) {
    throw new InputError(`unknown architecture: ${name}; known are ${[...ARCHITECTURES.keys()].join(', ')}`);
  }
  const { images, layers, kaiming } = architecture;
  const misfit = `data do not fit ${name}: samples ${formatShape(sample)}`;
  if (images && sample.length !== 3) throw new InputError(`${misfit}; it takes images [channels, height, width]`);
  const widths = { ...architecture, divisor: Number(divisor) };
  const { network, problems } = freshLayers(name, layers, widths, sample, classes, { seed, kaiming });
  if (problems.length > 0) throw new InputError(`${misfit} (${problems[0]}); give larger images`);
  return networkToOnnx(network);
}
