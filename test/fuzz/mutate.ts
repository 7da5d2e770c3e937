/**
 * Byte mutation for fuzzing: what a damaged or hostile file differs in from a
 * sound one. Counts and lengths at the edges of their types, bits, blocks that
 * are cut, doubled, moved or taken from another file, numbers written as text.
 */

export type Random = () => number;

export const below = (random: Random, count: number): number => Math.floor(random() * count);
export const pick = <T>(random: Random, list: readonly T[]): T => list[below(random, list.length)]!;

/** Longer inputs only take longer. */
const LONGEST = 1 << 17;

const INTERESTING = [
  0,
  1,
  2,
  7,
  8,
  16,
  127,
  128,
  255,
  256,
  1023,
  4096,
  32767,
  32768,
  65535,
  65536,
  2 ** 24,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 63,
];

const NUMBERS = [
  ...INTERESTING.map(String),
  '-1',
  '-2147483648',
  '1e9',
  '1e400',
  '0.5',
  '18446744073709551615',
  'null',
];

type Mutation = (bytes: Buffer, random: Random, other: () => Uint8Array) => Buffer;

/** A number of 1, 2, 4 or 8 bytes, in either order. */
const setInteger: Mutation = (bytes, random) => {
  const width = pick(random, [1, 2, 4, 8]);
  if (bytes.length < width) return bytes;
  const at = below(random, bytes.length - width + 1);
  const near = random() < 0.2 ? bytes.length + below(random, 3) - 1 : pick(random, INTERESTING);
  const value = BigInt.asUintN(8 * width, BigInt(random() < 0.2 ? -near : near));
  const whole = Buffer.alloc(8);
  whole.writeBigUInt64LE(value);
  const own = whole.subarray(0, width);
  bytes.set(random() < 0.7 ? own : own.reverse(), at);
  return bytes;
};

/** A little more or less. */
const step: Mutation = (bytes, random) => {
  const at = below(random, bytes.length);
  bytes[at] = bytes[at]! + below(random, 9) - 4;
  return bytes;
};

const flipBit: Mutation = (bytes, random) => {
  const at = below(random, bytes.length);
  bytes[at] = bytes[at]! ^ (1 << below(random, 8));
  return bytes;
};

const setByte: Mutation = (bytes, random) => {
  bytes[below(random, bytes.length)] = below(random, 256);
  return bytes;
};

/** Start and length of a block, short ones the likelier. */
function block(bytes: Uint8Array, random: Random): readonly [number, number] {
  const length = 1 + below(random, random() < 0.8 ? Math.min(16, bytes.length) : bytes.length);
  return [below(random, bytes.length - length + 1), length];
}

const cut: Mutation = (bytes, random) => {
  const [at, length] = block(bytes, random);
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
};

const copy: Mutation = (bytes, random) => {
  const [from, length] = block(bytes, random);
  const at = below(random, bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(from, from + length), bytes.subarray(at)]);
};

const overwrite: Mutation = (bytes, random) => {
  const [from, length] = block(bytes, random);
  bytes.copy(bytes, below(random, bytes.length - length + 1), from, from + length);
  return bytes;
};

const fill: Mutation = (bytes, random) => {
  const [at, length] = block(bytes, random);
  return bytes.fill(pick(random, [0, 0xff, 0x80, 0x7f]), at, at + length);
};

const truncate: Mutation = (bytes, random) => bytes.subarray(0, below(random, bytes.length));

/** The front of one file and the back of another. */
const splice: Mutation = (bytes, random, other) => {
  const second = other();
  const at = below(random, bytes.length);
  const from = Math.min(second.length, random() < 0.5 ? at : below(random, second.length + 1));
  return Buffer.concat([bytes.subarray(0, at), second.subarray(from)]);
};

const insertFrom: Mutation = (bytes, random, other) => {
  const second = other();
  if (second.length === 0) return bytes;
  const [from, length] = block(second, random);
  const at = below(random, bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), second.subarray(from, from + length), bytes.subarray(at)]);
};

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39;

/** A number that is written as text, in JSON or a header. */
const setNumber: Mutation = (bytes, random) => {
  let start = below(random, bytes.length);
  for (let i = 0; i < 256 && !isDigit(bytes[start]); i++) start = (start + 1) % bytes.length;
  if (!isDigit(bytes[start])) return bytes;
  let end = start;
  while (isDigit(bytes[end])) end++;
  while (start > 0 && isDigit(bytes[start - 1])) start--;
  return Buffer.concat([bytes.subarray(0, start), Buffer.from(pick(random, NUMBERS)), bytes.subarray(end)]);
};

const mutations: readonly Mutation[] = [
  setInteger,
  setInteger,
  step,
  flipBit,
  setByte,
  cut,
  copy,
  overwrite,
  fill,
  truncate,
  splice,
  insertFrom,
  setNumber,
];

/**
 * One to some mutations of `bytes`, which stay as they are.
 *
 * @param other gives another sound input of the same kind
 */
export function mutate(bytes: Uint8Array, random: Random, other: () => Uint8Array): Buffer {
  let result: Buffer = Buffer.from(bytes);
  do {
    if (result.length === 0) result = Buffer.from(other());
    if (result.length > 0) result = pick(random, mutations)(result, random, other);
  } while (random() < 0.45);
  return result.length > LONGEST ? result.subarray(0, LONGEST) : result;
}
