import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { write } from './steps';

/** Of a set that has test images alone, so many are left to test on. */
const HELD_OUT = 1000;

/**
 * The folder of a data set for both splits. A pair of idx files that are test
 * images alone, as the subset of Fashion-MNIST that comes with the test data,
 * is cut in two: the last 1,000 are tested on, the others trained on.
 *
 * @param made folder in which it may make one
 * @throws Error when there is no such data set
 */
export function dataFolder(folder: string, made: string): string {
  if (!existsSync(folder)) throw new Error(`data not found: ${folder}; give the folder of the data sets with --data`);
  const names = readdirSync(folder);
  const test = names.find((name) => /^t10k-images.*idx3/.test(name));
  if (test === undefined || names.some((name) => /^train-images/.test(name))) return folder;
  if (existsSync(join(made, 'done'))) return made;
  mkdirSync(made, { recursive: true });
  for (const [kind, name] of [
    ['images', test],
    ['labels', test.replace('images', 'labels').replace('idx3', 'idx1')],
  ] as const) {
    const stored = readFileSync(join(folder, name));
    const bytes = name.endsWith('.gz') ? gunzipSync(stored) : stored;
    const header = 4 + 4 * bytes[3]!;
    const count = bytes.readUInt32BE(4);
    const size = (bytes.length - header) / count;
    const cut = count - HELD_OUT;
    const idx = kind === 'images' ? 'idx3' : 'idx1';
    for (const [split, from, to] of [
      ['train', 0, cut],
      ['t10k', cut, count],
    ] as const) {
      const part = Buffer.concat([bytes.subarray(0, header), bytes.subarray(header + from * size, header + to * size)]);
      part.writeUInt32BE(to - from, 4);
      write(join(made, `${split}-${kind}-${idx}-ubyte`), part);
    }
  }
  write(join(made, 'done'), '');
  return made;
}
