import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { projectRoot, sharedData, withoutSharedData } from '../../../test/outside';
import { testRandom } from '../../../test/reference/cases';
import { InputError } from '../errors';
import { readImage } from './image';
import { openDataset } from './open';
import { centreCrop, resizeShorter } from './resize';

/** Images that Pillow wrote, decoded and transformed (test/datasets/make_files.py). */
const folder = join(projectRoot(), 'test/datasets/files');
const expected = JSON.parse(readFileSync(join(folder, 'images.json'), 'utf8')) as Record<
  string,
  { readonly size: readonly [number, number]; readonly sha256: string; readonly shrunk: string; readonly grown: string }
>;

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

for (const [name, { size, sha256, shrunk, grown }] of Object.entries(expected)) {
  test(`decoded, resized and cropped as Pillow does: ${name}`, async () => {
    const image = await readImage(join(folder, 'images', name));
    assert.deepEqual([image.width, image.height], size);
    assert.equal(digest(image.pixels), sha256);
    assert.equal(digest(centreCrop(resizeShorter(image, 20), 16).pixels), shrunk);
    assert.equal(digest(centreCrop(resizeShorter(image, 70), 64).pixels), grown);
  });
}

test('folders are classes, in the order of their names', async () => {
  const dataset = await openDataset(join(folder, 'images'), 'test', { resize: 20, crop: 16 });
  assert.equal(dataset.format, 'image folder');
  assert.deepEqual(dataset.sampleShape, [3, 16, 16]);
  assert.deepEqual([...dataset.labels], [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
  assert.equal(dataset.classes, 2);
  const image = centreCrop(resizeShorter(await readImage(join(folder, 'images/cat/baseline.jpg')), 20), 16);
  // Planes, where the image has its channels together.
  assert.equal(dataset.values[5], image.pixels[15]);
  assert.equal(dataset.values[256 + 5], image.pixels[16]);
});

test('splits are folders around the classes', async (t) => {
  const root = temporaryFolder(t);
  for (const split of ['train', 'val']) {
    cpSync(join(folder, 'images/cat/gray.jpg'), join(root, split, 'a', '1.jpg'), { recursive: true });
    cpSync(join(folder, 'images/cat/gray.jpg'), join(root, split, 'b', 'images', '1.jpg'), { recursive: true });
  }
  const dataset = await openDataset(root, 'test');
  assert.deepEqual([dataset.count, dataset.sampleShape], [2, [1, 31, 45]]);
  assert.equal((await openDataset(join(root, 'train'), 'train')).count, 2);
});

test('images of several sizes need a resize', async () => {
  await assert.rejects(
    openDataset(join(folder, 'images'), 'test'),
    /^InputError: image sizes differ: 53×37 and 45×31 .*; give --resize and --crop, as the network was evaluated with$/,
  );
});

test('damaged images are refused, whatever they claim', async (t) => {
  const random = testRandom(3);
  const root = temporaryFolder(t, {
    'a/claim.png': Buffer.concat([
      Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'),
      Buffer.from('ffffff00ffffff000802000000', 'hex'),
      Buffer.alloc(20),
    ]),
    'a/text.jpg': 'this is no picture, but it is long enough to be one',
  });
  await assert.rejects(readImage(join(root, 'a/claim.png')), /^InputError: image too large: 4294967040×4294967040/);
  await assert.rejects(readImage(join(root, 'a/text.jpg')), /^InputError: not an image/);
  const names = Object.keys(expected);
  for (let i = 0; i < 600; i++) {
    const name = names[i % names.length]!;
    const bytes = readFileSync(join(folder, 'images', name));
    for (let k = 0; k < 6; k++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    const path = join(temporaryFolder(t, { x: bytes.subarray(0, Math.floor(random() * bytes.length)) }), 'x');
    try {
      await readImage(path);
    } catch (error) {
      assert.ok(error instanceof InputError, String(error));
    }
  }
  // A decoder that failed still decodes the next image.
  const { pixels } = await readImage(join(folder, 'images/cat/baseline.jpg'));
  assert.equal(digest(pixels), expected['cat/baseline.jpg']!.sha256);
});

test('outside: ten classes of Tiny ImageNet', { skip: withoutSharedData() }, async () => {
  const dataset = await openDataset(join(sharedData()!, 'datasets/tiny-imagenet'), 'test');
  assert.deepEqual([dataset.count, dataset.classes, dataset.sampleShape], [300, 10, [3, 64, 64]]);
});
