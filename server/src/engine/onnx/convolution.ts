import type { ConvAttributes, Shape } from '../../graph/ir';
import { elementCount } from '../../graph/shapes';
import type { OnnxDialect } from './dialect';
import type { OnnxWriter } from './writer';

/** Attributes of ONNX Conv and ConvTranspose. */
function onnxAttributes(attributes: ConvAttributes, kernel: Shape) {
  return {
    kernel_shape: [...kernel],
    strides: [...attributes.strides],
    dilations: [...attributes.dilations],
    pads: [...attributes.pads],
    group: attributes.group,
  };
}

/** conv(x, w), plus a bias [K] where there is one. */
export function emitConv(
  writer: OnnxWriter,
  x: string,
  w: string,
  kernel: Shape,
  attributes: ConvAttributes,
  bias?: string,
): string {
  return writer.node('Conv', bias === undefined ? [x, w] : [x, w, bias], onnxAttributes(attributes, kernel));
}

/**
 * Adjoint of a convolution in its input: g [N,K,…], w [K,C/g,…] → [N,C,…inputShape].
 *
 * With stride 1 a convolution with the flipped, transposed kernel is faster
 * than ConvTranspose (docs/engine.md has the figures).
 */
export function emitConvInputGrad(
  writer: OnnxWriter,
  g: string,
  gShape: Shape,
  w: string,
  wShape: Shape,
  attributes: ConvAttributes & { readonly inputShape: Shape },
): string {
  const kernel = wShape.slice(2);
  const rank = kernel.length;
  const extent = kernel.map((k, axis) => attributes.dilations[axis]! * (k - 1) + 1);
  const flippedPads = [
    ...extent.map((e, axis) => e - 1 - attributes.pads[axis]!),
    ...extent.map((e, axis) => e - 1 - attributes.pads[axis + rank]!),
  ];
  const unitStride = attributes.strides.every((stride) => stride === 1);
  if (unitStride && flippedPads.every((pad) => pad >= 0)) {
    const flipped = flipKernel(writer, w, wShape, attributes.group);
    return emitConv(writer, g, flipped, kernel, { ...attributes, pads: flippedPads });
  }
  const outputPadding = kernel.map((_, axis) => {
    const reached = (gShape[axis + 2]! - 1) * attributes.strides[axis]! + extent[axis]!;
    return attributes.inputShape[axis]! + attributes.pads[axis]! + attributes.pads[axis + rank]! - reached;
  });
  return writer.node('ConvTranspose', [g, w], {
    ...onnxAttributes(attributes, kernel),
    output_padding: outputPadding,
  });
}

/** [K, C/g, …] → [C, K/g, …] with every spatial axis reversed. */
function flipKernel(writer: OnnxWriter, w: string, wShape: Shape, group: number): string {
  const [outputs, inputs] = [wShape[0]!, wShape[1]!];
  const kernel = wShape.slice(2);
  const spatial = kernel.map((_, axis) => axis);
  let swapped: string;
  if (group === 1) {
    swapped = writer.node('Transpose', [w], { perm: [1, 0, ...spatial.map((axis) => axis + 2)] });
  } else {
    const split = writer.node('Reshape', [w, writer.ints([group, outputs / group, inputs, ...kernel])]);
    const transposed = writer.node('Transpose', [split], { perm: [0, 2, 1, ...spatial.map((axis) => axis + 3)] });
    swapped = writer.node('Reshape', [transposed, writer.ints([group * inputs, outputs / group, ...kernel])]);
  }
  const axes = spatial.filter((axis) => kernel[axis]! > 1);
  if (axes.length === 0) return swapped;
  return writer.node('Slice', [
    swapped,
    writer.ints(axes.map((axis) => kernel[axis]! - 1)),
    writer.ints(axes.map((axis) => -kernel[axis]! - 1)),
    writer.ints(axes.map((axis) => axis + 2)),
    writer.ints(axes.map(() => -1)),
  ]);
}

/** Below this many output channels and above this many output pixels a product per sample wins over one long one. */
const BATCHED_CHANNELS = 64;
const BATCHED_PIXELS = 512;
/** A GPU works on so many rows and columns of a product at once … */
const TILE = 32;
/** … and on so many tiles; one long product with fewer leaves it idle, one per sample does not. */
const FEW_TILES = 64;

/**
 * Adjoint of a convolution in its weights: x [N,C,…], g [N,K,…] → [K,C/g,…kernel].
 *
 * For every kernel offset the window of x that it touches is multiplied with
 * g: onnxruntime has no kernel of its own for it, and a convolution with
 * swapped roles runs at a third of the speed.
 */
export function emitConvWeightGrad(
  writer: OnnxWriter,
  x: string,
  xShape: Shape,
  g: string,
  gShape: Shape,
  attributes: ConvAttributes & { readonly kernelShape: Shape },
  dialect: OnnxDialect,
): string {
  const outputs = gShape[1]!;
  const inputs = xShape[1]! / attributes.group;
  const pixels = elementCount(gShape.slice(2));
  const offsets = kernelOffsets(attributes.kernelShape);
  const tiles = Math.ceil(outputs / TILE) * Math.ceil(inputs / TILE);
  const perSample = dialect.fusedMatMul
    ? outputs <= BATCHED_CHANNELS && pixels >= BATCHED_PIXELS
    : tiles < FEW_TILES && gShape[0]! > 1;
  const products =
    attributes.group > 1 || perSample
      ? perSampleProducts(writer, x, xShape, g, gShape, attributes, offsets, dialect)
      : longProducts(writer, x, xShape, g, gShape, attributes, offsets);
  const shape = [outputs, inputs, ...attributes.kernelShape];
  if (products.length === 1) return writer.node('Reshape', [products[0]!, writer.ints(shape)]);
  // [taps, K, C/g] → [K, C/g, taps]
  const stacked = writer.node('Concat', products, { axis: 0 });
  const last = writer.node('Transpose', [stacked], { perm: [1, 2, 0] });
  return writer.node('Reshape', [last, writer.ints(shape)]);
}

/** One product [1,K,C] per offset over samples and pixels at once, channels last. No groups. */
function longProducts(
  writer: OnnxWriter,
  x: string,
  xShape: Shape,
  g: string,
  gShape: Shape,
  attributes: ConvAttributes,
  offsets: readonly (readonly number[])[],
): string[] {
  const rank = gShape.length - 2;
  const spatialAxes = Array.from({ length: rank }, (_, axis) => axis + 2);
  const rows = gShape[0]! * elementCount(gShape.slice(2));
  const padded = padSpatial(writer, x, attributes.pads);
  const channelsLast = writer.node('Transpose', [padded], { perm: [0, ...spatialAxes, 1] });
  const gRows = writer.node('Transpose', [g], { perm: [1, 0, ...spatialAxes] });
  const gMatrix = writer.node('Reshape', [gRows, writer.ints([gShape[1]!, rows])]);
  return offsets.map((offset) => {
    const window = sliceWindow(writer, channelsLast, offset, gShape.slice(2), attributes, 1);
    const matrix = writer.node('Reshape', [window, writer.ints([rows, xShape[1]!])]);
    const product = writer.node('MatMul', [gMatrix, matrix]);
    return writer.node('Reshape', [product, writer.ints([1, gShape[1]!, xShape[1]!])]);
  });
}

/** One product per sample and group for every offset, summed over samples: [1,K,C/g]. */
function perSampleProducts(
  writer: OnnxWriter,
  x: string,
  xShape: Shape,
  g: string,
  gShape: Shape,
  attributes: ConvAttributes,
  offsets: readonly (readonly number[])[],
  dialect: OnnxDialect,
): string[] {
  const { group } = attributes;
  const samples = gShape[0]!;
  const pixels = elementCount(gShape.slice(2));
  const [outputs, inputs] = [gShape[1]! / group, xShape[1]! / group];
  const padded = padSpatial(writer, x, attributes.pads);
  const gMatrix = writer.node('Reshape', [g, writer.ints([samples, group, outputs, pixels])]);
  // Without a product that transposes, the pixels come before the channels from the start.
  const source = dialect.fusedMatMul ? padded : channelsLast(writer, padded, xShape, attributes);
  return offsets.map((offset) => {
    const window = sliceWindow(writer, source, offset, gShape.slice(2), attributes, 2);
    const matrixShape = dialect.fusedMatMul ? [samples, group, inputs, pixels] : [samples, group, pixels, inputs];
    const matrix = writer.node('Reshape', [window, writer.ints(matrixShape)]);
    const product = dialect.fusedMatMul
      ? writer.node('FusedMatMul', [gMatrix, matrix], { transB: 1 }, 'com.microsoft')
      : writer.node('MatMul', [gMatrix, matrix]);
    const sum = writer.node('ReduceSum', [product, writer.ints([0])], { keepdims: 1 });
    return writer.node('Reshape', [sum, writer.ints([1, gShape[1]!, inputs])]);
  });
}

/** [N, g·C, …] → [N, g, …, C]. */
function channelsLast(writer: OnnxWriter, padded: string, xShape: Shape, { pads, group }: ConvAttributes): string {
  const [samples, channels, ...spatial] = xShape as readonly [number, number, ...number[]];
  const rank = spatial.length;
  const extents = spatial.map((size, axis) => size + pads[axis]! + pads[axis + rank]!);
  const split = writer.node('Reshape', [padded, writer.ints([samples, group, channels / group, ...extents])]);
  return writer.node('Transpose', [split], { perm: [0, 1, ...extents.map((_, axis) => axis + 3), 2] });
}

function kernelOffsets(kernel: Shape): number[][] {
  return kernel.reduce<number[][]>(
    (offsets, size) => offsets.flatMap((offset) => Array.from({ length: size }, (_, k) => [...offset, k])),
    [[]],
  );
}

function padSpatial(writer: OnnxWriter, x: string, pads: readonly number[]): string {
  if (pads.every((pad) => pad === 0)) return x;
  const rank = pads.length / 2;
  return writer.node('Pad', [x, writer.ints([0, 0, ...pads.slice(0, rank), 0, 0, ...pads.slice(rank)])]);
}

/** Elements that kernel offset `offset` meets, of a tensor whose spatial axes start at `firstAxis`. */
function sliceWindow(
  writer: OnnxWriter,
  x: string,
  offset: readonly number[],
  out: Shape,
  { strides, dilations }: ConvAttributes,
  firstAxis: number,
): string {
  const starts = offset.map((k, axis) => k * dilations[axis]!);
  return writer.node('Slice', [
    x,
    writer.ints(starts),
    writer.ints(starts.map((start, axis) => start + (out[axis]! - 1) * strides[axis]! + 1)),
    writer.ints(out.map((_, axis) => axis + firstAxis)),
    writer.ints(strides),
  ]);
}
