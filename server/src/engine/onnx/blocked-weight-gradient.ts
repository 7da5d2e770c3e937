import type { ConvAttributes, Shape } from '../../graph/ir';
import { elementCount, sameShape } from '../../graph/shapes';
import { NCHWC, type ConvolutionNode } from './blocked-convolution';
import { reorderRows, steps, ZERO } from './rows';
import type { OnnxWriter } from './writer';

/** How the input channels and the columns of the kernel lie in the image of a weight gradient. */
interface Parts {
  /** Into how many images the input channels are divided. */
  readonly images: number;
  /** Whether all columns of the kernel are in one image, not each in one of its own. */
  readonly abreast: boolean;
}

/** A weight gradient that is not written yet, because the next one may be added to it. */
export interface WeightGradient {
  readonly inputs: readonly [data: string, kernel: string];
  readonly attributes: ConvolutionNode;
  readonly parts: Parts;
  /** [K, C, …kernel]. */
  readonly shape: Shape;
  readonly sum?: WeightGradient;
}

/** Blocks of outputs and columns that onnxruntime's convolution works on at a time. */
const SET = 4;
const AT_ONCE = 6;

/** Adjoints of convolutions in their weights, of blocked values; see `BlockedLayout`. Two spatial axes, no groups. */
export class BlockedWeightGradients {
  constructor(
    private readonly writer: OnnxWriter,
    private readonly block: number,
    private readonly threads: number,
  ) {}

  /**
   * Adjoint of a convolution in its weights as a convolution itself: samples
   * and columns are its channels, the rows its kernel, so that
   *
   *     ∂w[k, c, r, s] = Σ_(w,n) Σ_h g[n, k, h, w] · x[n, c, h + r, w + s]
   *
   * gives an image of kernel rows r, in which the input channels c stand in a
   * row, for kernel columns s side by side or in images of their own.
   *
   * @returns undefined where the kernel meets nothing but pads
   */
  prepare(
    x: string,
    xShape: Shape,
    blocked: boolean,
    g: string,
    gShape: Shape,
    { strides, dilations, pads, kernelShape }: ConvAttributes & { readonly kernelShape: Shape },
  ): WeightGradient | undefined {
    const { writer, block } = this;
    const [samples, channels, height, width] = xShape as readonly [number, number, number, number];
    const [, outputs, rows, columns] = gShape as readonly [number, number, number, number];
    const [kernelRows, kernelColumns] = kernelShape as readonly [number, number];
    const batches = samples / block;
    // Rows that the kernel meets; those behind them are left out.
    const reach = strides[0]! * (rows - 1) + dilations[0]! * (kernelRows - 1) + 1 - pads[0]!;
    const tall = Math.min(height, reach);
    if (tall <= 0) return undefined;

    // Blocks of samples instead of channels: [N/b, C, H, W, b], or with blocks of channels left between.
    const whole = writer.node('Reshape', [x, writer.ints([1, samples, channels * height, width])]);
    const bySample = writer.node('ReorderInput', [whole], {}, NCHWC);
    const [lines, line] = blocked ? [channels / block, block * block] : [channels, block];
    const parts = this.divide(lines, channels, outputs, kernelRows, kernelColumns);
    const { images, abreast } = parts;
    // [images, (W, N/b), H, (S, C), b]: kernel column s meets column s·dilation + w·stride − pad.
    const place = (s: number, w: number): number => {
      const column = s * dilations[1]! + w * strides[1]! - pads[1]!;
      return column >= 0 && column < width ? column : ZERO;
    };
    const inner = steps(lines / images, height * width);
    const kernelColumn = steps(kernelColumns, 1);
    const met = steps(columns, 1);
    const turned = reorderRows(
      writer,
      bySample,
      batches * lines * height * width,
      line,
      abreast
        ? [
            steps(images, (lines / images) * height * width),
            met.flatMap((w) =>
              steps(batches, lines * height * width).flatMap((first) =>
                steps(tall, width).flatMap((row) =>
                  kernelColumn.map((s) => (place(s, w) === ZERO ? ZERO : first + row + place(s, w))),
                ),
              ),
            ),
            inner,
          ]
        : [
            steps(images, (lines / images) * height * width),
            kernelColumn.flatMap((s) => met.map((w) => place(s, w))),
            steps(batches, lines * height * width),
            steps(tall, width),
            inner,
          ],
    );
    const [count, wide] = abreast ? [images, kernelColumns] : [images * kernelColumns, 1];
    const data = writer.node('Reshape', [
      turned,
      writer.ints([count, columns * samples, tall, (wide * channels) / images]),
    ]);

    // [N, K/b, H, W, b] as kernels: [K/b, (W, N/b), H, b of N, b of K].
    const image = (outputs / block) * rows * columns;
    const kernels = reorderRows(writer, g, samples * image, block, [
      steps(outputs / block, rows * columns),
      steps(columns, 1),
      steps(batches, block * image),
      steps(rows, columns),
      steps(block, image),
    ]);
    const kernel = writer.node('Reshape', [kernels, writer.ints([outputs, columns * samples, rows, 1])]);
    const attributes = {
      kernel_shape: [rows, 1],
      pads: [pads[0]!, 0, reach - tall, 0],
      dilations: [strides[0]!, 1],
      strides: [dilations[0]!, 1],
      group: 1,
    } as const;
    return { inputs: [data, kernel], attributes, parts, shape: [outputs, channels, kernelRows, kernelColumns] };
  }

  /**
   * How the image of a weight gradient is divided, so that all threads are busy
   * to the end: onnxruntime deals out rows of images, for up to 64 outputs each,
   * and works on six columns at a time; what is left over takes as long as four.
   */
  private divide(lines: number, channels: number, outputs: number, rows: number, columns: number): Parts {
    const sets = Math.ceil(outputs / this.block / SET);
    const cost = ({ images, abreast }: Parts): number => {
      const pieces = images * sets * rows * (abreast ? 1 : columns);
      const width = ((abreast ? columns : 1) * channels) / images;
      const left = width % AT_ONCE;
      return Math.ceil(pieces / this.threads) * (width - left + (left > 0 ? Math.max(4, left) : 0));
    };
    const all = steps(lines, 1).flatMap((i) =>
      lines % (i + 1) === 0 ? [true, false].map((abreast) => ({ images: i + 1, abreast })) : [],
    );
    return all.reduce((best, parts) => (cost(parts) < cost(best) ? parts : best));
  }

  /** Whether the images of two weight gradients can be added. */
  static areAlike(left: WeightGradient, right: WeightGradient): boolean {
    const [a, b] = [left.parts, right.parts];
    return a.images === b.images && a.abreast === b.abreast && sameShape(left.shape, right.shape);
  }

  /** The image of a weight gradient, and of the one that is added to it. */
  private image({ inputs, attributes, sum }: WeightGradient): string {
    const all = sum === undefined ? inputs : [...inputs, '', this.image(sum)];
    return this.writer.node('Conv', all, attributes, NCHWC);
  }

  /** @returns [K, C, …kernelShape], plain */
  write(gradient: WeightGradient): string {
    const { writer, block } = this;
    const { shape } = gradient;
    const { images, abreast } = gradient.parts;
    const [outputs, channels, rows, columns] = shape as readonly [number, number, number, number];
    const image = this.image(gradient);
    const plain = writer.node('ReorderOutput', [image], { channels: outputs }, NCHWC);
    // [images, K, R, (S, C)], or [images, S, K, R, C] → [K, C, R, S], in rows of b channels or of one.
    const isBlocked = channels % (images * block) === 0;
    const width = isBlocked ? block : 1;
    const inner = channels / images / width;
    const row = (abreast ? columns : 1) * inner;
    const map = outputs * rows * row;
    const sorted = reorderRows(writer, plain, elementCount(shape) / width, width, [
      steps(outputs, rows * row),
      steps(images, (abreast ? 1 : columns) * map),
      steps(inner, 1),
      steps(rows, row),
      steps(columns, abreast ? inner : map),
    ]);
    const weights = writer.node('Reshape', [sorted, writer.ints(shape)]);
    return isBlocked ? writer.node('ReorderOutput', [weights], { channels }, NCHWC) : weights;
  }
}
