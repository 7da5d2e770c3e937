import type { TestContext } from 'node:test';
import { floats, modelBytes, node } from '../onnx-models';
import { testRandom } from '../reference/cases';
import { temporaryFolder } from '../files';
import { tinyData } from './subject';

/** A network with a normalisation, 6×6 images of three classes, and both splits of the data. */

const SIZE = 6;
const HIDDEN = 4;
const CLASSES = 3;

/** @param preprocessed with a mean that the file keeps as a tensor */
export function trainableModel(preprocessed = false): Uint8Array {
  const random = testRandom(3);
  const values = (count: number, scale: number): number[] =>
    Array.from({ length: count }, () => scale * (2 * random() - 1));
  const flat = HIDDEN * (SIZE - 2) ** 2;
  const first = preprocessed ? [node('Sub', ['image', 'pixel.mean'], ['centred'])] : [];
  return modelBytes({
    inputs: [['image', ['N', 1, SIZE, SIZE]]],
    outputs: [['scores', ['N', CLASSES]]],
    nodes: [
      ...first,
      node('Conv', [preprocessed ? 'centred' : 'image', 'conv.weight'], ['c'], { kernel_shape: [3, 3] }, 'first'),
      node('BatchNormalization', ['c', 'norm.weight', 'norm.bias', 'norm.mean', 'norm.var'], ['n'], {}, 'norm'),
      node('Relu', ['n'], ['r']),
      node('Flatten', ['r'], ['f']),
      node('Gemm', ['f', 'fc.weight', 'fc.bias'], ['scores'], { transB: 1 }, 'last'),
    ],
    tensors: [
      ...(preprocessed ? [floats('pixel.mean', [1], [0.3])] : []),
      floats('conv.weight', [HIDDEN, 1, 3, 3], values(9 * HIDDEN, 0.5)),
      floats('norm.weight', [HIDDEN], new Array<number>(HIDDEN).fill(1)),
      floats('norm.bias', [HIDDEN], new Array<number>(HIDDEN).fill(0)),
      floats('norm.mean', [HIDDEN], new Array<number>(HIDDEN).fill(0)),
      floats('norm.var', [HIDDEN], new Array<number>(HIDDEN).fill(1)),
      floats('fc.weight', [CLASSES, flat], values(CLASSES * flat, 0.2)),
      floats('fc.bias', [CLASSES], values(CLASSES, 0.1)),
    ],
  });
}

/** A folder with `net.onnx` and, in `data/`, the files of an MNIST-like data set, the test set of 60. */
export function trainSubject(t: TestContext, samples = 150): string {
  const rename = (name: string): string => name.replace('t10k', 'train');
  const train = Object.entries(tinyData({ count: samples })).map(([name, bytes]) => [`data/${rename(name)}`, bytes]);
  const test = Object.entries(tinyData({ count: 60 })).map(([name, bytes]) => [`data/${name}`, bytes]);
  return temporaryFolder(t, { 'net.onnx': trainableModel(), ...Object.fromEntries([...train, ...test]) });
}
