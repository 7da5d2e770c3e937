import type { Shape } from '../graph/ir';
import type { Random } from '../random';

/** How an image is varied each time it is used. */
export interface Augmentation {
  /** Pixels by which the image is padded all around before a part of its own size is cut out of it; 0 for none. */
  readonly crop: number;
  /** Whether every other image, by chance, is mirrored left to right. */
  readonly flip: boolean;
}

/** Where the values of a sample are, and what stands around it. */
export interface ImageLayout {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Whether channels come last. */
  readonly nhwc: boolean;
  /** What a pixel of value 0 became in each channel by the preprocessing. */
  readonly padding: readonly number[];
}

/** The layout of samples of `shape`, or null when they are no images. */
export function imageLayout(shape: Shape, nhwc: boolean, padding: readonly number[]): ImageLayout | null {
  if (shape.length !== 3) return null;
  const [channels, height, width] = nhwc ? [shape[2]!, shape[0]!, shape[1]!] : [shape[0]!, shape[1]!, shape[2]!];
  return { channels, height, width, nhwc, padding };
}

/**
 * A varied copy of one image. Three numbers are drawn whatever they are used
 * for, so that what one image gets does not depend on the others.
 */
export function augment(
  source: Float32Array,
  target: Float32Array,
  { channels, height, width, nhwc, padding }: ImageLayout,
  { crop, flip }: Augmentation,
  random: Random,
): void {
  const down = random.below(2 * crop + 1) - crop;
  const right = random.below(2 * crop + 1) - crop;
  const mirrored = random.below(2) === 1 && flip;
  const [perPixel, perChannel] = nhwc ? [channels, 1] : [1, height * width];
  for (let y = 0; y < height; y++) {
    const fromY = y + down;
    for (let x = 0; x < width; x++) {
      const fromX = (mirrored ? width - 1 - x : x) + right;
      const inside = fromY >= 0 && fromY < height && fromX >= 0 && fromX < width;
      const to = (y * width + x) * perPixel;
      const from = (fromY * width + fromX) * perPixel;
      for (let c = 0; c < channels; c++) {
        target[to + c * perChannel] = inside ? source[from + c * perChannel]! : padding[c]!;
      }
    }
  }
}
