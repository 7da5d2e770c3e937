import { GraphBuilder } from '../../server/src/graph/builder';
import type { AnyNode, ConvAttributes, OpType, PoolAttributes, Shape } from '../../server/src/graph/ir';
import { elementCount } from '../../server/src/graph/shapes';

/** A graph of one op under test, its float inputs x0, x1, … and values for them. */
export interface OpCase {
  readonly label: string;
  readonly builder: GraphBuilder;
  readonly inputs: readonly AnyNode[];
  readonly output: AnyNode;
  readonly feeds: ReadonlyMap<string, Float64Array>;
}

/** mulberry32: small and good enough for test values. */
export function testRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function randomValues(shape: Shape, random: () => number, low = -1, high = 1): Float64Array {
  return Float64Array.from({ length: elementCount(shape) }, () => low + (high - low) * random());
}

interface Operand {
  readonly shape: Shape;
  /** Range of the values; the default is [−1, 1]. */
  readonly range?: readonly [number, number];
  /** Distinct, well separated values (for arg-max). */
  readonly distinct?: boolean;
  /** 0 or 1. */
  readonly mask?: boolean;
}

type Maker = (
  b: GraphBuilder,
  random: () => number,
) => {
  readonly label: string;
  readonly operands: readonly Operand[];
  readonly make: (...inputs: AnyNode[]) => AnyNode;
};

/** Several random cases of `op`, seeded. */
export function opCases(op: OpType, count: number): OpCase[] {
  const makers = caseMakers[op];
  return Array.from({ length: makers.length === 0 ? 0 : count }, (_, i) => {
    const random = testRandom(7919 * i + op.length * 31 + op.charCodeAt(0));
    const builder = new GraphBuilder();
    const { label, operands, make } = makers[i % makers.length]!(builder, random);
    const inputs = operands.map((operand, k) => builder.input(`x${k}`, operand.shape));
    const feeds = new Map(operands.map((operand, k) => [`x${k}`, operandValues(operand, random)]));
    return { label: `${op} ${label}`, builder, inputs, output: make(...inputs), feeds };
  });
}

function operandValues({ shape, range, distinct, mask }: Operand, random: () => number): Float64Array {
  const [low, high] = range ?? [-1, 1];
  const values = randomValues(shape, random, low, high);
  if (mask) return values.map((x) => (x > 0 ? 1 : 0));
  if (!distinct) return values;
  const order = Array.from(values.keys()).sort((a, b) => values[a]! - values[b]!);
  order.forEach((at, rank) => (values[at] = (rank + 1) / values.length - 0.5));
  return values;
}

const int = (random: () => number, low: number, high: number): number => low + Math.floor(random() * (high - low + 1));
const dims = (random: () => number, rank: number, high = 4): number[] =>
  Array.from({ length: rank }, () => int(random, 1, high));

function unary(make: (b: GraphBuilder) => (x: AnyNode) => AnyNode, range?: readonly [number, number]): Maker[] {
  return [
    (b, random) => {
      const shape = dims(random, int(random, 1, 4));
      return { label: `[${shape}]`, operands: [{ shape, ...(range && { range }) }], make: (x) => make(b)(x) };
    },
  ];
}

/** Both operands lose random axes or have them of size 1. */
function broadcasting(
  make: (b: GraphBuilder) => (x: AnyNode, y: AnyNode) => AnyNode,
  rangeA?: readonly [number, number],
  rangeB?: readonly [number, number],
): Maker[] {
  return [
    (b, random) => {
      const full = dims(random, int(random, 1, 4));
      const thin = (): number[] => {
        const shape = full.map((size) => (random() < 0.3 ? 1 : size));
        return shape.slice(int(random, 0, shape.length - 1));
      };
      const [a, c] = [thin(), thin()];
      return {
        label: `[${a}] [${c}]`,
        operands: [
          { shape: a, ...(rangeA && { range: rangeA }) },
          { shape: c, ...(rangeB && { range: rangeB }) },
        ],
        make: (x, y) => make(b)(x, y),
      };
    },
  ];
}

interface ConvCase {
  readonly x: Shape;
  readonly w: Shape;
  readonly y: Shape;
  readonly attributes: ConvAttributes;
  readonly label: string;
}

/** Random convolution: 1 to 3 spatial axes, strides, dilations, unequal pads, groups. */
function convCase(random: () => number): ConvCase {
  const rank = [1, 2, 2, 2, 3][int(random, 0, 4)]!;
  const group = int(random, 1, 3);
  const [n, inPerGroup, outPerGroup] = [int(random, 1, 3), int(random, 1, 3), int(random, 1, 3)];
  const kernel = dims(random, rank, 3);
  const strides = dims(random, rank, 3);
  const dilations = dims(random, rank, 2);
  const pads = Array.from({ length: 2 * rank }, () => int(random, 0, 2));
  const spatial = kernel.map((k, i) => {
    const extent = dilations[i]! * (k - 1) + 1;
    return Math.max(1, extent - pads[i]! - pads[i + rank]!) + int(random, 0, 4);
  });
  const attributes = { strides, dilations, pads, group };
  const x = [n, group * inPerGroup, ...spatial];
  const w = [group * outPerGroup, inPerGroup, ...kernel];
  const b = new GraphBuilder();
  const y = b.conv(b.input('x', x), b.input('w', w), attributes).shape;
  return { x, w, y, attributes, label: `[${x}] [${w}] ${JSON.stringify(attributes)}` };
}

function poolCase(random: () => number): { x: Shape; y: Shape; pool: PoolAttributes; label: string } {
  const rank = int(random, 1, 2);
  const kernel = Array.from({ length: rank }, () => int(random, 2, 3));
  const dilations = dims(random, rank, 2);
  const pads = Array.from({ length: 2 * rank }, () => int(random, 0, 1));
  const pool = { kernel, strides: dims(random, rank, 3), dilations, pads, ceil: random() < 0.3 };
  const x = [
    int(random, 1, 3),
    int(random, 1, 3),
    ...kernel.map((k, i) => dilations[i]! * (k - 1) + 1 + int(random, 0, 4)),
  ];
  const b = new GraphBuilder();
  return { x, y: b.maxPool(b.input('x', x), pool).shape, pool, label: `[${x}] ${JSON.stringify(pool)}` };
}

function windowCase(random: () => number): { whole: Shape; starts: number[]; steps: number[]; part: number[] } {
  const whole = Array.from({ length: int(random, 1, 4) }, () => int(random, 2, 6));
  const starts = whole.map((size) => int(random, 0, size - 1));
  const steps = whole.map(() => int(random, 1, 3));
  const part = whole.map((size, a) => int(random, 1, Math.floor((size - 1 - starts[a]!) / steps[a]!) + 1));
  return { whole, starts, steps, part };
}

function indexCase(random: () => number): { whole: number[]; axis: number; indices: Int32Array; part: number[] } {
  const whole = dims(random, int(random, 1, 3), 5);
  const axis = int(random, 0, whole.length - 1);
  const indices = Int32Array.from({ length: int(random, 1, 7) }, () => int(random, 0, whole[axis]! - 1));
  return { whole, axis, indices, part: whole.map((size, a) => (a === axis ? indices.length : size)) };
}

/** Channels with some elements each, so that they have a variance. */
function channelCase(random: () => number): { shape: number[]; epsilon: number } {
  const rank = int(random, 2, 4);
  return { shape: [int(random, 3, 5), ...dims(random, rank - 1)], epsilon: [1e-5, 0.1][int(random, 0, 1)]! };
}

/** Total over the op type, so that an op cannot be added without cases. */
const caseMakers: { readonly [T in OpType]: readonly Maker[] } = {
  input: [],
  parameter: [],
  constant: [],
  neg: unary((b) => (x) => b.neg(x)),
  exp: unary((b) => b.exp),
  log: unary((b) => b.log, [0.2, 3]),
  sqrt: unary((b) => b.sqrt, [0.2, 3]),
  reciprocal: unary((b) => b.reciprocal, [0.4, 3]),
  tanh: unary((b) => b.tanh, [-2, 2]),
  sigmoid: unary((b) => b.sigmoid, [-4, 4]),
  erf: unary((b) => b.erf, [-2, 2]),
  relu: unary((b) => b.relu),
  abs: unary((b) => b.abs),
  sign: unary((b) => b.sign),
  step: unary((b) => b.step),
  add: broadcasting((b) => (x, y) => b.add(x, y)),
  sub: broadcasting((b) => (x, y) => b.sub(x, y)),
  mul: broadcasting((b) => (x, y) => b.mul(x, y)),
  div: broadcasting((b) => (x, y) => b.div(x, y), undefined, [0.5, 2]),
  pow: broadcasting((b) => (x, y) => b.pow(x, y), [0.3, 2], [-2, 3]),
  where: [
    (b, random) => {
      const full = dims(random, int(random, 1, 3));
      const thin = (): number[] => full.map((size) => (random() < 0.3 ? 1 : size));
      const shapes = [thin(), thin(), thin()] as const;
      return {
        label: shapes.map((shape) => `[${shape}]`).join(' '),
        operands: [{ shape: shapes[0], mask: true }, { shape: shapes[1] }, { shape: shapes[2] }],
        make: (m, x, y) => b.where(m!, x!, y!),
      };
    },
  ],
  matmul: [
    (b, random) => {
      const [m, k, n] = [int(random, 1, 4), int(random, 1, 4), int(random, 1, 4)];
      const [tA, tB] = [random() < 0.5, random() < 0.5];
      const batch = dims(random, int(random, 0, 2), 3);
      const thin = (): number[] => batch.map((size) => (random() < 0.3 ? 1 : size));
      const x = [...thin(), ...(tA ? [k, m] : [m, k])];
      const y = [...(random() < 0.3 ? [] : thin()), ...(tB ? [n, k] : [k, n])];
      return {
        label: `[${x}]${tA ? 'ᵀ' : ''} [${y}]${tB ? 'ᵀ' : ''}`,
        operands: [{ shape: x }, { shape: y }],
        make: (p, q) => b.matmul(p!, q!, tA, tB),
      };
    },
  ],
  conv: [
    (b, random) => {
      const { x, w, attributes, label } = convCase(random);
      return { label, operands: [{ shape: x }, { shape: w }], make: (p, q) => b.conv(p!, q!, attributes) };
    },
  ],
  convInputGrad: [
    (b, random) => {
      const { x, w, y, attributes, label } = convCase(random);
      return {
        label,
        operands: [{ shape: y }, { shape: w }],
        make: (p, q) => b.convInputGrad(p!, q!, attributes, x.slice(2)),
      };
    },
  ],
  convWeightGrad: [
    (b, random) => {
      const { x, w, y, attributes, label } = convCase(random);
      return {
        label,
        operands: [{ shape: x }, { shape: y }],
        make: (p, q) => b.convWeightGrad(p!, q!, attributes, w.slice(2)),
      };
    },
  ],
  reshape: [
    (b, random) => {
      const shape = dims(random, 3);
      const to = [shape[0]! * shape[1]!, 1, shape[2]!];
      return { label: `[${shape}] to [${to}]`, operands: [{ shape }], make: (x) => b.reshape(x!, to) };
    },
  ],
  transpose: [
    (b, random) => {
      const shape = dims(random, int(random, 2, 4));
      const permutation = [...shape.keys()];
      for (let i = permutation.length - 1; i > 0; i--) {
        const j = int(random, 0, i);
        [permutation[i], permutation[j]] = [permutation[j]!, permutation[i]!];
      }
      return {
        label: `[${shape}] by [${permutation}]`,
        operands: [{ shape }],
        make: (x) => b.transpose(x!, permutation),
      };
    },
  ],
  expand: [
    (b, random) => {
      const to = dims(random, int(random, 2, 4));
      const shape = to.map((size) => (random() < 0.5 ? 1 : size)).slice(int(random, 0, 1));
      return { label: `[${shape}] to [${to}]`, operands: [{ shape }], make: (x) => b.expand(x!, to) };
    },
  ],
  reduceSum: [
    (b, random) => {
      const shape = dims(random, int(random, 1, 4));
      const axes = [...shape.keys()].filter(() => random() < 0.5);
      return { label: `[${shape}] over [${axes}]`, operands: [{ shape }], make: (x) => b.reduceSum(x!, axes) };
    },
  ],
  slice: [
    (b, random) => {
      const { whole, starts, steps, part } = windowCase(random);
      return {
        label: `[${part}] of [${whole}] from [${starts}] by [${steps}]`,
        operands: [{ shape: whole }],
        make: (x) => b.slice(x!, starts, steps, part),
      };
    },
  ],
  embed: [
    (b, random) => {
      const { whole, starts, steps, part } = windowCase(random);
      return {
        label: `[${part}] in [${whole}] from [${starts}] by [${steps}]`,
        operands: [{ shape: part }],
        make: (x) => b.embed(x!, starts, steps, whole),
      };
    },
  ],
  concat: [
    (b, random) => {
      const shape = dims(random, int(random, 1, 3));
      const axis = int(random, 0, shape.length - 1);
      const operands = Array.from({ length: int(random, 2, 3) }, () => ({
        shape: shape.map((size, a) => (a === axis ? int(random, 1, 3) : size)),
      }));
      return { label: `axis ${axis}`, operands, make: (...inputs) => b.concat(inputs, axis) };
    },
  ],
  gather: [
    (b, random) => {
      const { whole, axis, indices } = indexCase(random);
      return {
        label: `[${indices}] of [${whole}] axis ${axis}`,
        operands: [{ shape: whole }],
        make: (x) => b.gather(x!, axis, indices),
      };
    },
  ],
  scatterAdd: [
    (b, random) => {
      const { whole, axis, indices, part } = indexCase(random);
      return {
        label: `[${indices}] of [${whole}] axis ${axis}`,
        operands: [{ shape: part }],
        make: (x) => b.scatterAdd(x!, axis, indices, whole[axis]!),
      };
    },
  ],
  maxPool: [
    (b, random) => {
      const { x, pool, label } = poolCase(random);
      return { label, operands: [{ shape: x, distinct: true }], make: (p) => b.maxPool(p!, pool) };
    },
  ],
  maxPoolGather: [
    (b, random) => {
      const { x, pool, label } = poolCase(random);
      return {
        label,
        operands: [{ shape: x, distinct: true }, { shape: x }],
        make: (p, t) => b.maxPoolGather(p!, t!, pool),
      };
    },
  ],
  maxPoolScatter: [
    (b, random) => {
      const { x, y, pool, label } = poolCase(random);
      return {
        label,
        operands: [{ shape: x, distinct: true }, { shape: y }],
        make: (p, g) => b.maxPoolScatter(p!, g!, pool),
      };
    },
  ],
  standardize: [
    (b, random) => {
      const { shape, epsilon } = channelCase(random);
      return { label: `[${shape}]`, operands: [{ shape }], make: (x) => b.standardize(x!, epsilon) };
    },
  ],
  standardizeGrad: [
    (b, random) => {
      const { shape, epsilon } = channelCase(random);
      return {
        label: `[${shape}]`,
        operands: [{ shape }, { shape }],
        make: (x, g) => b.standardizeGrad(x!, g!, epsilon),
      };
    },
  ],
  variance: [
    (b, random) => {
      const { shape } = channelCase(random);
      return { label: `[${shape}]`, operands: [{ shape }], make: (x) => b.variance(x!) };
    },
  ],
  softmax: normalised('softmax'),
  logSoftmax: normalised('logSoftmax'),
};

function normalised(op: 'softmax' | 'logSoftmax'): Maker[] {
  return [
    (b, random) => {
      const shape = dims(random, int(random, 1, 3), 5);
      const axis = int(random, 0, shape.length - 1);
      return { label: `[${shape}] axis ${axis}`, operands: [{ shape, range: [-3, 3] }], make: (x) => b[op](x!, axis) };
    },
  ];
}

/** Every op that computes something. */
export const computingOps = (Object.keys(caseMakers) as OpType[]).filter((op) => caseMakers[op].length > 0);
