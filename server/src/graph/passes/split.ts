import type { GraphBuilder } from '../builder';
import type { AnyNode, Graph, OpType } from '../ir';
import { dependents, graphNodes } from '../traversal';

export interface SplitGraph {
  /** What does not depend on what moves: computed once, its results fed to `moving` under their names. */
  readonly fixed: Graph;
  readonly moving: Graph;
}

/** Computed anew rather than kept: one pass over memory at most, from a value that is kept anyway. */
const CHEAP: ReadonlySet<OpType> = new Set(['step', 'neg', 'reshape', 'expand']);

/** The same in every graph of one builder. */
const fixedName = (node: AnyNode): string => `fixed ${node.id}`;

/**
 * Cuts a graph between the nodes that depend on the inputs named by `moves` and
 * those that do not. What depends on parameters and constants alone stays with
 * both: a runtime folds it.
 */
export function splitGraph(b: GraphBuilder, graph: Graph, moves: (input: string) => boolean): SplitGraph {
  const nodes = graphNodes(graph);
  const inputs = nodes.filter(({ op }) => op === 'input');
  const fed = dependents(nodes, new Set(inputs));
  const moving = dependents(
    nodes,
    new Set(inputs.filter((node) => node.op === 'input' && moves(node.attributes.name))),
  );
  const kept: AnyNode[] = [];
  const rebuilt = new Map<AnyNode, AnyNode>();
  const again = (node: AnyNode): AnyNode => {
    const same = node.inputs.every((input) => rebuilt.get(input) === input);
    if (same) return node;
    return b.make(
      node.op,
      node.inputs.map((input) => rebuilt.get(input)!),
      node.attributes,
      node.shape,
    );
  };
  /** `node` as the moving graph has it. */
  const resolve = (node: AnyNode): AnyNode => {
    let result = rebuilt.get(node);
    if (result === undefined) {
      if (moving.has(node) || !fed.has(node) || CHEAP.has(node.op)) {
        node.inputs.forEach(resolve);
        result = again(node);
      } else if (node.op === 'input') {
        result = node;
      } else {
        result = b.input(fixedName(node), node.shape);
        kept.push(node);
      }
      rebuilt.set(node, result);
    }
    return result;
  };
  // Inputs come first, so that no chain of calls is long.
  for (const node of nodes) if (moving.has(node) || !fed.has(node)) resolve(node);
  return {
    fixed: { outputs: [...kept].map((node) => ({ name: fixedName(node), node })) },
    moving: { outputs: graph.outputs.map(({ name, node }) => ({ name, node: resolve(node) })) },
  };
}
