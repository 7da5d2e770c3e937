import { zipArchive } from '../files/zip-write';
import type { Shape } from '../graph/ir';

/** Which weights of one layer stay: row-major, 1 where one does. */
export interface LayerMask {
  /** Name of the weight tensor in the checkpoint. */
  readonly name: string;
  readonly shape: Shape;
  readonly mask: Uint8Array;
}

/**
 * The mask file: an `.npz` as `numpy.savez_compressed` writes it, with one
 * array of booleans per weight tensor, under the tensor's name and in its
 * shape, true where the weight stays.
 *
 *     mask = numpy.load('mask.npz')['conv1.weight']
 */
export function maskFile(layers: readonly LayerMask[]): Uint8Array {
  return zipArchive(
    layers.map(({ name, shape, mask }) => ({ name: `${name}.npy`, content: npyOfBooleans(shape, mask) })),
  );
}

/** numpy.lib.format, version 1.0: the header is padded so that the data begin at a multiple of 64. */
function npyOfBooleans(shape: Shape, values: Uint8Array): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const header = `{'descr': '|b1', 'fortran_order': False, 'shape': ${tuple}, }`;
  const length = Math.ceil((10 + header.length + 1) / 64) * 64 - 10;
  const start = Buffer.alloc(10);
  start.write('\x93NUMPY\x01\x00', 'latin1');
  start.writeUInt16LE(length, 8);
  return Buffer.concat([start, Buffer.from(`${header.padEnd(length - 1)}\n`, 'latin1'), values]);
}
