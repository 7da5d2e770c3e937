// Draws the demonstration's data: `node out/samples/digits.script.cjs [folder]`.
// Same bytes on every machine, so that a change shows in version control.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { drawDigits, SIZE } from './strokes';

const SETS = [
  { name: 'train', count: 6000, seed: 1 },
  { name: 't10k', count: 2000, seed: 2 },
];

/** An idx file of bytes, gzipped. */
function idxFile(shape: readonly number[], content: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  shape.forEach((size, axis) => header.writeUInt32BE(size, 4 + 4 * axis));
  const zipped = gzipSync(Buffer.concat([header, content]), { level: 9, memLevel: 9 });
  // The operating system's number is the one byte of the header that differs; 255 is unknown.
  zipped[9] = 255;
  return zipped;
}

const folder = process.argv[2] ?? join(__dirname, '../../samples/data');
mkdirSync(folder, { recursive: true });
for (const { name, count, seed } of SETS) {
  const { images, labels } = drawDigits(count, seed);
  writeFileSync(join(folder, `${name}-images-idx3-ubyte.gz`), idxFile([count, SIZE, SIZE], images));
  writeFileSync(join(folder, `${name}-labels-idx1-ubyte.gz`), idxFile([count], labels));
  console.log(`${name}: ${count} digits of ${SIZE} × ${SIZE} pixels in ${folder}`);
}
