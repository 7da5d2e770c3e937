import type { AnyNode, GraphNode, OpAttributes, OpType, PoolAttributes, Shape } from '../../server/src/graph/ir';
import { elementCount, rowMajorStrides } from '../../server/src/graph/shapes';
import { reachable } from '../../server/src/graph/traversal';

/**
 * The naive twin of the engine: every op in float64 by its definition, one
 * element at a time, no formulation shared with the emission. An oracle, slow.
 */
export function evaluate(outputs: readonly AnyNode[], feeds: ReadonlyMap<string, ArrayLike<number>>): Float64Array[] {
  const values = new Map<AnyNode, Float64Array>();
  for (const node of reachable(outputs)) {
    if (node.op === 'input' || node.op === 'parameter') {
      const value = feeds.get(node.attributes.name);
      if (value === undefined) throw new Error(`no value for ${node.attributes.name}`);
      if (value.length !== elementCount(node.shape)) throw new Error(`${node.attributes.name}: ${value.length} values`);
      values.set(node, Float64Array.from(value));
      continue;
    }
    const kernel = kernels[node.op] as Kernel<OpType>;
    const inputs = node.inputs.map((input) => ({ shape: input.shape, data: values.get(input)! }));
    values.set(node, kernel(node, inputs, node.attributes));
  }
  return outputs.map((output) => values.get(output)!);
}

interface Tensor {
  readonly shape: Shape;
  readonly data: Float64Array;
}
type Kernel<T extends OpType> = (
  node: GraphNode<T>,
  inputs: readonly Tensor[],
  attributes: OpAttributes[T],
) => Float64Array;

/** Calls `visit` with every index of `shape` in row-major order; the array is reused. */
function forEachIndex(shape: Shape, visit: (index: number[], flat: number) => void): void {
  const index = new Array<number>(shape.length).fill(0);
  const count = elementCount(shape);
  for (let flat = 0; flat < count; flat++) {
    visit(index, flat);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
}

function flatIndex(shape: Shape, index: readonly number[]): number {
  const strides = rowMajorStrides(shape);
  return index.reduce((sum, i, axis) => sum + i * strides[axis]!, 0);
}

/** The element of a tensor that broadcasts to the index. */
function broadcastAt({ shape, data }: Tensor, index: readonly number[]): number {
  const lead = index.length - shape.length;
  return data[
    flatIndex(
      shape,
      shape.map((size, axis) => (size === 1 ? 0 : index[axis + lead]!)),
    )
  ]!;
}

const unary =
  (f: (x: number) => number): Kernel<OpType> =>
  (_node, [x]) =>
    x!.data.map(f);

const nary =
  (f: (...values: number[]) => number): Kernel<OpType> =>
  (node, inputs) => {
    const out = new Float64Array(elementCount(node.shape));
    forEachIndex(node.shape, (index, flat) => {
      out[flat] = f(...inputs.map((input) => broadcastAt(input, index)));
    });
    return out;
  };

/** erf by its Maclaurin series (|x| < 3) or the continued fraction of erfc. */
function erf(x: number): number {
  const a = Math.abs(x);
  if (a < 3) {
    let term = a;
    let sum = a;
    for (let n = 1; n < 200; n++) {
      term *= (-a * a) / n;
      sum += term / (2 * n + 1);
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = a;
  for (let k = 60; k > 0; k--) fraction = a + k / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * fraction));
}

interface Taps {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
}

/** Position in the input of kernel tap `k` of output `o`, or undefined in the padding. */
function tap(taps: Taps, spatial: Shape, o: readonly number[], k: readonly number[]): number[] | undefined {
  const at = o.map((out, axis) => out * taps.strides[axis]! + k[axis]! * taps.dilations[axis]! - taps.pads[axis]!);
  return at.every((position, axis) => position >= 0 && position < spatial[axis]!) ? at : undefined;
}

/** Every (x, w, y) triple of flat indices that a convolution multiplies. */
function forEachTap(
  x: Shape,
  w: Shape,
  y: Shape,
  taps: Taps & { readonly group: number },
  visit: (x: number, w: number, y: number) => void,
): void {
  const perGroupOut = w[0]! / taps.group;
  const spatial = x.slice(2);
  const [xAt, wAt] = [rowMajorStrides(x), rowMajorStrides(w)];
  const pixelAt = (index: readonly number[]): number => index.reduce((sum, i, axis) => sum + i * xAt[axis + 2]!, 0);
  forEachIndex(y, (yIndex, yFlat) => {
    const [n, k] = [yIndex[0]!, yIndex[1]!];
    const firstInput = Math.floor(k / perGroupOut) * w[1]!;
    const out = yIndex.slice(2);
    forEachIndex(w.slice(2), (kernelIndex, kernelFlat) => {
      const at = tap(taps, spatial, out, kernelIndex);
      if (at === undefined) return;
      const pixel = pixelAt(at);
      for (let c = 0; c < w[1]!; c++) {
        visit(n * xAt[0]! + (firstInput + c) * xAt[1]! + pixel, k * wAt[0]! + c * wAt[1]! + kernelFlat, yFlat);
      }
    });
  });
}

/** Flat index in x of the maximum of every window; the first one wins. */
function maxima(x: Tensor, y: Shape, pool: PoolAttributes): Int32Array {
  const out = new Int32Array(elementCount(y));
  forEachIndex(y, (index, flat) => {
    let best = -1;
    forEachIndex(pool.kernel, (kernelIndex) => {
      const at = tap(pool, x.shape.slice(2), index.slice(2), kernelIndex);
      if (at === undefined) return;
      const candidate = flatIndex(x.shape, [index[0]!, index[1]!, ...at]);
      if (best < 0 || x.data[candidate]! > x.data[best]!) best = candidate;
    });
    out[flat] = best;
  });
  return out;
}

/** Rows along `axis`, as lists of flat indices. */
function rows(shape: Shape, axis: number): number[][] {
  const strides = rowMajorStrides(shape);
  const result: number[][] = [];
  forEachIndex(
    shape.map((size, a) => (a === axis ? 1 : size)),
    (index) => {
      const base = flatIndex(shape, index);
      result.push(Array.from({ length: shape[axis]! }, (_, i) => base + i * strides[axis]!));
    },
  );
  return result;
}

function normalise(x: Tensor, axis: number, logarithmic: boolean): Float64Array {
  const out = new Float64Array(x.data.length);
  for (const row of rows(x.shape, axis)) {
    const largest = Math.max(...row.map((i) => x.data[i]!));
    const total = row.reduce((sum, i) => sum + Math.exp(x.data[i]! - largest), 0);
    for (const i of row) {
      const shifted = x.data[i]! - largest;
      out[i] = logarithmic ? shifted - Math.log(total) : Math.exp(shifted) / total;
    }
  }
  return out;
}

/** The elements of every channel (axis 1), as flat indices, and their moments. */
function channels({ shape, data }: Tensor): { at: number[]; mean: number; variance: number }[] {
  const inner = shape.slice(2).reduce((product, size) => product * size, 1);
  return Array.from({ length: shape[1]! }, (_, c) => {
    const at = [...data.keys()].filter((i) => Math.floor(i / inner) % shape[1]! === c);
    const mean = at.reduce((sum, i) => sum + data[i]!, 0) / at.length;
    return { at, mean, variance: at.reduce((sum, i) => sum + (data[i]! - mean) ** 2, 0) / at.length };
  });
}

const fed = (): never => {
  throw new Error('a source is not computed');
};

const kernels: { readonly [T in OpType]: Kernel<T> } = {
  input: fed,
  parameter: fed,
  constant: (_node, _inputs, { value }) => Float64Array.from(value),
  neg: unary((x) => -x),
  exp: unary(Math.exp),
  log: unary(Math.log),
  sqrt: unary(Math.sqrt),
  reciprocal: unary((x) => 1 / x),
  tanh: unary(Math.tanh),
  sigmoid: unary((x) => 1 / (1 + Math.exp(-x))),
  erf: unary(erf),
  relu: unary((x) => Math.max(x, 0)),
  abs: unary(Math.abs),
  sign: unary(Math.sign),
  step: unary((x) => (x > 0 ? 1 : 0)),
  add: nary((a, b) => a! + b!),
  sub: nary((a, b) => a! - b!),
  mul: nary((a, b) => a! * b!),
  div: nary((a, b) => a! / b!),
  pow: nary((a, b) => Math.pow(a!, b!)),
  where: nary((mask, a, b) => (mask !== 0 ? a! : b!)),
  matmul: (node, [a, b], { transposeA, transposeB }) => {
    const out = new Float64Array(elementCount(node.shape));
    const inner = transposeA ? a!.shape.at(-2)! : a!.shape.at(-1)!;
    forEachIndex(node.shape, (index, flat) => {
      const batch = index.slice(0, -2);
      const [m, n] = index.slice(-2) as [number, number];
      let sum = 0;
      for (let k = 0; k < inner; k++) {
        sum +=
          broadcastMatrix(a!, batch, transposeA ? k : m, transposeA ? m : k) *
          broadcastMatrix(b!, batch, transposeB ? n : k, transposeB ? k : n);
      }
      out[flat] = sum;
    });
    return out;
  },
  conv: (node, [x, w], attributes) => {
    const out = new Float64Array(elementCount(node.shape));
    forEachTap(x!.shape, w!.shape, node.shape, attributes, (i, j, k) => (out[k]! += x!.data[i]! * w!.data[j]!));
    return out;
  },
  convInputGrad: (node, [g, w], attributes) => {
    const out = new Float64Array(elementCount(node.shape));
    forEachTap(node.shape, w!.shape, g!.shape, attributes, (i, j, k) => (out[i]! += g!.data[k]! * w!.data[j]!));
    return out;
  },
  convWeightGrad: (node, [x, g], attributes) => {
    const out = new Float64Array(elementCount(node.shape));
    forEachTap(x!.shape, node.shape, g!.shape, attributes, (i, j, k) => (out[j]! += x!.data[i]! * g!.data[k]!));
    return out;
  },
  reshape: (_node, [x]) => x!.data,
  transpose: (node, [x], { permutation }) => {
    const out = new Float64Array(x!.data.length);
    forEachIndex(node.shape, (index, flat) => {
      const source: number[] = [];
      permutation.forEach((axis, i) => (source[axis] = index[i]!));
      out[flat] = x!.data[flatIndex(x!.shape, source)]!;
    });
    return out;
  },
  expand: nary((x) => x!),
  reduceSum: (node, [x], { axes }) => {
    const out = new Float64Array(elementCount(node.shape));
    forEachIndex(x!.shape, (index, flat) => {
      out[
        flatIndex(
          node.shape,
          index.map((i, axis) => (axes.includes(axis) ? 0 : i)),
        )
      ]! += x!.data[flat]!;
    });
    return out;
  },
  slice: (node, [x], { starts, steps }) => {
    const out = new Float64Array(elementCount(node.shape));
    forEachIndex(node.shape, (index, flat) => {
      out[flat] = x!.data[flatIndex(x!.shape, window(index, starts, steps))]!;
    });
    return out;
  },
  embed: (node, [x], { starts, steps }) => {
    const out = new Float64Array(elementCount(node.shape));
    forEachIndex(x!.shape, (index, flat) => {
      out[flatIndex(node.shape, window(index, starts, steps))] = x!.data[flat]!;
    });
    return out;
  },
  concat: (node, inputs, { axis }) => {
    const out = new Float64Array(elementCount(node.shape));
    let offset = 0;
    for (const input of inputs) {
      const start = offset;
      forEachIndex(input.shape, (index, flat) => {
        out[
          flatIndex(
            node.shape,
            index.map((i, a) => (a === axis ? i + start : i)),
          )
        ] = input.data[flat]!;
      });
      offset += input.shape[axis]!;
    }
    return out;
  },
  gather: (node, [x], { axis, indices }) => {
    const out = new Float64Array(elementCount(node.shape));
    forEachIndex(node.shape, (index, flat) => {
      out[flat] =
        x!.data[
          flatIndex(
            x!.shape,
            index.map((i, a) => (a === axis ? indices[i]! : i)),
          )
        ]!;
    });
    return out;
  },
  scatterAdd: (node, [x], { axis, indices }) => {
    const out = new Float64Array(elementCount(node.shape));
    forEachIndex(x!.shape, (index, flat) => {
      out[
        flatIndex(
          node.shape,
          index.map((i, a) => (a === axis ? indices[i]! : i)),
        )
      ]! += x!.data[flat]!;
    });
    return out;
  },
  maxPool: (node, [x], pool) => Float64Array.from(maxima(x!, node.shape, pool), (at) => x!.data[at]!),
  maxPoolGather: (node, [x, t], pool) => Float64Array.from(maxima(x!, node.shape, pool), (at) => t!.data[at]!),
  maxPoolScatter: (_node, [x, g], pool) => {
    const out = new Float64Array(x!.data.length);
    maxima(x!, g!.shape, pool).forEach((at, i) => (out[at]! += g!.data[i]!));
    return out;
  },
  standardize: (_node, [x], { epsilon }) => {
    const out = new Float64Array(x!.data.length);
    for (const { at, mean, variance } of channels(x!)) {
      for (const i of at) out[i] = (x!.data[i]! - mean) / Math.sqrt(variance + epsilon);
    }
    return out;
  },
  // Entry (i, j) of the Jacobian: (δ_ij − 1/n − y_i y_j/n)/√(variance + ε).
  standardizeGrad: (_node, [x, g], { epsilon }) => {
    const out = new Float64Array(x!.data.length);
    for (const { at, mean, variance } of channels(x!)) {
      const deviation = Math.sqrt(variance + epsilon);
      const y = (i: number): number => (x!.data[i]! - mean) / deviation;
      for (const i of at) {
        for (const j of at) out[i]! += (Number(i === j) - (1 + y(i) * y(j)) / at.length) * (g!.data[j]! / deviation);
      }
    }
    return out;
  },
  variance: (_node, [x]) => Float64Array.from(channels(x!), ({ variance }) => variance),
  softmax: (_node, [x], { axis }) => normalise(x!, axis, false),
  logSoftmax: (_node, [x], { axis }) => normalise(x!, axis, true),
};

function window(index: readonly number[], starts: readonly number[], steps: readonly number[]): number[] {
  return index.map((i, axis) => starts[axis]! + i * steps[axis]!);
}

function broadcastMatrix(t: Tensor, batch: readonly number[], row: number, column: number): number {
  return broadcastAt(t, [...batch, row, column]);
}
