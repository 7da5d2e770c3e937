import type { Image } from './image';

/**
 * The usual transforms of an evaluation, as torchvision applies them to images
 * of Pillow: `Resize(size)` of the shorter side, bilinear and antialiased, and
 * `CenterCrop(size)`.
 */

/** The shorter side becomes `size`, the longer one keeps the proportion, rounded down. */
export function resizeShorter(image: Image, size: number): Image {
  const { width, height } = image;
  const [w, h] =
    width <= height ? [size, Math.floor((size * height) / width)] : [Math.floor((size * width) / height), size];
  return vertical(horizontal(image, w), h);
}

/** The middle; where the image is smaller, black around it. */
export function centreCrop({ width, height, channels, pixels }: Image, size: number): Image {
  const left = roundHalfEven((width - size) / 2);
  const top = roundHalfEven((height - size) / 2);
  const cropped = new Uint8Array(size * size * channels);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const [fromX, fromY] = [x + left, y + top];
      if (fromX < 0 || fromX >= width || fromY < 0 || fromY >= height) continue;
      for (let c = 0; c < channels; c++) {
        cropped[(y * size + x) * channels + c] = pixels[(fromY * width + fromX) * channels + c]!;
      }
    }
  }
  return { width: size, height: size, channels, pixels: cropped };
}

/** Python's round. */
function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

interface Taps {
  readonly first: number;
  /** Fixed point, 22 bits behind the point, as Pillow has them. */
  readonly weights: Int32Array;
}

const BITS = 22;

/** Weights of the triangle filter, which widens where the image shrinks (Pillow, Resample.c). */
function triangleTaps(from: number, to: number): Taps[] {
  const scale = from / to;
  const filter = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - filter + 0.5));
    const end = Math.min(from, Math.trunc(centre + filter + 0.5));
    const raw = Array.from({ length: end - first }, (__, k) =>
      Math.max(0, 1 - Math.abs((k + first - centre + 0.5) / filter)),
    );
    const sum = raw.reduce((total, weight) => total + weight, 0);
    return { first, weights: Int32Array.from(raw, (weight) => Math.trunc((weight / sum) * 2 ** BITS + 0.5)) };
  });
}

function clip(sum: number): number {
  return Math.min(255, Math.max(0, Math.floor(sum / 2 ** BITS)));
}

function horizontal({ width, height, channels, pixels }: Image, to: number): Image {
  if (to === width) return { width, height, channels, pixels };
  const result = new Uint8Array(to * height * channels);
  for (const [x, { first, weights }] of triangleTaps(width, to).entries()) {
    for (let y = 0; y < height; y++) {
      for (let c = 0; c < channels; c++) {
        let sum = 2 ** (BITS - 1);
        for (let k = 0; k < weights.length; k++) sum += pixels[(y * width + first + k) * channels + c]! * weights[k]!;
        result[(y * to + x) * channels + c] = clip(sum);
      }
    }
  }
  return { width: to, height, channels, pixels: result };
}

function vertical({ width, height, channels, pixels }: Image, to: number): Image {
  if (to === height) return { width, height, channels, pixels };
  const row = width * channels;
  const result = new Uint8Array(to * row);
  for (const [y, { first, weights }] of triangleTaps(height, to).entries()) {
    for (let x = 0; x < row; x++) {
      let sum = 2 ** (BITS - 1);
      for (let k = 0; k < weights.length; k++) sum += pixels[(first + k) * row + x]! * weights[k]!;
      result[y * row + x] = clip(sum);
    }
  }
  return { width, height: to, channels, pixels: result };
}
