import type { GraphBuilder } from '../builder';
import type { AnyNode, GraphNode } from '../ir';
import { elementCount } from '../shapes';
import { reachable } from '../traversal';

/**
 * Moves per-channel factors that follow a convolution into its weights:
 *
 *     s · conv(x, w)        →  conv(x, s·w)
 *     s · (u + c)           →  s·u + s·c        for per-channel c
 *
 * Evaluation-mode normalisation is such a factor. In weights it costs a
 * product of the size of the weights; left in place it costs one of the size
 * of the activations in the forward pass, its tangent, and both backward.
 */
export function foldScales(b: GraphBuilder, root: AnyNode): AnyNode {
  const rebuilt = new Map<AnyNode, AnyNode>();
  for (const node of reachable([root])) {
    const inputs = node.inputs.map((input) => rebuilt.get(input)!);
    const same = inputs.every((input, i) => input === node.inputs[i]);
    let result = same ? node : b.make(node.op, inputs, node.attributes, node.shape);
    if (result.op === 'mul') result = scaled(b, result);
    rebuilt.set(node, result);
  }
  return rebuilt.get(root)!;
}

/** `product` with the factor pushed down, or unchanged where no rule applies. */
function scaled(b: GraphBuilder, product: GraphNode<'mul'>): AnyNode {
  const [x, y] = product.inputs;
  for (const [value, factor] of [
    [x!, y!],
    [y!, x!],
  ] as const) {
    const pushed = push(b, value, factor);
    if (pushed !== undefined) return pushed;
  }
  return product;
}

function push(b: GraphBuilder, value: AnyNode, factor: AnyNode): AnyNode | undefined {
  if (!isPerChannel(factor, value)) return undefined;
  if (value.op === 'conv') {
    const [x, w] = value.inputs;
    const perKernel = b.reshape(factor, [elementCount(factor.shape), ...w!.shape.slice(1).map(() => 1)]);
    return b.conv(x!, b.mul(w!, perKernel), value.attributes);
  }
  if (value.op === 'add') {
    const [u, c] = value.inputs;
    const addend = isPerChannel(c!, u!) ? ([u!, c!] as const) : isPerChannel(u!, c!) ? ([c!, u!] as const) : undefined;
    if (addend === undefined) return undefined;
    const inner = push(b, addend[0], factor);
    return inner === undefined ? undefined : b.add(inner, b.mul(addend[1], factor));
  }
  return undefined;
}

/** True when `factor` varies along axis 1 of `value` alone. */
function isPerChannel(factor: AnyNode, value: AnyNode): boolean {
  const rank = value.shape.length;
  const lead = rank - factor.shape.length;
  return (
    rank >= 3 &&
    lead >= 0 &&
    factor.shape.every((size, axis) => size === 1 || (axis + lead === 1 && size === value.shape[1]))
  );
}
