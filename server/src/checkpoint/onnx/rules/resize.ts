import type { GraphBuilder } from '../../../graph/builder';
import type { AnyNode, Shape } from '../../../graph/ir';
import { elementCount, formatShape } from '../../../graph/shapes';
import { DAMAGED, type NodeView } from '../node-view';
import type { LayoutRule } from './layout';
import { compute, layout, type Rule } from './rule';

/**
 * Resize and Upsample: linear in the input and separable, so that every axis is
 * a product with a fixed matrix, or picks rows where each output is one input.
 */

/** What an axis becomes. */
interface Resized {
  readonly axis: number;
  readonly from: number;
  readonly to: number;
  readonly scale: number;
  /** The part of the input that is kept, in units of its length less one. */
  readonly roi: readonly [start: number, end: number];
}

/** The inputs of one output element along an axis, and their weights; none where it lies outside. */
type Taps = readonly (readonly [index: number, weight: number])[];

/** Longer axes, and larger matrices, no image has. */
const LONGEST = 2 ** 18;
const LARGEST_MATRIX = 2 ** 24;

/** @throws InputError when sizes and scales are missing or do not fit the input */
function resizedAxes(node: NodeView): Resized[] {
  const shape = node.shape(0);
  const legacy = isLegacy(node);
  const list = (index: number): number[] => (node.has(index) ? node.knownNumbers(index) : []);
  const scales = legacy
    ? node.has(1)
      ? list(1)
      : (node.optionalFloats('scales') ?? [])
    : list(2).map((scale) => Math.fround(scale));
  const sizes = legacy ? [] : list(3);
  const axes = node.axes(node.optionalInts('axes') ?? shape.map((_, axis) => axis), shape.length);
  const given = scales.length > 0 ? scales : sizes;
  if (given.length !== axes.length || !given.every((value) => value > 0 && Number.isFinite(value))) {
    throw node.error(`scales ${formatShape(scales)}, sizes ${formatShape(sizes)} of ${formatShape(shape)}`, DAMAGED);
  }
  const crop = cropMode(node) ? list(1) : [];
  if (crop.length !== 0 && crop.length !== 2 * axes.length) throw node.error(`roi ${formatShape(crop)}`, DAMAGED);
  const wanted = axes.map((axis, i) => wantedSize(node, axis, shape[axis]!, scales[i], sizes[i]));
  const policy = node.string('keep_aspect_ratio_policy', 'stretch');
  const ratios = wanted.map(({ scale }) => scale);
  const common =
    scales.length > 0 || policy === 'stretch'
      ? null
      : policy === 'not_larger'
        ? Math.min(...ratios)
        : Math.max(...ratios);
  return axes.map((axis, i) => {
    const from = shape[axis]!;
    const roi = [crop[i] ?? 0, crop[axes.length + i] ?? 1] as const;
    const { to, scale } = common === null ? wanted[i]! : { to: Math.floor(common * from + 0.5), scale: common };
    if (to !== from && !(to <= LONGEST && from <= LONGEST)) throw node.error(`axis of ${from} to ${to}`, DAMAGED);
    return { axis, from, to, scale, roi };
  });
}

function wantedSize(
  node: NodeView,
  axis: number,
  from: number,
  scale: number | undefined,
  size: number | undefined,
): { to: number; scale: number } {
  // Runtimes compute this in float32.
  if (scale !== undefined) return { to: Math.floor(Math.fround(scale * from)), scale };
  const { rebatch } = node;
  // An exporter wrote its own batch size down.
  const isBatch = axis === 0 && rebatch !== null && from === rebatch.to && size === rebatch.from;
  const to = isBatch ? from : size!;
  return { to, scale: to / from };
}

/** Upsample, and the first form of Resize: no sizes, and one way to map positions. */
const isLegacy = (node: NodeView): boolean => node.node.op === 'Upsample' || node.opset < 11;

const cropMode = (node: NodeView): boolean => transformation(node) === 'tf_crop_and_resize';

/** How output positions become input positions. */
function transformation(node: NodeView): string {
  if (isLegacy(node)) return 'asymmetric';
  return node.string('coordinate_transformation_mode', 'half_pixel');
}

function position(node: NodeView, mode: string, { from, to, scale, roi }: Resized, x: number): number {
  // Not the number of outputs, which are whole.
  const width = scale * from;
  switch (mode) {
    case 'half_pixel':
      return (x + 0.5) / scale - 0.5;
    case 'half_pixel_symmetric':
      return (from / 2) * (1 - to / width) + (x + 0.5) / scale - 0.5;
    case 'pytorch_half_pixel':
      return to === 1 ? -0.5 : (x + 0.5) / scale - 0.5;
    case 'align_corners':
      return to === 1 ? 0 : (x * (from - 1)) / (width - 1);
    case 'asymmetric':
      return x / scale;
    case 'tf_half_pixel_for_nn':
      return (x + 0.5) / scale;
    case 'tf_crop_and_resize': {
      const [start, end] = roi;
      const inside = to === 1 ? ((end - start) * (from - 1)) / 2 : (x * (end - start) * (from - 1)) / (width - 1);
      return start * (from - 1) + inside;
    }
    default:
      throw node.error(`coordinate_transformation_mode ${mode} not supported`);
  }
}

const roundings: Readonly<Record<string, (x: number) => number>> = {
  floor: Math.floor,
  ceil: Math.ceil,
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
};

const linearKernel = (x: number): number => Math.max(0, 1 - Math.abs(x));

/** Keys's cubic convolution with parameter `a`. */
const cubicKernel =
  (a: number) =>
  (distance: number): number => {
    const x = Math.abs(distance);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((x - 5) * x + 8) * x * a - 4 * a : 0;
  };

function tapsOf(node: NodeView, resized: Resized): Taps[] {
  const { from, to, scale } = resized;
  if (to === from && scale === 1 && !cropMode(node)) return [];
  const mode = transformation(node);
  const kind = node.string('mode', 'nearest');
  const inside = (index: number): number => Math.min(Math.max(index, 0), from - 1);
  const nearest = isLegacy(node) ? 'floor' : node.string('nearest_mode', 'round_prefer_floor');
  const round = roundings[nearest];
  if (round === undefined) throw node.error(`nearest_mode ${nearest} not supported`);
  if (!['nearest', 'linear', 'bilinear', 'cubic'].includes(kind)) throw node.error(`mode ${kind} not supported`);
  const kernel = kind === 'cubic' ? cubicKernel(node.float('cubic_coeff_a', -0.75)) : linearKernel;
  const support = kind === 'cubic' ? 2 : 1;
  const width = node.int('antialias', 0) !== 0 ? Math.min(scale, 1) : 1;
  const excludes = node.int('exclude_outside', 0) !== 0;
  const first = Math.floor(-support / width) + 1;
  return Array.from({ length: to }, (_, i) => {
    const x = position(node, mode, resized, i);
    if (cropMode(node) && !(x >= 0 && x <= from - 1)) return [];
    if (kind === 'nearest') return [[inside(round(x)), 1]];
    const base = Math.floor(x);
    const taps: [number, number][] = [];
    for (let k = first; k <= 1 - first; k++) {
      const outside = base + k < 0 || base + k >= from;
      taps.push([inside(base + k), excludes && outside ? 0 : kernel((base + k - x) * width)]);
    }
    const sum = taps.reduce((total, [, weight]) => total + weight, 0);
    return taps.map(([index, weight]) => [index, weight / sum]);
  });
}

/** Whether an axis stays as it is; an output without taps lies outside and is no input. */
const isIdentity = (taps: readonly Taps[], { from, to }: Resized): boolean =>
  to === from &&
  taps.every((list, i) => list.length > 0 && list.every(([index, weight]) => weight === 0 || index === i));

const pickRows: LayoutRule = (node, [x], algebra) => [
  resizedAxes(node).reduce((value, resized) => {
    const taps = tapsOf(node, resized);
    if (isIdentity(taps, resized)) return value;
    return algebra.gather(
      value,
      resized.axis,
      Int32Array.from(taps, (list) => list[0]![0]),
    );
  }, x!),
];

/** M [to, from] along an axis of x. */
function alongAxis(b: GraphBuilder, x: AnyNode, axis: number, matrix: AnyNode): AnyNode {
  const rank = x.shape.length;
  if (rank > 1 && axis === rank - 2) return b.matmul(matrix, x);
  if (rank > 1 && axis === rank - 1) return b.matmul(x, matrix, false, true);
  const others = x.shape.map((_, i) => i).filter((i) => i !== axis);
  const rows = b.reshape(b.transpose(x, [...others, axis]), [
    elementCount(others.map((i) => x.shape[i]!)),
    x.shape[axis]!,
  ]);
  const product = b.reshape(b.matmul(rows, matrix, false, true), [...others.map((i) => x.shape[i]!), matrix.shape[0]!]);
  const back = x.shape.map((_, i) => (i === axis ? rank - 1 : others.indexOf(i)));
  return b.transpose(product, back);
}

function interpolate(node: NodeView): AnyNode {
  const b = node.builder;
  const axes = resizedAxes(node).map((resized) => ({ ...resized, taps: tapsOf(node, resized) }));
  const result = axes.reduce((x, resized) => {
    const { axis, from, to, taps } = resized;
    if (isIdentity(taps, resized)) return x;
    if (to * from > LARGEST_MATRIX)
      throw node.error(`axis of ${from} to ${to}`, 'export the network for smaller images');
    const matrix = new Float32Array(to * from);
    taps.forEach((list, row) => list.forEach(([index, weight]) => (matrix[row * from + index]! += weight)));
    return alongAxis(b, x, axis, b.constant(matrix, [to, from]));
  }, node.x(0));
  const outside = node.float('extrapolation_value', 0);
  if (outside === 0 || axes.every(({ taps }) => taps.every((list) => list.length > 0))) return result;
  return b.add(result, extrapolated(b, result.shape, axes, outside));
}

/** `value` where an output lies outside of the input along any axis, else 0. */
function extrapolated(
  b: GraphBuilder,
  shape: Shape,
  axes: readonly { readonly axis: number; readonly taps: readonly Taps[] }[],
  value: number,
): AnyNode {
  const inside = axes
    .map(({ taps, axis }) =>
      b.constant(
        Float32Array.from(taps, (list) => (list.length > 0 ? 1 : 0)),
        shape.map((_, i) => (i === axis ? taps.length : 1)),
      ),
    )
    .reduce((mask, next) => b.mul(mask, next));
  return b.mul(b.sub(b.scalar(1), inside), b.scalar(value));
}

const picking = layout(pickRows);
const computing = compute(interpolate, { data: [0] });

const resize: Rule = (node) =>
  (node.string('mode', 'nearest') === 'nearest' && !cropMode(node) ? picking : computing)(node);

export const resizeRules = { Resize: resize, Upsample: resize } satisfies Record<string, Rule>;
