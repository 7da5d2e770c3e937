import type { AnyNode } from '../../../graph/ir';
import type { GraphBuilder } from '../../../graph/builder';
import { isFloat, toFloat32, type ElementType, type KnownTensor } from '../../elements';
import { knownAlgebra } from '../known';
import type { NodeView } from '../node-view';
import { Value } from '../value';
import type { LayoutRule } from './layout';

/**
 * What an operator means: its outputs, from its inputs. A rule throws
 * `InputError` by `node.error` for what it refuses, and lets `ShapeError`
 * through, which the import turns into an error that names the node.
 */
export type Rule = (node: NodeView) => Value[];

/** A value of which everything is known; in the graph a constant. */
export function knownValue(tensor: KnownTensor, builder: GraphBuilder): Value {
  const isNode = isFloat(tensor.type) || tensor.type === 'bool';
  const makeNode = (): AnyNode => builder.constant(toFloat32(tensor), tensor.shape);
  return new Value(tensor.type, tensor.shape, isNode ? makeNode : null, () => tensor);
}

/** A value that depends on data. */
export function nodeValue(node: AnyNode, type: ElementType): Value {
  return new Value(type, node.shape, () => node, null);
}

const present = (node: NodeView): Value[] => node.inputs.filter((value) => value !== undefined);

const allKnown = (node: NodeView): boolean => present(node).every((value) => value.isKnown);

/** An operator that is evaluated at import, and refused where its inputs depend on data. */
export function knownOnly(rule: (node: NodeView) => KnownTensor[]): Rule {
  return (node) => {
    if (!allKnown(node)) {
      throw node.error('result depends on data', 'the operator is supported for shape computations only');
    }
    return rule(node).map((tensor) => knownValue(tensor, node.builder));
  };
}

/**
 * An operator that moves elements: one rule serves the graph and the known
 * values. `data` says which inputs carry the elements.
 */
export function layout(rule: LayoutRule, data: 'first' | 'all' = 'first'): Rule {
  return (node) => {
    const inputs = data === 'first' ? [node.value(0)] : node.inputs.map((_, index) => node.value(index));
    const type = inputs[0]!.type;
    const evaluate = (): KnownTensor[] =>
      rule(
        node,
        inputs.map((value) => value.tensor()),
        knownAlgebra,
      );
    if (inputs.every((value) => value.isNode)) {
      const nodes = rule(
        node,
        inputs.map((value) => value.node()),
        node.builder,
      );
      let tensors: KnownTensor[] | undefined;
      const known = allKnown(node);
      return nodes.map((x, i) => new Value(type, x.shape, () => x, known ? () => (tensors ??= evaluate())[i]! : null));
    }
    if (!inputs.every((value) => value.isKnown)) throw dataDependent(node, type);
    return evaluate().map((tensor) => knownValue(tensor, node.builder));
  };
}

interface ComputeOptions {
  /** Inputs that must be float tensors (or masks) for the graph; all when absent. */
  readonly data?: readonly number[];
  /** Element type of the result; that of input 0 when absent. */
  readonly type?: (node: NodeView) => ElementType;
  /** The same on known values; without it only float tensors are computed. */
  readonly known?: (node: NodeView) => KnownTensor;
}

/** An operator that computes: in the graph on float tensors, at import on known integers and truth values. */
export function compute(graph: (node: NodeView) => AnyNode, options: ComputeOptions = {}): Rule {
  return (node) => {
    const { data, known } = options;
    const type = options.type?.(node) ?? node.type(0);
    const inputs = data === undefined ? present(node) : data.map((index) => node.value(index));
    const canKnow = known !== undefined && allKnown(node);
    if (inputs.every((value) => value.isNode) && (isFloat(type) || (type === 'bool' && !canKnow))) {
      const result = graph(node);
      return [new Value(type, result.shape, () => result, canKnow ? () => known(node) : null)];
    }
    if (canKnow) return [knownValue(known(node), node.builder)];
    if (allKnown(node)) throw node.error(`${type} tensors not supported`, 'only float tensors can be computed with it');
    throw dataDependent(node, type);
  };
}

function dataDependent(node: NodeView, type: ElementType): Error {
  return node.error(`${type} result depends on data`, 'only float tensors can depend on the input');
}
