import type { AnyNode } from '../../../graph/ir';
import { elementCount, formatShape, rowMajorStrides } from '../../../graph/shapes';
import { DAMAGED, type NodeView } from '../node-view';
import { compute, type Rule } from './rule';

/** Padding: constant, reflect, edge and wrap; negative amounts crop. */

interface Amounts {
  readonly begins: number[];
  readonly ends: number[];
}

function amounts(node: NodeView, rank: number): Amounts {
  const pads = node.opset < 2 ? node.ints('paddings') : node.opset < 11 ? node.ints('pads') : node.knownNumbers(1);
  const asked = node.opset >= 18 && node.has(3) ? node.knownNumbers(3) : Array.from({ length: rank }, (_, a) => a);
  const axes = node.axes(asked, rank);
  if (pads.length !== 2 * axes.length) throw node.error(`pads ${formatShape(pads)} for ${axes.length} axes`, DAMAGED);
  const begins = new Array<number>(rank).fill(0);
  const ends = new Array<number>(rank).fill(0);
  for (const [i, axis] of axes.entries()) {
    begins[axis] = pads[i]!;
    ends[axis] = pads[i + axes.length]!;
  }
  return { begins, ends };
}

function pad(node: NodeView): AnyNode {
  const x = node.x(0);
  const { begins, ends } = amounts(node, x.shape.length);
  const mode = node.string('mode', 'constant');
  if (mode === 'constant') return padConstant(node, x, begins, ends);
  const source = Object.hasOwn(sources, mode) ? sources[mode] : undefined;
  if (source === undefined) throw node.error(`mode ${JSON.stringify(mode)}`, DAMAGED);
  return x.shape.reduce((result, size, axis) => {
    const [begin, end] = [begins[axis]!, ends[axis]!];
    if (begin === 0 && end === 0) return result;
    const indices = Int32Array.from({ length: node.tableSize(size + begin + end, 'axis') }, (_, i) =>
      source(i - begin, size),
    );
    if (size === 0 || indices.some((index) => index < 0 || index >= size)) {
      throw node.error(`mode ${mode} with pads ${begin}, ${end} of ${size} elements`, DAMAGED);
    }
    return node.builder.gather(result, axis, indices);
  }, x);
}

/** Which element stands at position `i` of an axis of `size` elements, for every position outside too. */
const sources: Readonly<Record<string, (i: number, size: number) => number>> = {
  edge: (i, size) => Math.min(Math.max(i, 0), size - 1),
  wrap: (i, size) => ((i % size) + size) % size,
  reflect: (i, size) => {
    if (size === 1) return 0;
    const period = 2 * (size - 1);
    const at = ((i % period) + period) % period;
    return at < size ? at : period - at;
  },
};

function padConstant(node: NodeView, x: AnyNode, begins: readonly number[], ends: readonly number[]): AnyNode {
  const b = node.builder;
  const cropped = b.slice(
    x,
    begins.map((begin) => Math.max(0, -begin)),
    begins.map(() => 1),
    x.shape.map((size, a) => size + Math.min(0, begins[a]!) + Math.min(0, ends[a]!)),
  );
  const starts = begins.map((begin) => Math.max(0, begin));
  const shape = cropped.shape.map((size, a) => size + starts[a]! + Math.max(0, ends[a]!));
  const padded = b.embed(
    cropped,
    starts,
    starts.map(() => 1),
    shape,
  );
  const fill = fillValue(node);
  if (fill === 0 || padded === cropped) return padded;
  // The embedding holds zeros: add the value outside of the window.
  const inside = insideMask(shape, starts, cropped.shape);
  if (typeof fill === 'number') {
    return b.add(
      padded,
      b.constant(
        inside.map((one) => (one === 1 ? 0 : fill)),
        shape,
      ),
    );
  }
  return b.where(b.constant(inside, shape), padded, fill);
}

function fillValue(node: NodeView): number | AnyNode {
  if (node.opset < 11) return node.float('value', 0);
  if (!node.has(2)) return 0;
  const value = node.value(2);
  return value.isKnown ? (value.tensor().values[0] ?? 0) : node.builder.reshape(value.node(), []);
}

/** 1 inside the window that starts at `starts`, else 0. */
function insideMask(shape: readonly number[], starts: readonly number[], window: readonly number[]): Float32Array {
  const strides = rowMajorStrides(shape);
  return new Float32Array(elementCount(shape)).map((_, i) =>
    shape.every((size, a) => {
      const at = (Math.floor(i / strides[a]!) % size) - starts[a]!;
      return at >= 0 && at < window[a]!;
    })
      ? 1
      : 0,
  );
}

export const padRules = { Pad: compute(pad, { data: [0] }) } satisfies Record<string, Rule>;
