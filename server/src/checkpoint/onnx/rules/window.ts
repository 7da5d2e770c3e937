import type { Shape } from '../../../graph/ir';
import { formatShape } from '../../../graph/shapes';
import { DAMAGED, type NodeView } from '../node-view';

/** Sliding windows as convolutions and pools share them. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Begin paddings of every spatial axis, then end paddings. */
  readonly pads: readonly number[];
}

type AutoPad = 'NOTSET' | 'VALID' | 'SAME_UPPER' | 'SAME_LOWER';

export function autoPad(node: NodeView): AutoPad {
  const mode = node.string('auto_pad', 'NOTSET');
  if (mode === 'NOTSET' || mode === 'VALID' || mode === 'SAME_UPPER' || mode === 'SAME_LOWER') return mode;
  throw node.error(`auto_pad ${JSON.stringify(mode)}`, DAMAGED);
}

/** A list with one entry per spatial axis. */
export function spatialInts(node: NodeView, name: string, rank: number, otherwise: number, least: number): number[] {
  const values = node.optionalInts(name) ?? new Array<number>(rank).fill(otherwise);
  if (values.length !== rank || values.some((value) => !(value >= least))) {
    throw node.error(`${name} ${formatShape(values)} for ${rank} spatial axes`, DAMAGED);
  }
  return values;
}

/** Size of the kernel with its gaps. */
export const extent = (kernel: number, dilation: number): number => dilation * (kernel - 1) + 1;

/** Splits `total` padding into begin and end; the odd one goes to the end for SAME_UPPER. */
export function splitPads(totals: readonly number[], oddAtEnd: boolean): number[] {
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total, axis) => total - small[axis]!);
  return oddAtEnd ? [...small, ...large] : [...large, ...small];
}

/** Strides, dilations and paddings of a node whose windows slide over `spatial` with `kernel`. */
export function windowOf(node: NodeView, spatial: Shape, kernel: readonly number[]): Window {
  const rank = spatial.length;
  const strides = spatialInts(node, 'strides', rank, 1, 1);
  const dilations = spatialInts(node, 'dilations', rank, 1, 1);
  const mode = autoPad(node);
  if (mode === 'NOTSET') {
    return { kernel, strides, dilations, pads: spatialInts(node, 'pads', 2 * rank, 0, 0) };
  }
  if (mode === 'VALID') return { kernel, strides, dilations, pads: new Array<number>(2 * rank).fill(0) };
  const totals = spatial.map((size, axis) => {
    const positions = Math.ceil(size / strides[axis]!);
    return Math.max(0, (positions - 1) * strides[axis]! + extent(kernel[axis]!, dilations[axis]!) - size);
  });
  return { kernel, strides, dilations, pads: splitPads(totals, mode === 'SAME_UPPER') };
}
