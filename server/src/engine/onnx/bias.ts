import type { AnyNode } from '../../graph/ir';
import { sameShape } from '../../graph/shapes';

/** A sum that ONNX writes as one node: a convolution or Gemm with a bias. */
export interface BiasedProduct {
  readonly product: AnyNode;
  /** Of shape [K] for a convolution with K outputs; broadcasts to the product for Gemm. */
  readonly bias: AnyNode;
}

export interface BiasFusion {
  /** By the sum that is written as the product. */
  readonly sums: ReadonlyMap<AnyNode, BiasedProduct>;
  /** Nodes that only such a sum uses, and that are therefore not written themselves. */
  readonly absorbed: ReadonlySet<AnyNode>;
}

/**
 * Finds the sums that are convolutions or Gemms with a bias: the IR has
 * neither, so that differentiation knows one form only, but other readers of
 * the file look for a layer's bias in the layer.
 *
 * @param nodes all nodes of a graph
 * @param uses how often each is used
 */
export function findBiases(nodes: readonly AnyNode[], uses: ReadonlyMap<AnyNode, number>): BiasFusion {
  const sums = new Map<AnyNode, BiasedProduct>();
  const absorbed = new Set<AnyNode>();
  for (const sum of nodes) {
    if (sum.op !== 'add') continue;
    const [left, right] = sum.inputs as readonly [AnyNode, AnyNode];
    for (const [product, addend] of [
      [left, right],
      [right, left],
    ] as const) {
      const bias = biasOf(product, addend);
      if (bias === undefined || uses.get(product) !== 1 || absorbed.has(product)) continue;
      sums.set(sum, { product, bias });
      absorbed.add(product);
      if (bias !== addend && uses.get(addend) === 1) absorbed.add(addend);
      break;
    }
  }
  return { sums, absorbed };
}

/** What stands for `addend` as the bias of `product`, or undefined where it is none. */
function biasOf(product: AnyNode, addend: AnyNode): AnyNode | undefined {
  if (product.op === 'conv') {
    if (addend.op !== 'reshape') return undefined;
    const [flat] = addend.inputs as readonly [AnyNode];
    const channels = product.shape.map((size, axis) => (axis === 1 ? size : 1));
    const perChannel = [channels, channels.slice(1)].some((shape) => sameShape(shape, addend.shape));
    return perChannel && flat.shape.length === 1 ? flat : undefined;
  }
  if (product.op !== 'matmul' || !isGemm(product)) return undefined;
  // Gemm broadcasts its third input to the product and never the other way round.
  const { shape } = addend;
  const fits = shape.length <= 2 && shape.every((size, i) => size === 1 || size === product.shape.at(i - shape.length));
  return fits ? addend : undefined;
}

/** A product of two matrices with a transpose, which ONNX writes as Gemm. */
export function isGemm({ inputs, attributes }: AnyNode & { readonly op: 'matmul' }): boolean {
  const transposed = attributes.transposeA || attributes.transposeB;
  return transposed && inputs.every(({ shape }) => shape.length === 2);
}
