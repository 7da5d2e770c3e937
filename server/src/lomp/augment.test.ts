import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../random';
import { augment, imageLayout, type Augmentation } from './augment';

const [CHANNELS, HEIGHT, WIDTH] = [2, 3, 4];
const PADDING = [-7, -8];
/** The value says where a pixel comes from: channel, row, column. */
const value = (c: number, y: number, x: number): number => 100 * (c + 1) + 10 * y + x;

function image(nhwc: boolean): Float32Array {
  const result = new Float32Array(CHANNELS * HEIGHT * WIDTH);
  for (let c = 0; c < CHANNELS; c++) {
    for (let y = 0; y < HEIGHT; y++) for (let x = 0; x < WIDTH; x++) result[place(c, y, x, nhwc)] = value(c, y, x);
  }
  return result;
}

function place(c: number, y: number, x: number, nhwc: boolean): number {
  return nhwc ? (y * WIDTH + x) * CHANNELS + c : (c * HEIGHT + y) * WIDTH + x;
}

function varied(options: Augmentation, nhwc: boolean, seed: number): Float32Array {
  const layout = imageLayout(nhwc ? [HEIGHT, WIDTH, CHANNELS] : [CHANNELS, HEIGHT, WIDTH], nhwc, PADDING)!;
  const target = new Float32Array(CHANNELS * HEIGHT * WIDTH);
  augment(image(nhwc), target, layout, options, Random.stream(seed, 'test'));
  return target;
}

for (const nhwc of [false, true]) {
  test(`what comes out is a part of the padded image, mirrored or not, ${nhwc ? 'channels last' : 'first'}`, () => {
    const crop = 2;
    const seen = new Set<string>();
    for (let seed = 0; seed < 400; seed++) {
      const result = varied({ crop, flip: true }, nhwc, seed);
      const expected = (down: number, right: number, mirrored: boolean) => (c: number, y: number, x: number) => {
        const [fromY, fromX] = [y + down, (mirrored ? WIDTH - 1 - x : x) + right];
        const inside = fromY >= 0 && fromY < HEIGHT && fromX >= 0 && fromX < WIDTH;
        return inside ? value(c, fromY, fromX) : PADDING[c]!;
      };
      const matches: string[] = [];
      for (let down = -crop; down <= crop; down++) {
        for (let right = -crop; right <= crop; right++) {
          for (const mirrored of [false, true]) {
            const pixel = expected(down, right, mirrored);
            let same = true;
            for (let c = 0; c < CHANNELS; c++) {
              for (let y = 0; y < HEIGHT; y++) {
                for (let x = 0; x < WIDTH; x++) same &&= result[place(c, y, x, nhwc)] === pixel(c, y, x);
              }
            }
            if (same) matches.push(`${down} ${right} ${mirrored}`);
          }
        }
      }
      assert.equal(matches.length, 1, `seed ${seed}: ${matches.join('; ')}`);
      seen.add(matches[0]!);
    }
    // 5 · 5 · 2 variations, all of them drawn.
    assert.equal(seen.size, 50);
  });
}

test('without crop and flip an image stays', () => {
  for (let seed = 0; seed < 10; seed++) {
    assert.deepEqual(varied({ crop: 0, flip: false }, false, seed), image(false));
  }
});

test('samples that are no images have no layout', () => {
  assert.equal(imageLayout([784], false, [0]), null);
});
