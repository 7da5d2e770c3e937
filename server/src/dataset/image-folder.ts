import { readdirSync, type Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataOptions, Split } from '../../../protocol/analysis';
import { InputError } from '../errors';
import { allocate } from '../files/source';
import { assembleDataset } from './assemble';
import type { Dataset } from './dataset';
import { listNames, splitMissing, type DatasetFormat } from './format';
import { readImage, type Image } from './image';
import { centreCrop, resizeShorter } from './resize';

export type ImageOptions = Pick<DataOptions, 'resize' | 'crop'>;

/**
 * One folder of PNG, JPEG or WebP files per class, as torchvision's
 * ImageFolder has it: classes are numbered in the order of their folders'
 * names. Folders `train`, `val`, `valid` or `test` around them are splits.
 *
 * Images are resized so that their shorter side is `resize`, and cropped in
 * the middle to `crop` (`resize` when absent). Without either they must be of
 * one size. Images that are all gray have one channel.
 */
export const imageFolder: DatasetFormat = {
  name: 'image-folder',
  expects: 'one folder of PNG, JPEG or WebP images per class',
  match: (location) =>
    location.kind === 'folder' && location.folders.some((name) => holdsImages(join(location.path, name))),
  async open(location, split, options = {}) {
    const names = location.kind === 'folder' ? location.folders : [];
    const root = splitFolder(location.path, names, split);
    const classes = root === location.path ? names : await foldersIn(root);
    const files: { path: string; label: number }[] = [];
    for (const [label, name] of classes.entries()) {
      for (const path of await imagesIn(join(root, name))) files.push({ path, label });
    }
    if (files.length === 0) {
      throw new InputError(`no images: ${root} holds ${listNames(classes)}; name the folder of the classes' folders`);
    }
    return readAll(files, location.path, options);
  },
};

const IMAGE = /\.(png|jpe?g|webp)$/i;

/** Whether there are images in a folder or, as in that of a split, at most two folders below; names alone are read. */
function holdsImages(folder: string, depth = 2): boolean {
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return false;
  }
  if (entries.some((entry) => entry.isFile() && IMAGE.test(entry.name))) return true;
  const [first] = entries.filter((entry) => entry.isDirectory());
  return first !== undefined && depth > 0 && holdsImages(join(folder, first.name), depth - 1);
}

const SPLITS: Readonly<Record<Split, readonly string[]>> = {
  test: ['test', 'val', 'valid', 'validation'],
  train: ['train', 'training'],
};

function splitFolder(path: string, names: readonly string[], split: Split): string {
  const lower = names.map((name) => name.toLowerCase());
  const isSplit = [...SPLITS.test, ...SPLITS.train].some((name) => lower.includes(name));
  if (!isSplit) return path;
  const wanted = SPLITS[split].find((name) => lower.includes(name));
  if (wanted === undefined) throw splitMissing(split, path, names);
  return join(path, names[lower.indexOf(wanted)]!);
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}

/** Paths of the images in a folder and below, in torchvision's order. */
async function imagesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.map(({ name }) => name).sort();
  const files = names.filter((name) => IMAGE.test(name)).map((name) => join(folder, name));
  // Some sets keep the images of a class one level deeper.
  const deeper = entries.find((entry) => entry.isDirectory() && entry.name === 'images');
  return deeper === undefined ? files : [...files, ...(await imagesIn(join(folder, deeper.name)))];
}

async function readAll(
  files: readonly { path: string; label: number }[],
  source: string,
  { resize, crop }: ImageOptions,
): Promise<Dataset> {
  const images: Image[] = [];
  for (const { path } of files) {
    const whole = await readImage(path);
    const resized = resize === undefined ? whole : resizeShorter(whole, resize);
    const size = crop ?? resize;
    images.push(size === undefined ? resized : centreCrop(resized, size));
    const [first, last] = [images[0]!, images.at(-1)!];
    if (first.width !== last.width || first.height !== last.height) {
      throw new InputError(
        `image sizes differ: ${first.width}×${first.height} and ${last.width}×${last.height} (${path}); give --resize and --crop, as the network was evaluated with`,
      );
    }
  }
  const { width, height } = images[0]!;
  // A set of colour images may have a gray one among them.
  const channels = images.every((image) => image.channels === 1) ? 1 : 3;
  const plane = width * height;
  const values = allocate(Uint8Array, images.length * channels * plane, 1, source);
  for (const [i, image] of images.entries()) {
    for (let c = 0; c < channels; c++) {
      const from = image.channels === 1 ? 0 : c;
      for (let p = 0; p < plane; p++) {
        values[(i * channels + c) * plane + p] = image.pixels[p * image.channels + from]!;
      }
    }
  }
  const labels = Int32Array.from(files, ({ label }) => label);
  return assembleDataset('image folder', source, [channels, height, width], values, labels);
}
