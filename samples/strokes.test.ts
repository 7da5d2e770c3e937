import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDataset } from '../server/src/dataset/open';
import { Random } from '../server/src/random';
import { projectRoot } from '../test/outside';
import { drawDigit, drawDigits, SIZE } from './strokes';

const PIXELS = SIZE * SIZE;

test('same seed, same drawings; more of them begin alike', () => {
  const { images, labels } = drawDigits(50, 3);
  assert.deepEqual(drawDigits(50, 3), { images, labels });
  assert.notDeepEqual(drawDigits(50, 4).images, images);
  assert.deepEqual(drawDigit(5, Random.stream(8, 'one')), drawDigit(5, Random.stream(8, 'one')));
});

test('sets are balanced and no two drawings are the same', () => {
  const { images, labels } = drawDigits(1003, 5);
  const counts = new Array<number>(10).fill(0);
  for (const label of labels) counts[label]! += 1;
  assert.deepEqual(counts, [101, 101, 101, 100, 100, 100, 100, 100, 100, 100]);
  const seen = new Set(Array.from(labels, (_, i) => images.subarray(i * PIXELS, (i + 1) * PIXELS).join()));
  assert.equal(seen.size, 1003);
});

test('every drawing has ink, mostly paper, in 16 levels', () => {
  const { images, labels } = drawDigits(500, 6);
  assert.ok(images.every((value) => value % 17 === 0));
  for (let i = 0; i < labels.length; i++) {
    const inked = images.subarray(i * PIXELS, (i + 1) * PIXELS).filter((value) => value > 100).length;
    assert.ok(inked >= 8 && inked < PIXELS / 2, `drawing ${i} of ${labels[i]} has ${inked} dark pixels`);
  }
});

for (const [split, count, seed] of [
  ['train', 6000, 1],
  ['test', 2000, 2],
] as const) {
  test(`the stored ${split} set is what is drawn`, async () => {
    const { values, labels, sampleShape } = await openDataset(join(projectRoot(), 'samples/data'), split);
    const drawn = drawDigits(count, seed);
    assert.deepEqual(sampleShape, [1, SIZE, SIZE]);
    assert.ok(Buffer.from(drawn.images).equals(values as Uint8Array), 'run out/samples/digits.script.cjs');
    assert.deepEqual(labels, Int32Array.from(drawn.labels));
  });
}

test('the digits differ enough to learn and vary enough not to be templates', async () => {
  const folder = join(projectRoot(), 'samples/data');
  const train = await openDataset(folder, 'train');
  const test = await openDataset(folder, 'test');
  const means = Array.from({ length: 10 }, () => new Float64Array(PIXELS));
  train.labels.forEach((label, i) => {
    for (let p = 0; p < PIXELS; p++) means[label]![p]! += train.values[i * PIXELS + p]! / 600;
  });
  let correct = 0;
  test.labels.forEach((label, i) => {
    const distances = means.map((mean) =>
      mean.reduce((sum, value, p) => sum + (value - test.values[i * PIXELS + p]!) ** 2, 0),
    );
    if (distances.indexOf(Math.min(...distances)) === label) correct++;
  });
  // The nearest mean image, which is no network, is right a good half of the time.
  assert.ok(correct > 1000 && correct < 1700, `${correct} of 2000`);
});
