import { basename, dirname, join } from 'node:path';
import type { Split } from '../../../protocol/analysis';
import { InputError } from '../errors';
import { withSource } from '../files/source';
import type { Shape } from '../graph/ir';
import { assembleDataset, toLabels } from './assemble';
import { readNumbers, showShape } from './elements';
import type { ElementType, NumberArray } from './elements';
import { listNames, locate, splitMissing, splitOfName } from './format';
import type { DatasetFormat, Location } from './format';

/**
 * IDX, the format of MNIST (http://yann.lecun.com/exdb/mnist, "the IDX file
 * format"): two zero bytes, a type, a rank, big-endian sizes, big-endian
 * numbers. Images and labels are two files, gzipped or not.
 *
 * A folder is searched for `train-images-idx3-ubyte`, `t10k-images-idx3-ubyte`
 * and their likes (`-` or `.` before `idx`, a set's name in front, `test` for
 * `t10k`). A path to an images file is that file, whatever the split.
 */
export const idx: DatasetFormat = {
  name: 'idx',
  expects: 'a folder with t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (.gz or not), or an idx images file',
  match(location) {
    if (location.kind === 'folder') return location.files.some((name) => IMAGES.test(name));
    if (IMAGES.test(location.name) || LABELS.test(location.name)) return true;
    if (/\.(bin|npy|npz|csv|tsv|txt|tra|tes|data)$/i.test(location.name)) return false;
    const [a, b, type = 0, rank = 0] = location.head;
    return /\.gz$/i.test(location.name) || (a === 0 && b === 0 && type in TYPES && rank >= 1 && rank <= 4);
  },
  async open(location, split) {
    const images = location.kind === 'file' ? location.path : join(location.path, imagesOf(location, split));
    const labels = await labelsOf(images);
    const { shape, values } = await readIdx(images);
    if (shape.length < 2) {
      throw new InputError(`images file not found: ${images} holds ${showShape(shape)}; name the file of the images`);
    }
    const numbers = toLabels(await readIdx(labels), labels);
    return assembleDataset('idx', images, sampleShape(shape), values, numbers);
  },
};

const IMAGES = /^(.*?)images([-.]idx\d-(?:ubyte|byte|short|int|float|double))(\.gz)?$/i;
const LABELS = /^(.*?)labels([-.]idx\d-(?:ubyte|byte|short|int))(\.gz)?$/i;

const TYPES: Readonly<Record<number, ElementType>> = {
  0x08: 'u1',
  0x09: 'i1',
  0x0b: 'i2',
  0x0c: 'i4',
  0x0d: 'f4',
  0x0e: 'f8',
};

/** [N, H, W] are gray images, [N, C, H, W] colour ones, [N, F] rows of a table. */
function sampleShape(shape: Shape): Shape {
  return shape.length === 3 ? [1, ...shape.slice(1)] : shape.slice(1);
}

async function readIdx(path: string): Promise<NumberArray> {
  return withSource(path, async (source) => {
    const magic = new Uint8Array(4);
    await source.read(magic);
    const type = TYPES[magic[2]!];
    const rank = magic[3]!;
    if (magic[0] !== 0 || magic[1] !== 0 || type === undefined || rank < 1 || rank > 4) {
      const shown = [...magic].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
      throw new InputError(`not an idx file: ${path} starts with ${shown}; choose a file in a format that is read`);
    }
    const sizes = new Uint8Array(4 * rank);
    await source.read(sizes);
    const view = new DataView(sizes.buffer);
    const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 * axis));
    return readNumbers(source, 4 + sizes.length, { type, littleEndian: false }, shape);
  });
}

function imagesOf(location: Location & { kind: 'folder' }, split: Split): string {
  const all = location.files.filter((name) => IMAGES.test(name));
  const fitting = all.filter((name) => splitOfName(name) === split);
  // One set may lie there both gzipped and not.
  const sets = new Map(fitting.map((name) => [name.replace(/\.gz$/i, ''), name]));
  if (sets.size === 0) throw splitMissing(split, location.path, all);
  if (sets.size > 1) {
    throw new InputError(`data ambiguous: ${location.path} holds several sets (${listNames(fitting)}); name one file`);
  }
  return [...sets.values()][0]!;
}

/** The labels file beside an images file: `labels` for `images`, one axis, of any type, gzipped or not. */
async function labelsOf(images: string): Promise<string> {
  const name = basename(images);
  const plain = name.toLowerCase().replace(/\.gz$/, '');
  if (LABELS.test(name)) throw new InputError(`images file wanted: ${images} is the labels; name the images beside it`);
  if (!plain.includes('images')) {
    throw new InputError(`labels not found: no "images" in the name ${images}; name the pair …images… and …labels…`);
  }
  const wanted = plain.replace(/images(?!.*images)/, 'labels').replace(/idx\d-\w+$/, 'idx1-ubyte');
  const withoutType = (file: string): string => file.replace(/(idx1)-\w+$/, '$1');
  const folder = await locate(dirname(images));
  const files = folder.kind === 'folder' ? folder.files : [];
  const found = files.find((file) => withoutType(file.toLowerCase().replace(/\.gz$/, '')) === withoutType(wanted));
  if (found === undefined) throw new InputError(`labels not found: ${wanted} (or .gz) beside ${images}; put it there`);
  return join(dirname(images), found);
}
