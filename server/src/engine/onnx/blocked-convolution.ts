import type { ConvAttributes, GraphNode, Shape } from '../../graph/ir';
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
const NARROW = 0.4;
/** Channels in and out from which the time of a convolution is worth a change of the layout. */
const WORTHWHILE = 64 * 64;

/** Kernels and the adjoints of convolutions on blocked values; see `BlockedLayout`. Two spatial axes, no groups. */
export class BlockedConvolutions {
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
    const [samples, channels, height, width] = dataShape as readonly [number, number, number, number];
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
    const split = writer.node('Reshape', [x!, writer.ints([groups, abreast, channels / block, height, width, block])]);
    const turned = writer.node('Transpose', [split], { perm: [0, 2, 3, 1, 4, 5] });
    const gap = writer.ints([...new Array<number>(10).fill(0), pitch - width, 0]);
    const spaced = writer.node('Pad', [turned, gap]);
    const data = writer.node('Reshape', [spaced, writer.ints([groups, channels, height, abreast * pitch])]);
    const around = [above, left, below, extent - left];
    const inputs = bias === undefined || bias === '' ? [data, kernel!] : [data, kernel!, bias];
    const early = relu && sum === undefined;
    const image = writer.node(
      'Conv',
      inputs,
      { ...attributes, pads: around, ...(early && { activation: 'Relu' }) },
      NCHWC,
    );
    const apart = writer.node('Reshape', [image, writer.ints([groups, outputs / block, rows, abreast, pitch, block])]);
    const cut = [writer.ints([0]), writer.ints([columns]), writer.ints([4])];
    const kept = writer.node('Slice', [apart, ...cut]);
    const back = writer.node('Transpose', [kept], { perm: [0, 3, 1, 2, 4, 5] });
    const result = writer.node('Reshape', [back, writer.ints(shape)]);
    if (sum === undefined) return result;
    const total = writer.node('Add', [result, sum]);
    return relu ? writer.node('Relu', [total]) : total;
  }

  /** [K, C, …] as the convolution wants it: [K/b, C/b, taps, b of C, b of K]. */
  kernel(w: string, [outputs, inputs, ...kernel]: Shape): string {
    const { writer, block } = this;
    const taps = kernel[0]! * kernel[1]!;
    const outer = this.outerKernel(w, [outputs!, inputs!, ...kernel]);
    const split = writer.node('Reshape', [outer, writer.ints([outputs! / block, inputs! / block, block, taps, block])]);
    const sorted = writer.node('Transpose', [split], { perm: [0, 1, 3, 2, 4] });
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
    const split = writer.node('Reshape', [
      blocked,
      writer.ints([outputs! / block, block, inputs! / block, all, block]),
    ]);
    const sorted = writer.node('Transpose', [split], { perm: [2, 0, 3, 1, 4] });
    const chosen = taps[0]!.flatMap((row) => taps[1]!.map((column) => row * kernel[1]! + column));
    const isAll = chosen.length === all && chosen.every((tap, i) => tap === i);
    const indices = writer.ints(chosen);
    const picked = isAll ? sorted : writer.node('Gather', [sorted, indices], { axis: 2 });
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

  /** Pads of the rows in `weightGrad`; undefined where rows at the end would have to be left out. */
  rowPads(x: Shape, g: Shape, attributes: GraphNode<'convWeightGrad'>['attributes']): [number, number] | undefined {
    const { strides, dilations, pads, kernelShape } = attributes;
    const extent = strides[0]! * (g[2]! - 1) + 1;
    const end = extent + dilations[0]! * (kernelShape[0]! - 1) - x[2]! - pads[0]!;
    return end < 0 ? undefined : [pads[0]!, end];
  }

  /**
   * Adjoint of a convolution in its weights as a convolution itself: samples
   * and columns are its channels, the rows its kernel, so that
   *
   *     ∂w[k, c, r, s] = Σ_(w,n) Σ_h g[n, k, h, w] · x[n, c, h + r, w + s]
   *
   * gives an image of kernel rows r and input channels c per kernel column s.
   * The shift along the columns is one of whole blocks of channels.
   *
   * @returns [K, C, …kernelShape], plain
   */
  weightGrad(
    x: string,
    xShape: Shape,
    blocked: boolean,
    g: string,
    gShape: Shape,
    { strides, dilations, pads, kernelShape }: ConvAttributes & { readonly kernelShape: Shape },
    rowPads: readonly [number, number],
  ): string {
    const { writer, block } = this;
    const [samples, channels, height, width] = xShape as readonly [number, number, number, number];
    const [, outputs, rows, columns] = gShape as readonly [number, number, number, number];
    const [kernelRows, kernelColumns] = kernelShape as readonly [number, number];
    const batches = samples / block;

    // Blocks of samples instead of channels: [N/b, C, H, W, b], or with blocks of channels left between.
    const whole = writer.node('Reshape', [x, writer.ints([1, samples, channels * height, width])]);
    const bySample = writer.node('ReorderInput', [whole], {}, NCHWC);
    const shape = blocked
      ? [batches, channels / block, height, width, block, block]
      : [batches, channels, height, width, block];
    const split = writer.node('Reshape', [bySample, writer.ints(shape)]);
    const turned = writer.node('Transpose', [split], { perm: blocked ? [3, 0, 2, 1, 4, 5] : [3, 0, 2, 1, 4] });
    const line = batches * height * channels * block;
    let data = writer.node('Reshape', [turned, writer.ints([width, line])]);

    // The columns that each column of the kernel meets.
    const reached = (kernelColumns - 1) * dilations[1]! + (columns - 1) * strides[1]! + 1;
    const end = Math.max(0, reached - width - pads[1]!);
    if (pads[1]! > 0 || end > 0) data = writer.node('Pad', [data, writer.ints([pads[1]!, 0, end, 0])]);
    const met = Array.from({ length: kernelColumns * columns }, (_, i) => {
      return Math.floor(i / columns) * dilations[1]! + (i % columns) * strides[1]!;
    });
    if (met.length !== width || met.some((column, i) => column !== i)) {
      data = writer.node('Gather', [data, writer.ints(met)], { axis: 0 });
    }
    data = writer.node('Reshape', [data, writer.ints([kernelColumns, columns * samples, height, channels])]);

    // [N, K/b, H, W, b] as kernels: [K/b, (W, N/b), H, b of N, b of K].
    const byOutput = [batches, block, outputs / block, rows, columns, block];
    const kernels = writer.node('Transpose', [writer.node('Reshape', [g, writer.ints(byOutput)])], {
      perm: [2, 4, 0, 3, 1, 5],
    });
    const kernel = writer.node('Reshape', [kernels, writer.ints([outputs, columns * samples, rows, 1])]);

    const image = writer.node(
      'Conv',
      [data, kernel],
      {
        kernel_shape: [rows, 1],
        pads: [rowPads[0], 0, rowPads[1], 0],
        dilations: [strides[0]!, 1],
        strides: [dilations[0]!, 1],
        group: 1,
      },
      NCHWC,
    );
    // [S, K, R, C] → [K, (R, S), C] → [K, C, R, S]
    const plain = writer.node('ReorderOutput', [image], { channels: outputs }, NCHWC);
    const gathered = kernelColumns === 1 ? plain : writer.node('Transpose', [plain], { perm: [1, 2, 0, 3] });
    const taps = writer.node('Reshape', [gathered, writer.ints([outputs, kernelRows * kernelColumns, channels])]);
    const last = writer.node('Transpose', [taps], { perm: [0, 2, 1] });
    return writer.node('Reshape', [last, writer.ints([outputs, channels, kernelRows, kernelColumns])]);
  }
}

function isEmpty(taps: Phase['taps']): boolean {
  return taps.some(({ length }) => length === 0);
}
