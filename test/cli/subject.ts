import type { TestContext } from 'node:test';
import { idxBytes, temporaryFolder } from '../files';
import { floats, modelBytes, node, type ModelParts } from '../onnx-models';
import { testRandom } from '../reference/cases';

/** A classifier of 6×6 images into three classes, small enough to be analysed in a second, and its data. */

const SIZE = 6;
const CLASSES = 3;

export interface TinyNetwork {
  readonly hidden?: number;
  /** The last operator's name. */
  readonly last?: string;
  /** Put in the place of the first weight of `fc.weight`. */
  readonly weight?: number;
  readonly size?: number;
}

/** Convolution, ReLU and a product; the weights are such that a bright stripe's place decides. */
export function tinyParts({ hidden = 4, last = 'Gemm', weight, size = SIZE }: TinyNetwork = {}): ModelParts {
  const random = testRandom(7);
  const values = (count: number, scale: number): number[] =>
    Array.from({ length: count }, () => scale * (2 * random() - 1));
  const flat = hidden * (size - 2) ** 2;
  const product = values(CLASSES * flat, 0.5);
  if (weight !== undefined) product[0] = weight;
  return {
    inputs: [['image', ['N', 1, size, size]]],
    outputs: [['scores', ['N', CLASSES]]],
    nodes: [
      node('Conv', ['image', 'conv.weight', 'conv.bias'], ['c'], { kernel_shape: [3, 3] }, 'first'),
      node('Relu', ['c'], ['r']),
      node('Flatten', ['r'], ['f']),
      node(last, ['f', 'fc.weight', 'fc.bias'], ['scores'], last === 'Gemm' ? { transB: 1 } : {}, 'last'),
    ],
    tensors: [
      floats('conv.weight', [hidden, 1, 3, 3], values(9 * hidden, 0.5)),
      floats('conv.bias', [hidden], values(hidden, 0.1)),
      floats('fc.weight', [CLASSES, flat], product),
      floats('fc.bias', [CLASSES], values(CLASSES, 0.1)),
    ],
  };
}

export function tinyModel(network: TinyNetwork = {}): Uint8Array {
  return modelBytes(tinyParts(network));
}

export interface TinyData {
  readonly count?: number;
  readonly size?: number;
  readonly classOf?: (index: number) => number;
}

/** Images with a stripe of noise where their class is, as the pair of files of an MNIST test set. */
export function tinyData({ count = 48, size = SIZE, classOf = (i) => i % CLASSES }: TinyData = {}): Record<
  string,
  Uint8Array
> {
  const random = testRandom(11);
  const labels = Array.from({ length: count }, (_, i) => classOf(i));
  const pixels = labels.flatMap((label) =>
    Array.from({ length: size * size }, (_, at) => {
      const inStripe = Math.floor(at / size / 2) === label;
      return Math.floor((inStripe ? 128 : 32) * (0.5 + random()));
    }),
  );
  return {
    't10k-images-idx3-ubyte': idxBytes(0x08, [count, size, size], pixels),
    't10k-labels-idx1-ubyte': idxBytes(0x08, [count], labels),
  };
}

/** A folder with `net.onnx` and `data/`. */
export function tinySubject(t: TestContext, files: Readonly<Record<string, Uint8Array | string>> = {}): string {
  const data = Object.entries(tinyData()).map(([name, bytes]) => [`data/${name}`, bytes] as const);
  return temporaryFolder(t, { 'net.onnx': tinyModel(), ...Object.fromEntries(data), ...files });
}
