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

/** A lossless WebP image of one colour: five prefix codes of one symbol each, and no bit for any pixel. */
function blankWebp(width: number, height: number, [red, green, blue]: readonly number[], extended: boolean): Buffer {
  const bits: number[] = [];
  const put = (value: number, count: number): void => {
    for (let i = 0; i < count; i++) bits.push((value >>> i) & 1);
  };
  put(0x2f, 8);
  put(width - 1, 14);
  put(height - 1, 14);
  // No alpha, version 0; no transform, no colour cache, one group of codes.
  put(0, 1 + 3 + 1 + 1 + 1);
  for (const symbol of [green!, red!, blue!, 255]) {
    // A simple code, of one symbol, which has eight bits.
    put(0b101, 3);
    put(symbol, 8);
  }
  // Distances: the symbol 0.
  put(0b001, 4);
  const content = Buffer.alloc(2 * Math.ceil(bits.length / 16));
  bits.forEach((bit, i) => (content[i >> 3]! |= bit << (i & 7)));
  const chunk = (kind: string, body: Buffer): Buffer => {
    const head = Buffer.from(`${kind}\0\0\0\0`, 'latin1');
    head.writeUInt32LE(body.length, 4);
    return Buffer.concat([head, body]);
  };
  const canvas = Buffer.alloc(10);
  canvas.writeUIntLE(width - 1, 4, 3);
  canvas.writeUIntLE(height - 1, 7, 3);
  const chunks = [chunk('VP8L', content)];
  if (extended) chunks.unshift(chunk('VP8X', canvas));
  return chunk('RIFF', Buffer.concat([Buffer.from('WEBP'), ...chunks]));
}

test('a blank page is an image, however few bytes it takes', async (t) => {
  const colour = [200, 100, 50];
  const root = temporaryFolder(t, {
    'plain.webp': blankWebp(2048, 2560, colour, false),
    'extended.webp': blankWebp(2048, 2560, colour, true),
    'large.webp': blankWebp(16384, 16384, colour, false),
  });
  for (const name of ['plain', 'extended']) {
    const { width, height, pixels } = await readImage(join(root, `${name}.webp`));
    assert.deepEqual([width, height], [2048, 2560]);
    assert.ok(pixels.every((value, i) => value === colour[i % 3]));
  }
  await assert.rejects(readImage(join(root, 'large.webp')), /^InputError: image too large: 16384×16384/);
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
