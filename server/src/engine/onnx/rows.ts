import { createHash } from 'node:crypto';
import type { OnnxWriter } from './writer';

/** Stands in a table of `reorderRows` for a row of zeros. */
export const ZERO = -1;

/** 0, stride, 2·stride …: where the rows along an axis lie. */
export function steps(count: number, stride: number): number[] {
  return Array.from({ length: count }, (_, i) => i * stride);
}

/**
 * Rows of equal width in another order, some more than once, some left out: a
 * Transpose, Pad and Gather in one. onnxruntime's Gather runs on all threads, its
 * Transpose and its Pad on one, and blocks of channels make the rows long
 * enough: a place is an index of 4 bytes, a row of 16 floats 64.
 *
 * @param x value that is rows one after the other
 * @param count of its rows
 * @param width floats in a row
 * @param axes by axis of the result, where along it the rows lie in `x`: the places
 * of all axes are added. `ZERO` anywhere makes the row zeros
 * @returns [rows of the result, width]
 */
export function reorderRows(
  writer: OnnxWriter,
  x: string,
  count: number,
  width: number,
  axes: readonly (readonly number[])[],
): string {
  let source = writer.node('Reshape', [x, writer.ints([count, width])]);
  if (axes.some((places) => places.includes(ZERO))) {
    const zeros = writer.node('Expand', [writer.scalar(0), writer.ints([1, width])]);
    source = writer.node('Concat', [source, zeros], { axis: 0 });
  }
  const order = writer.narrow(`rows ${count} ${digest(axes)}`, () => orderOf(axes, count));
  return writer.node('Gather', [source, order], { axis: 0 });
}

/** Of the places: there may be a million along one axis. */
function digest(axes: readonly (readonly number[])[]): string {
  const hash = createHash('sha256');
  for (const places of axes) hash.update(Int32Array.of(places.length)).update(Int32Array.from(places));
  return hash.digest('hex');
}

/** Row-major over the axes; `zero` is the row of zeros. */
function orderOf(axes: readonly (readonly number[])[], zero: number): Int32Array {
  const order = new Int32Array(axes.reduce((product, { length }) => product * length, 1));
  let filled = 1;
  for (const places of axes) {
    const known = order.slice(0, filled);
    let at = 0;
    for (const base of known) {
      for (const place of places) order[at++] = base === zero || place === ZERO ? zero : base + place;
    }
    filled = at;
  }
  return order;
}
