import { closeSync, openSync, writeSync } from 'node:fs';
import { InputError } from '../errors';
import { readRange } from '../files/ranges';
import { rowMajorStrides } from '../graph/shapes';
import type { ByteRun, Place, StoredTensor } from './stored-tensor';
import type { Change } from './writer';

/** Bytes that are changed where they are: those of a copied file, or of an entry of an archive. */
export interface Bytes {
  read(start: number, length: number): Uint8Array;
  write(start: number, bytes: Uint8Array): void;
}

/** The bytes of a file from `base` on. */
export function bytesOfFile(path: string, base = 0): Bytes {
  return {
    read: (start, length) => readRange(path, base + start, length),
    write(start, bytes) {
      const descriptor = openSync(path, 'r+');
      try {
        for (let done = 0; done < bytes.length;) {
          done += writeSync(descriptor, bytes, done, Math.min(bytes.length - done, 2 ** 30), base + start + done);
        }
      } finally {
        closeSync(descriptor);
      }
    },
  };
}

export function bytesInMemory(memory: Uint8Array): Bytes {
  return {
    read: (start, length) => memory.subarray(start, start + length),
    write: (start, bytes) => memory.set(bytes, start),
  };
}

/**
 * Puts the elements of changed tensors where they lie. Two tensors that share
 * elements end with those of the later one; whoever reads the copy back finds that.
 *
 * @param bytesOf the copy of what a run is a part of
 * @throws InputError when a tensor has no place of its own
 */
export function changeInPlace(changes: readonly Change[], bytesOf: (run: ByteRun) => Bytes): void {
  for (const { name, tensor, edit } of changes) {
    const { runs, strides, encode } = bytePlace(tensor, name);
    const edited = edit(tensor);
    const elements = encode?.(edited) ?? edited;
    const isDense =
      strides === undefined || rowMajorStrides(tensor.shape).every((s, i) => tensor.shape[i] === 1 || s === strides[i]);
    const span = isDense ? elements : scattered(tensor, strides, elements, runs, bytesOf);
    let done = 0;
    for (const run of runs) {
      bytesOf(run).write(run.start, span.subarray(done, done + run.length));
      done += run.length;
    }
  }
}

/** @throws InputError when a tensor does not say where its bytes lie */
export function bytePlace({ place }: StoredTensor, name: string): Extract<Place, { kind: 'bytes' }> {
  if (place?.kind === 'bytes') return place;
  throw new InputError(`tensor without bytes of its own: ${name}; save the network anew`);
}

/** The stretch that the elements are spread over, with what lies between them. */
function scattered(
  { shape }: StoredTensor,
  strides: readonly number[],
  elements: Uint8Array,
  runs: readonly ByteRun[],
  bytesOf: (run: ByteRun) => Bytes,
): Uint8Array {
  const span = Uint8Array.from(Buffer.concat(runs.map((run) => bytesOf(run).read(run.start, run.length))));
  const count = shape.reduce((product, size) => product * size, 1);
  const width = elements.length / count;
  const position = new Array<number>(shape.length).fill(0);
  for (let i = 0, at = 0; i < count; i++) {
    span.set(elements.subarray(i * width, (i + 1) * width), at * width);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++position[axis]! < shape[axis]!) break;
      at -= strides[axis]! * shape[axis]!;
      position[axis] = 0;
    }
  }
  return span;
}
