import type { Architecture } from '../architecture';
import { adaptiveAverage, batchNorm, chain, conv, linear, maxPool, named, relu } from '../layers';
import type { Layer } from '../network';

/** VGG (Simonyan, Zisserman 2014): torchvision's, and its forms for CIFAR. */

/** Convolutions before each of the five poolings. */
const depths: readonly (readonly [number, readonly number[]])[] = [
  [11, [1, 1, 2, 2, 2]],
  [13, [2, 2, 2, 2, 2]],
  [16, [2, 2, 3, 3, 3]],
  [19, [2, 2, 4, 4, 4]],
];

/** `features` is one `Sequential`, whose indices count every layer. */
function features(counts: readonly number[], normalised: boolean): Layer {
  const layers: Layer[] = [];
  let index = 0;
  for (const count of counts) {
    for (let i = 0; i < count; i++) {
      layers.push(conv(`features.${index++}`, { kernel: 3, pad: 1 }));
      if (normalised) layers.push(batchNorm(`features.${index++}`));
      layers.push(relu);
      index++;
    }
    layers.push(maxPool({ kernel: 2 }));
    index++;
  }
  return chain(...layers);
}

const hidden = (...names: readonly [string, string, string]): Layer =>
  chain(linear(names[0]), relu, linear(names[1]), relu, linear(names[2]));

/** Dropout stands before a linear layer or behind it. */
const threeLayers: Layer = named(['classifier.0', 'classifier.1'], (name) =>
  name === 'classifier.0'
    ? hidden('classifier.0', 'classifier.3', 'classifier.6')
    : hidden('classifier.1', 'classifier.4', 'classifier.6'),
);

/** CIFAR networks end in one layer or in three. */
const cifarClassifier: Layer = named(['classifier', 'classifier.0', 'classifier.1'], (name) =>
  name === 'classifier' ? linear('classifier') : threeLayers,
);

export const vggs: readonly Architecture[] = depths.flatMap(([depth, counts]) =>
  [false, true].flatMap((normalised): Architecture[] => {
    const name = `vgg${depth}${normalised ? '_bn' : ''}`;
    const title = `VGG-${depth}${normalised ? ' with batch normalisation' : ''}`;
    const body = features(counts, normalised);
    const first = 'features.0.weight';
    return [
      {
        name,
        title: `${title} (torchvision)`,
        size: 224,
        first,
        network: chain(body, adaptiveAverage(7), threeLayers),
      },
      {
        name: `${name}-cifar`,
        title: `${title} (CIFAR)`,
        size: 32,
        first,
        network: chain(body, adaptiveAverage(1), cifarClassifier),
      },
    ];
  }),
);
