/**
 * The intermediate representation: a directed acyclic graph of float tensors
 * with ONNX operator semantics, small enough to differentiate twice.
 *
 * What is absent on purpose. There are no integer or boolean tensors: indices,
 * axes and shapes are attributes, masks are floats 0 and 1. There are no
 * dynamic shapes: every node knows its shape when it is made. There is no
 * state: running statistics are results that whoever trains keeps. A node is
 * immutable and refers to its inputs; nothing refers to its users.
 *
 * The set is closed under differentiation: the `vjp` and `jvp` rule of every
 * op is written with ops of the set (`../autodiff`).
 */

export type Shape = readonly number[];

/** Spatial attributes shared by a convolution and its two adjoints. */
export interface ConvAttributes {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Begin paddings of every spatial axis, then end paddings (ONNX order). */
  readonly pads: readonly number[];
  readonly group: number;
}

export interface PoolAttributes {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Begin paddings of every spatial axis, then end paddings (ONNX order). */
  readonly pads: readonly number[];
  readonly ceil: boolean;
}

/** A strided window of a tensor: element `i` of axis `a` is at `starts[a] + i·steps[a]`. */
export interface WindowAttributes {
  readonly starts: readonly number[];
  /** Positive. */
  readonly steps: readonly number[];
  /** Shape of the result. */
  readonly shape: Shape;
}

/** Attributes of every op. The op type is the key; rule tables are total over it. */
export interface OpAttributes {
  // Sources.
  /** A value fed at every run. */
  input: { readonly name: string };
  /** A named weight of the checkpoint: fed, or fixed when the graph is compiled. */
  parameter: { readonly name: string };
  constant: { readonly value: Float32Array | Float64Array };

  // Element-wise.
  neg: object;
  exp: object;
  log: object;
  sqrt: object;
  reciprocal: object;
  tanh: object;
  sigmoid: object;
  erf: object;
  relu: object;
  abs: object;
  /** −1, 0 or 1. */
  sign: object;
  /** 1 where x > 0, else 0. */
  step: object;

  // Element-wise with broadcasting.
  add: object;
  sub: object;
  mul: object;
  div: object;
  /** aᵇ. */
  pow: object;
  /** where(mask, a, b): a where mask ≠ 0, else b. */
  where: object;

  // Bilinear.
  /** Batched matrix product of the last two axes; leading axes broadcast. Rank ≥ 2. */
  matmul: { readonly transposeA: boolean; readonly transposeB: boolean };
  /** conv(x [N,C,…], w [K,C/g,…]) → [N,K,…]. No bias. */
  conv: ConvAttributes;
  /** Adjoint of `conv` in x: (g [N,K,…], w [K,C/g,…]) → [N,C,…inputShape]. */
  convInputGrad: ConvAttributes & { readonly inputShape: Shape };
  /** Adjoint of `conv` in w: (x [N,C,…], g [N,K,…]) → kernelShape [K,C/g,…]. */
  convWeightGrad: ConvAttributes & { readonly kernelShape: Shape };

  // Linear.
  reshape: { readonly shape: Shape };
  transpose: { readonly permutation: readonly number[] };
  /** Broadcast to `shape` (numpy rules). */
  expand: { readonly shape: Shape };
  /** Sum over `axes` (sorted, non-negative), which are kept with size 1. */
  reduceSum: { readonly axes: readonly number[] };
  slice: WindowAttributes;
  /** Adjoint of `slice`: zeros of `shape` with the input written into the window. */
  embed: WindowAttributes;
  concat: { readonly axis: number };
  /** Rows `indices` of `axis`; that axis becomes `indices.length`. Indices are non-negative. */
  gather: { readonly axis: number; readonly indices: Int32Array };
  /** Adjoint of `gather`: row i of the input is added to row `indices[i]` of a tensor with `size` rows on `axis`. */
  scatterAdd: { readonly axis: number; readonly indices: Int32Array; readonly size: number };

  // Max pooling; ties go to the first element of the window in row-major order.
  maxPool: PoolAttributes;
  /** (x, t): the elements of t at the positions of x's maxima. Linear in t. */
  maxPoolGather: PoolAttributes;
  /** (x, g): adjoint of `maxPoolGather` in t. Linear in g. */
  maxPoolScatter: PoolAttributes;

  // Moments of every channel (axis 1) over all other axes, for batch normalisation in training.
  /** y = (x − mean)/√(variance + ε). */
  standardize: { readonly epsilon: number };
  /**
   * (x, g): the Jacobian of `standardize` at x, which is symmetric, times g:
   * (g − mean(g) − y·mean(g·y))/√(variance + ε). Linear in g.
   */
  standardizeGrad: { readonly epsilon: number };
  /** Mean squared deviation from the mean, [1, C, 1, …]. */
  variance: object;

  // Normalised exponentials over one axis.
  softmax: { readonly axis: number };
  logSoftmax: { readonly axis: number };
}

export type OpType = keyof OpAttributes;

export interface GraphNode<T extends OpType = OpType> {
  /** Position in creation order; inputs come before users. */
  readonly id: number;
  /** Execution order, ties by `id`: usually `id`, smaller for what is made beside an earlier node. */
  readonly order: number;
  readonly op: T;
  readonly inputs: readonly AnyNode[];
  readonly attributes: OpAttributes[T];
  readonly shape: Shape;
}

/** A node of any op, narrowed by its `op`. */
export type AnyNode = { [T in OpType]: GraphNode<T> }[OpType];

/** Named results; everything they do not reach is dead. */
export interface Graph {
  readonly outputs: readonly { readonly name: string; readonly node: AnyNode }[];
}
