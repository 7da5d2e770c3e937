import { Random } from '../server/src/random';

/**
 * Handwritten digits out of nothing: the training data of the demonstration.
 *
 * A digit is a few strokes through control points, in a box one wide and one
 * high with y downwards, written in several ways. Every drawing moves the
 * control points, bends and tilts the whole, and varies the pen, so that no
 * two are alike and the hardest are ambiguous, as with people's writing.
 */

/** Images are SIZE × SIZE. */
export const SIZE = 16;

type Point = readonly [x: number, y: number];

interface Stroke {
  /** Control points; curves go through them. */
  readonly points: readonly Point[];
  readonly kind: 'line' | 'curve' | 'ring';
}

const line = (...points: Point[]): Stroke => ({ kind: 'line', points });
const curve = (...points: Point[]): Stroke => ({ kind: 'curve', points });
/** A closed curve. */
const ring = (...points: Point[]): Stroke => ({ kind: 'ring', points });

/** The ways to write each digit, by digit. */
// prettier-ignore
const HANDWRITING: readonly (readonly (readonly Stroke[])[])[] = [
  [
    [ring([0.5, 0.04], [0.78, 0.18], [0.86, 0.5], [0.76, 0.83], [0.5, 0.96], [0.23, 0.82], [0.14, 0.5], [0.23, 0.17])],
    [ring([0.52, 0.04], [0.7, 0.2], [0.73, 0.5], [0.66, 0.82], [0.48, 0.96], [0.31, 0.8], [0.27, 0.5], [0.34, 0.18])],
    [curve([0.62, 0.1], [0.4, 0.06], [0.2, 0.26], [0.15, 0.6], [0.3, 0.9], [0.6, 0.94], [0.82, 0.68], [0.82, 0.34], [0.62, 0.08], [0.45, 0.12])],
  ],
  [
    [line([0.5, 0.04], [0.5, 0.96])],
    [line([0.3, 0.26], [0.53, 0.04], [0.53, 0.96])],
    [line([0.3, 0.24], [0.52, 0.05], [0.52, 0.94]), line([0.3, 0.95], [0.74, 0.95])],
  ],
  [
    [curve([0.2, 0.26], [0.34, 0.08], [0.62, 0.06], [0.78, 0.26], [0.62, 0.54], [0.2, 0.93]), line([0.2, 0.93], [0.84, 0.92])],
    [curve([0.22, 0.24], [0.46, 0.04], [0.76, 0.2], [0.64, 0.52], [0.34, 0.84], [0.18, 0.88], [0.26, 0.75], [0.5, 0.86], [0.84, 0.92])],
    [curve([0.22, 0.12], [0.56, 0.05], [0.74, 0.24], [0.54, 0.52], [0.24, 0.8], [0.28, 0.94], [0.8, 0.9])],
  ],
  [
    [curve([0.2, 0.16], [0.48, 0.04], [0.74, 0.2], [0.64, 0.4], [0.4, 0.47]), curve([0.4, 0.47], [0.74, 0.54], [0.8, 0.78], [0.52, 0.96], [0.18, 0.85])],
    [line([0.2, 0.07], [0.76, 0.07], [0.45, 0.42]), curve([0.45, 0.42], [0.76, 0.5], [0.8, 0.78], [0.5, 0.96], [0.18, 0.86])],
    [curve([0.24, 0.12], [0.56, 0.05], [0.7, 0.22], [0.5, 0.46], [0.74, 0.62], [0.7, 0.86], [0.4, 0.96], [0.2, 0.88])],
  ],
  [
    [line([0.32, 0.05], [0.18, 0.58], [0.84, 0.58]), line([0.66, 0.28], [0.62, 0.96])],
    [line([0.62, 0.96], [0.62, 0.04], [0.14, 0.66], [0.86, 0.66])],
    [curve([0.26, 0.08], [0.2, 0.4], [0.32, 0.54], [0.7, 0.48]), line([0.74, 0.06], [0.7, 0.5], [0.66, 0.96])],
  ],
  [
    [line([0.76, 0.07], [0.28, 0.07], [0.25, 0.44]), curve([0.25, 0.44], [0.55, 0.38], [0.79, 0.6], [0.7, 0.87], [0.42, 0.96], [0.18, 0.86])],
    [curve([0.76, 0.07], [0.4, 0.08], [0.26, 0.34], [0.56, 0.44], [0.8, 0.66], [0.6, 0.93], [0.2, 0.88])],
    [line([0.3, 0.08], [0.27, 0.42]), curve([0.27, 0.42], [0.6, 0.42], [0.76, 0.66], [0.58, 0.94], [0.2, 0.9]), line([0.3, 0.08], [0.8, 0.05])],
  ],
  [
    [curve([0.7, 0.06], [0.4, 0.25], [0.22, 0.6], [0.3, 0.88], [0.56, 0.95], [0.78, 0.76], [0.62, 0.54], [0.38, 0.58], [0.25, 0.76])],
    [line([0.48, 0.04], [0.26, 0.62]), ring([0.26, 0.72], [0.5, 0.52], [0.74, 0.7], [0.52, 0.95])],
    [curve([0.74, 0.14], [0.52, 0.05], [0.28, 0.24], [0.2, 0.62], [0.34, 0.92], [0.64, 0.92], [0.78, 0.7], [0.56, 0.5], [0.26, 0.62])],
  ],
  [
    [line([0.18, 0.08], [0.8, 0.08], [0.42, 0.96])],
    [line([0.18, 0.08], [0.8, 0.08], [0.42, 0.96]), line([0.36, 0.5], [0.76, 0.48])],
    [line([0.2, 0.2], [0.22, 0.07], [0.8, 0.08]), curve([0.8, 0.08], [0.58, 0.4], [0.48, 0.68], [0.46, 0.96])],
  ],
  [
    [ring([0.5, 0.48], [0.26, 0.27], [0.5, 0.05], [0.74, 0.26], [0.5, 0.48], [0.2, 0.74], [0.5, 0.96], [0.8, 0.74])],
    [ring([0.5, 0.04], [0.72, 0.24], [0.5, 0.46], [0.28, 0.24]), ring([0.5, 0.46], [0.8, 0.72], [0.5, 0.96], [0.2, 0.72])],
    [curve([0.74, 0.12], [0.42, 0.06], [0.28, 0.28], [0.56, 0.5], [0.76, 0.76], [0.5, 0.96], [0.24, 0.78], [0.46, 0.5], [0.72, 0.28], [0.68, 0.1])],
  ],
  [
    [curve([0.74, 0.24], [0.5, 0.05], [0.25, 0.26], [0.42, 0.5], [0.7, 0.4], [0.75, 0.2]), line([0.75, 0.2], [0.66, 0.96])],
    [curve([0.72, 0.2], [0.46, 0.05], [0.24, 0.28], [0.44, 0.5], [0.72, 0.34], [0.72, 0.2], [0.74, 0.7], [0.54, 0.95], [0.24, 0.86])],
    [ring([0.5, 0.05], [0.75, 0.26], [0.5, 0.5], [0.25, 0.27]), curve([0.75, 0.26], [0.72, 0.6], [0.5, 0.96])],
  ],
];

/** How far drawings stray; with these a small convolutional network is right some 98 times in a hundred. */
const WOBBLE = 0.042;
const BEND = 0.035;
const TILT = 0.17;
const SLANT = 0.18;
const SHIFT = 0.05;

/** `count` gray images and their digits, every digit equally often up to one, in random order. */
export function drawDigits(count: number, seed: number): { images: Uint8Array; labels: Uint8Array } {
  const random = Random.stream(seed, 'digits');
  const labels = Uint8Array.from(random.permutation(count), (place) => place % 10);
  const images = new Uint8Array(count * SIZE * SIZE);
  labels.forEach((digit, i) => images.set(drawDigit(digit, random), i * SIZE * SIZE));
  return { images, labels };
}

/** One drawing of `digit`: SIZE × SIZE bytes, row by row, 0 is paper and 255 ink. */
export function drawDigit(digit: number, random: Random): Uint8Array {
  const ways = HANDWRITING[digit]!;
  const strokes = ways[random.below(ways.length)]!;
  const place = placement(random);
  const paths = strokes.map((stroke) => path(wobbled(stroke, random)).map(place));
  return develop(ink(paths, random), random);
}

function wobbled({ kind, points }: Stroke, random: Random): Stroke {
  return {
    kind,
    points: points.map(([x, y]) => [x + WOBBLE * random.gaussian(), y + WOBBLE * random.gaussian()] as const),
  };
}

/** The points a pen goes through: corners of a line, a Catmull–Rom spline through those of a curve. */
function path({ kind, points }: Stroke): Point[] {
  if (kind === 'line') return [...points];
  const count = points.length;
  const at = (i: number): Point =>
    kind === 'ring' ? points[(i + count) % count]! : points[Math.min(Math.max(i, 0), count - 1)]!;
  const pieces = kind === 'ring' ? count : count - 1;
  const steps = 6;
  const result: Point[] = [at(0)];
  for (let i = 0; i < pieces; i++) {
    for (let step = 1; step <= steps; step++) {
      const t = step / steps;
      const between = (axis: 0 | 1): number =>
        catmullRom(at(i - 1)[axis], at(i)[axis], at(i + 1)[axis], at(i + 2)[axis], t);
      result.push([between(0), between(1)]);
    }
  }
  return result;
}

function catmullRom(a: number, b: number, c: number, d: number, t: number): number {
  return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

/** From the unit box to pixels: bend, slant, tilt, stretch and shift, the same for all strokes of a drawing. */
function placement(random: Random): (point: Point) => Point {
  const tilt = TILT * random.gaussian();
  const slant = SLANT * random.gaussian() - 0.06;
  const width = (0.62 + 0.3 * random.uniform()) * SIZE * 0.8;
  const height = (0.8 + 0.2 * random.uniform()) * SIZE * 0.84;
  const right = SIZE * (0.5 + SHIFT * random.gaussian());
  const down = SIZE * (0.5 + SHIFT * random.gaussian());
  const bends = [random.gaussian(), random.gaussian()].map((bend) => BEND * bend);
  const phases = [random.uniform(), random.uniform()].map((phase) => 2 * Math.PI * phase);
  const cosine = Math.cos(tilt);
  const sine = Math.sin(tilt);
  return ([x, y]) => {
    const bentX = x - 0.5 + bends[0]! * Math.sin(5 * y + phases[0]!);
    const bentY = y - 0.5 + bends[1]! * Math.sin(5 * x + phases[1]!);
    const u = (bentX - slant * bentY) * width;
    const v = bentY * height;
    return [right + cosine * u - sine * v, down + sine * u + cosine * v];
  };
}

/** How much of each pixel the pen covers, 0 to 1. */
function ink(paths: readonly (readonly Point[])[], random: Random): Float64Array {
  const pen = 0.55 + 0.55 * random.uniform();
  // Pressure rises or falls along the drawing.
  const pressure = 0.25 * (random.uniform() - 0.5);
  const covered = new Float64Array(SIZE * SIZE);
  const pieces = paths.flatMap((points) => points.slice(1).map((end, i) => [points[i]!, end] as const));
  pieces.forEach(([start, end], piece) => {
    const radius = pen * (1 + pressure * ((2 * piece) / pieces.length - 1));
    // An edge one pixel wide around the outline stands for the share that is covered.
    const reach = radius + 0.5;
    const range = (a: number, b: number): [number, number] => [
      Math.max(0, Math.floor(Math.min(a, b) - reach)),
      Math.min(SIZE - 1, Math.ceil(Math.max(a, b) + reach)),
    ];
    const [left, right] = range(start[0], end[0]);
    const [top, bottom] = range(start[1], end[1]);
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) {
        const share = reach - distance([column + 0.5, row + 0.5], start, end);
        const at = row * SIZE + column;
        covered[at] = Math.max(covered[at]!, Math.min(1, share));
      }
    }
  });
  return covered;
}

/** From a point to a segment. */
function distance([x, y]: Point, [ax, ay]: Point, [bx, by]: Point): number {
  const dx = bx - ax;
  const dy = by - ay;
  const squared = dx * dx + dy * dy;
  const along = squared === 0 ? 0 : Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / squared));
  return Math.sqrt((x - ax - along * dx) ** 2 + (y - ay - along * dy) ** 2);
}

/** Blur, uneven ink, a speck now and then, and bytes of 16 levels, which keep the files small. */
function develop(covered: Float64Array, random: Random): Uint8Array {
  const blur = 0.08 * random.uniform();
  const strength = 0.8 + 0.2 * random.uniform();
  const image = new Uint8Array(SIZE * SIZE);
  for (let row = 0; row < SIZE; row++) {
    for (let column = 0; column < SIZE; column++) {
      const at = (r: number, c: number): number =>
        r < 0 || c < 0 || r >= SIZE || c >= SIZE ? 0 : covered[r * SIZE + c]!;
      const around = at(row - 1, column) + at(row + 1, column) + at(row, column - 1) + at(row, column + 1);
      let value = strength * ((1 - 4 * blur) * at(row, column) + blur * around);
      if (value > 0) value *= 1 + 0.12 * random.gaussian();
      image[row * SIZE + column] = 17 * Math.round(15 * Math.min(1, Math.max(0, value)));
    }
  }
  if (random.uniform() < 0.1) image[random.below(SIZE * SIZE)] = 17 * random.below(16);
  return image;
}
