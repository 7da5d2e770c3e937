import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Dataset } from './dataset';
import { checkLabels, prepareSamples } from './prepare';
import type { Preprocessing } from './prepare';

const RAW: Preprocessing = { scale: 1 };

/** Values 0, 1, 2 …, so that a value says where it was. */
function counting(sampleShape: readonly number[], count = 2, labels = [0, 1]): Dataset {
  const size = sampleShape.reduce((a, b) => a * b);
  return {
    format: 'idx',
    source: 'set',
    count,
    sampleShape,
    values: Uint8Array.from({ length: count * size }, (_, i) => i),
    labels: Int32Array.from(labels),
    classes: Math.max(...labels) + 1,
  };
}

const ALL = Int32Array.from([0, 1]);

test('scale and normalisation are those of their formulas, in the order of the indices', () => {
  const dataset = counting([3, 2, 2]);
  const mean = [0.1, 0.2, 0.3];
  const deviation = [1, 2, 4];
  const got = prepareSamples(
    dataset,
    Int32Array.from([1, 0, 1]),
    { scale: 255, normalize: { mean, deviation } },
    [3, 2, 2],
  );
  assert.deepEqual(got.labels, Int32Array.from([1, 0, 1]));
  assert.equal(got.count, 3);
  assert.deepEqual(got.sampleShape, [3, 2, 2]);
  const expected = [1, 0, 1].flatMap((sample) =>
    Array.from({ length: 12 }, (_, at) => {
      const channel = Math.floor(at / 4);
      return Math.fround(((sample * 12 + at) / 255 - mean[channel]!) / deviation[channel]!);
    }),
  );
  assert.deepEqual([...got.inputs], expected);
});

test('one mean serves all channels, and a table has one per column', () => {
  const one = { scale: 2, normalize: { mean: [1], deviation: [0.5] } };
  assert.deepEqual([...prepareSamples(counting([3, 1, 1], 1, [0]), Int32Array.of(0), one, [3]).inputs], [-2, -1, 0]);
  const columns = { scale: 1, normalize: { mean: [1, 2, 3], deviation: [1, 2, 3] } };
  assert.deepEqual(
    [...prepareSamples(counting([3]), ALL, columns, [3]).inputs],
    [-1, -0.5, Math.fround(-1 / 3), 2, 1, Math.fround(2 / 3)],
  );
});

const moved = [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11];
const kept = Array.from({ length: 12 }, (_, i) => i);

for (const [name, shape, layout, input, expected] of [
  ['NHWC inferred', [3, 2, 2], undefined, [2, 2, 3], moved],
  ['NHWC inferred through axes of 1', [3, 2, 2], undefined, [1, 2, 2, 3], moved],
  ['NHWC asked', [3, 2, 2], 'nhwc', [2, 2, 3], moved],
  ['NHWC asked, flat input', [3, 2, 2], 'nhwc', [12], moved],
  ['flat input', [3, 2, 2], undefined, [12], kept],
  ['NCHW asked', [3, 2, 2], 'nchw', [3, 2, 2], kept],
  ['undecided shape stays', [2, 2, 3], undefined, [2, 2, 3], kept],
  ['one channel: [1, 784, 1]', [1, 3, 4], undefined, [1, 12, 1], kept],
  ['one channel: NHWC', [1, 3, 4], undefined, [3, 4, 1], kept],
  ['one channel: NHWC asked', [1, 3, 4], 'nhwc', [3, 4, 1], kept],
  ['one channel: NCHW asked of NHWC', [1, 3, 4], 'nchw', [3, 4, 1], kept],
  ['rows as a sequence', [1, 3, 4], undefined, [3, 4], kept],
  ['channels of merged pixels', [3, 2, 2], undefined, [3, 4], kept],
  ['a table as an image', [12], undefined, [1, 3, 4], kept],
] as const) {
  test(`layout: ${name}`, () => {
    const options = layout === undefined ? RAW : { ...RAW, layout };
    const got = prepareSamples(counting(shape, 1, [0]), Int32Array.of(0), options, input);
    assert.deepEqual([...got.inputs], expected);
    assert.deepEqual(got.sampleShape, input);
  });
}

test('layouts ambiguous in shape follow the option', () => {
  const dataset = counting([3, 3, 3], 1, [0]);
  const of = (options: Preprocessing): number[] => [
    ...prepareSamples(dataset, Int32Array.of(0), options, [3, 3, 3]).inputs.slice(0, 4),
  ];
  assert.deepEqual(of(RAW), [0, 1, 2, 3]);
  assert.deepEqual(of({ ...RAW, layout: 'nhwc' }), [0, 9, 18, 1]);
});

const NOT_FINITE: Dataset = { ...counting([2]), format: 'npy', values: Float32Array.of(0, 1, 2, NaN) };
for (const [name, dataset, options, input, message] of [
  [
    'count',
    counting([1, 2, 2]),
    RAW,
    [3, 2, 2],
    'data do not fit the network: samples [1, 2, 2] (4 values, set), input [3, 2, 2] (12 values); choose the data it was trained with',
  ],
  [
    'axes',
    counting([1, 4, 3]),
    RAW,
    [3, 4],
    'data do not fit the network: samples [1, 4, 3] (set) and input [3, 4] have other axes; choose the data it was trained with',
  ],
  [
    'nchw for an NHWC input',
    counting([3, 2, 2]),
    { scale: 1, layout: 'nchw' },
    [2, 2, 3],
    'layout wrong: nchw for network input [2, 2, 3] and samples [3, 2, 2] (set); set the layout to nhwc or remove it',
  ],
  [
    'nhwc for an NCHW input',
    counting([3, 2, 2]),
    { scale: 1, layout: 'nhwc' },
    [3, 2, 2],
    'layout wrong: nhwc for network input [3, 2, 2] and samples [3, 2, 2] (set); set the layout to nchw or remove it',
  ],
  [
    'channels',
    counting([1, 2, 2]),
    { scale: 255, normalize: { mean: [0, 0, 0], deviation: [1] } },
    [4],
    'normalisation does not fit: 3 values of mean, channels 1 (samples [1, 2, 2], set); give 1',
  ],
  [
    'deviation',
    counting([1, 2, 2]),
    { scale: 255, normalize: { mean: [0], deviation: [0] } },
    [4],
    'normalisation out of range: deviation 0; give finite means and deviations above 0, in units after scaling',
  ],
  [
    'scale',
    counting([1, 2, 2]),
    { scale: 0 },
    [4],
    'scale out of range: 0; choose a number other than 0, such as 255 for bytes',
  ],
  [
    'empty',
    { ...counting([1, 2, 2], 0), labels: new Int32Array(0) },
    RAW,
    [4],
    'data set empty: set has no samples; choose another file or split',
  ],
  ['NaN', NOT_FINITE, RAW, [2], 'value not finite: NaN (sample 1, element 1, set); remove or replace such values'],
  [
    'overflow',
    { ...NOT_FINITE, values: Float32Array.of(0, 1, 1e30, 0) },
    { scale: 1e-30 },
    [2],
    `value not finite: ${Math.fround(1e30)} after preprocessing (sample 1, element 0, set); remove or replace such values`,
  ],
] as const) {
  test(`refused: ${name}`, () => {
    assert.throws(() => prepareSamples(dataset, ALL, options, input), { name: 'InputError', message });
  });
}

test('labels lie inside the classes of the network', () => {
  checkLabels(counting([1], 3, [0, 1, 9]), 10);
  assert.throws(() => checkLabels(counting([1], 3, [0, 10, 1]), 10), {
    name: 'InputError',
    message:
      "label outside the network's classes: 10 (sample 1, set), the network has 10; choose the data it was trained with",
  });
  assert.throws(() => checkLabels(counting([1], 3, [1, 2, 3]), 3), {
    message: "label outside the network's classes: 3 (sample 2, set), the network has 3; number the classes from 0",
  });
});
