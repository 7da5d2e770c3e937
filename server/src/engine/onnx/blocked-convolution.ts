import type { GraphNode, Shape } from '../../graph/ir';
import { reorderRows, steps, ZERO } from './rows';
import type { OnnxWriter } from './writer';

/** Domain of onnxruntime's ops on blocked values. */
export const NCHWC = 'com.microsoft.nchwc';

/** One residue of the rows and columns of an input gradient: a convolution of unit stride. */
export interface Phase {
  /** Kernel positions along each axis, in the order of the convolution. */
  readonly taps: readonly (readonly number[])[];
  readonly pads: readonly number[];
}

/** Attributes of a blocked Conv. */
export type ConvolutionNode = {
  readonly kernel_shape: Shape;
  readonly strides: Shape;
  readonly dilations: Shape;
  readonly pads: readonly number[];
  readonly group: 1;
};

/** Samples in a row of images that are too narrow by themselves. */
const ABREAST = 16;
/** Share of an image's columns that its pads are, from which it is too narrow. */
const NARROW = 0.25;
/** Channels in and out from which the time of a convolution is worth a change of the layout. */
const WORTHWHILE = 64 * 64;
/** Kernels and the adjoints of convolutions on blocked values; see `BlockedLayout`. Two spatial axes, no groups. */
export class BlockedConvolutions {
  /** By result of `sideBySide`, the image with the samples in rows that it was cut from. */
  private readonly rowsOfImages = new Map<string, { image: string; abreast: number; pitch: number }>();

  constructor(
    private readonly writer: OnnxWriter,
    private readonly block: number,
  ) {}

  /**
   * A convolution of narrow images with several samples in a row, zeros between
   * them: the columns that meet a pad are computed one by one, which for images
   * of four columns are half of them and take twice the time.
   *
   * @param inputs of the node: data, kernel, bias and summand
   * @returns undefined where images are wide, or it does not pay
   */
  sideBySide(
    [x, kernel, bias, sum]: readonly string[],
    dataShape: Shape,
    attributes: ConvolutionNode,
    shape: Shape,
    relu: boolean,
  ): string | undefined {
    const { writer, block } = this;
    const [samples, channels, , width] = dataShape as readonly [number, number, number, number];
    const [, outputs, rows, columns] = shape as readonly [number, number, number, number];
    const { kernel_shape, strides, dilations, pads } = attributes;
    const [above, left, below, right] = pads as readonly [number, number, number, number];
    const extent = dilations[1]! * (kernel_shape[1]! - 1);
    const abreast = Array.from({ length: ABREAST }, (_, i) => ABREAST - i).find((count) => samples % count === 0)!;
    if (left + right < NARROW * width || channels * outputs < WORTHWHILE || abreast < 4) return undefined;
    if (channels % block !== 0 || strides[1] !== 1 || left > extent || right > extent) return undefined;
    const pitch = width + Math.max(left, right);
    const groups = samples / abreast;

    // [N, C/b, H, W, b] → [groups, C/b, H, (abreast, W and a gap), b]
    const data = this.abreast(x!, dataShape, groups, abreast, pitch);
    const inputs = [data, kernel!];
    if (sum !== undefined || (bias !== undefined && bias !== '')) inputs.push(bias ?? '');
    if (sum !== undefined) {
      const known = this.rowsOfImages.get(sum);
      const fits = known?.abreast === abreast && known.pitch === pitch;
      inputs.push(fits ? known.image : this.abreast(sum, shape, groups, abreast, pitch));
    }
    const image = writer.node(
      'Conv',
      inputs,
      { ...attributes, pads: [above, left, below, extent - left], ...(relu && { activation: 'Relu' }) },
      NCHWC,
    );
    const blocks = outputs / block;
    const line = abreast * pitch;
    const parted = reorderRows(writer, image, groups * blocks * rows * line, block, [
      steps(groups, blocks * rows * line),
      steps(abreast, pitch),
      steps(blocks, rows * line),
      steps(rows, line),
      steps(columns, 1),
    ]);
    const result = writer.node('Reshape', [parted, writer.ints(shape)]);
    this.rowsOfImages.set(result, { image, abreast, pitch });
    return result;
  }

  /** Samples in rows, each with a gap of zeros behind it. */
  private abreast(x: string, shape: Shape, groups: number, abreast: number, pitch: number): string {
    const { writer, block } = this;
    const [samples, channels, height, width] = shape as readonly [number, number, number, number];
    const blocks = channels / block;
    const image = blocks * height * width;
    const rows = reorderRows(writer, x, samples * image, block, [
      steps(groups, abreast * image),
      steps(blocks, height * width),
      steps(height, width),
      steps(abreast, image),
      Array.from({ length: pitch }, (_, column) => (column < width ? column : ZERO)),
    ]);
    return writer.node('Reshape', [rows, writer.ints([groups, channels, height, abreast * pitch])]);
  }

  /** [K, C, …] as the convolution wants it: [K/b, C/b, taps, b of C, b of K]. */
  kernel(w: string, [outputs, inputs, ...kernel]: Shape): string {
    const { writer, block } = this;
    const taps = kernel[0]! * kernel[1]!;
    const outer = this.outerKernel(w, [outputs!, inputs!, ...kernel]);
    const sorted = reorderRows(writer, outer, (outputs! / block) * inputs! * taps, block, [
      steps(outputs! / block, inputs! * taps),
      steps(inputs! / block, block * taps),
      steps(taps, 1),
      steps(block, taps),
    ]);
    return writer.node('Reshape', [sorted, writer.ints([outputs!, inputs!, ...kernel])]);
  }

  /** [K, C, …] as [K/b, C, taps, b of K], for images of few channels. */
  outerKernel(w: string, [outputs, inputs, ...kernel]: Shape): string {
    const { writer } = this;
    const flat = writer.node('Reshape', [w, writer.ints([1, outputs!, inputs!, kernel[0]! * kernel[1]!])]);
    const blocked = writer.node('ReorderInput', [flat], {}, NCHWC);
    return writer.node('Reshape', [blocked, writer.ints([outputs!, inputs!, ...kernel])]);
  }

  /** Of [K, C, …], the chosen taps of the kernel with its two channel axes swapped: [C/b, K/b, taps, b of K, b of C]. */
  adjointKernel(w: string, [outputs, inputs, ...kernel]: Shape, taps: Phase['taps']): string {
    const { writer, block } = this;
    const all = kernel[0]! * kernel[1]!;
    const flat = writer.node('Reshape', [w, writer.ints([outputs!, inputs!, all, 1])]);
    const blocked = writer.node('ReorderInput', [flat], {}, NCHWC);
    const chosen = taps[0]!.flatMap((row) => taps[1]!.map((column) => row * kernel[1]! + column));
    const blocks = inputs! / block;
    const picked = reorderRows(writer, blocked, outputs! * blocks * all, block, [
      steps(blocks, all),
      steps(outputs! / block, block * blocks * all),
      chosen,
      steps(block, blocks * all),
    ]);
    return writer.node('Reshape', [picked, writer.ints([inputs!, outputs!, taps[0]!.length, taps[1]!.length])]);
  }

  /**
   * An input gradient as convolutions of unit stride: with stride s, rows
   * a, a + s, a + 2s … meet only every s-th row of the kernel.
   *
   * @returns the phases in row-major order, no taps where nothing is met, and
   * the strides; no phases where one would need a negative pad
   */
  phases({
    inputs,
    attributes: { strides, dilations, pads, inputShape },
  }: GraphNode<'convInputGrad'>): [phases: Phase[] | undefined, steps: readonly number[]] {
    const [g, w] = inputs;
    if (strides.some((stride) => stride > 1) && dilations.some((dilation) => dilation > 1)) return [undefined, strides];
    if (inputShape.some((size, axis) => size % strides[axis]! !== 0)) return [undefined, strides];
    const axes = inputShape.map((size, axis) => {
      const [stride, dilation, kernel] = [strides[axis]!, dilations[axis]!, w!.shape[axis + 2]!];
      return Array.from({ length: stride }, (_, phase) => {
        const first = (phase + pads[axis]!) % stride;
        const taps = Array.from({ length: kernel }, (_, k) => k).filter((k) => k % stride === first);
        const reach = (phase + pads[axis]! - first) / stride;
        const extent = dilation * (taps.length - 1);
        const begin = extent - reach;
        const end = size / stride - g!.shape[axis + 2]! - begin + extent;
        return { taps: taps.reverse(), begin, end };
      });
    });
    const phases = axes[0]!.flatMap((row) =>
      axes[1]!.map((column) => ({
        taps: [row.taps, column.taps],
        pads: [row.begin, column.begin, row.end, column.end],
      })),
    );
    const possible = phases.every(({ taps, pads: around }) => isEmpty(taps) || around.every((pad) => pad >= 0));
    return [possible ? phases : undefined, strides];
  }

  /** The phases of an input gradient, computed and put back in their rows and columns. */
  interleaved(
    g: string,
    w: string,
    wShape: Shape,
    phases: readonly Phase[],
    steps: readonly number[],
    shape: Shape,
  ): string {
    const part = [shape[0]!, shape[1]!, shape[2]! / steps[0]!, shape[3]! / steps[1]!];
    const parts = phases.map(({ taps, pads }) => {
      if (isEmpty(taps)) return undefined;
      const kernel_shape = taps.map(({ length }) => length);
      return this.writer.node(
        'Conv',
        [g, this.adjointKernel(w, wShape, taps)],
        { kernel_shape, pads, group: 1 },
        NCHWC,
      );
    });
    return this.interleave(parts, part, steps);
  }

  /** Zeros between the pixels: step − 1 after each. */
  spread(x: string, shape: Shape, steps: readonly [number, number]): string {
    const parts = Array.from({ length: steps[0] * steps[1] }, (_, i) => (i === 0 ? x : undefined));
    return this.interleave(parts, shape, steps);
  }

  /** Values of `shape` whose pixels become every step-th one; zeros where there is none. */
  private interleave(parts: readonly (string | undefined)[], shape: Shape, steps: readonly number[]): string {
    const { writer, block } = this;
    const [samples, channels, height, width] = shape as readonly [number, number, number, number];
    const lines = (samples * channels * height) / block;
    const zeros = (size: number, axis1: number): string =>
      writer.node('Expand', [writer.scalar(0), writer.ints([lines, axis1, size])]);
    const rows = Array.from({ length: steps[0]! }, (_, row) => {
      const own = parts.slice(row * steps[1]!, (row + 1) * steps[1]!);
      if (own.every((part) => part === undefined)) return undefined;
      const columns = own.map((part) =>
        part === undefined ? zeros(block, width) : writer.node('Reshape', [part, writer.ints([lines, width, block])]),
      );
      return columns.length === 1 ? columns[0]! : writer.node('Concat', columns, { axis: 2 });
    });
    const line = width * steps[1]! * block;
    const flat = rows.map((row) =>
      row === undefined ? zeros(line, 1) : writer.node('Reshape', [row, writer.ints([lines, 1, line])]),
    );
    const whole = flat.length === 1 ? flat[0]! : writer.node('Concat', flat, { axis: 1 });
    return writer.node('Reshape', [whole, writer.ints([samples, channels, height * steps[0]!, width * steps[1]!])]);
  }
}

function isEmpty(taps: Phase['taps']): boolean {
  return taps.some(({ length }) => length === 0);
}
