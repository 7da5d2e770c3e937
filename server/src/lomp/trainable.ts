import type { AnyNode } from '../graph/ir';
import type { Model } from '../graph/model';
import { dependents, reachable } from '../graph/traversal';

/**
 * Which parameters training moves: prunable weights, and whatever meets what
 * they computed, such as biases and the scales and shifts of normalisations.
 * The constants of a preprocessing that the file keeps as tensors meet the
 * data alone, and stay.
 */
export function trainableParameters({ input, logits, parameters, layers, builder }: Model): string[] {
  const nodes = reachable([logits]);
  const node = (name: string): AnyNode => builder.parameter(name, parameters.get(name)!.shape);
  const prunable = new Set(layers.map(({ name }) => name));
  const ofData = dependents(nodes, new Set([input as AnyNode]));
  const learned = new Set([...prunable].map(node));
  for (const other of nodes) if (other.op === 'standardize') learned.add(other);
  const ofWeights = dependents(nodes, learned);
  const isComputed = (x: AnyNode): boolean => ofData.has(x) && ofWeights.has(x);
  const meets = (name: string): boolean => {
    const own = dependents(nodes, new Set([node(name)]));
    const isConstant = (x: AnyNode): boolean => own.has(x) && !ofData.has(x);
    return nodes.some(({ inputs }) => inputs.some(isConstant) && inputs.some(isComputed));
  };
  return [...parameters.keys()].filter((name) => prunable.has(name) || meets(name));
}
