import type { Shape } from '../graph/ir';
import { GraphBuilder } from '../graph/builder';
import type { AnyNode, Graph, OpAttributes, OpType } from '../graph/ir';
import { graphNodes } from '../graph/traversal';

/** A graph as a flat list, in execution order, for a message: a chain of a thousand inputs would be a recursion as deep. */
export interface PackedGraph {
  readonly nodes: readonly {
    readonly op: OpType;
    /** Positions in the list. */
    readonly inputs: readonly number[];
    readonly attributes: OpAttributes[OpType];
    readonly shape: Shape;
  }[];
  readonly outputs: readonly { readonly name: string; readonly node: number }[];
}

export function packGraph(graph: Graph): PackedGraph {
  const nodes = graphNodes(graph);
  const positions = new Map(nodes.map((node, i) => [node, i]));
  return {
    nodes: nodes.map(({ op, inputs, attributes, shape }) => ({
      op,
      inputs: inputs.map((input) => positions.get(input)!),
      attributes,
      shape,
    })),
    outputs: graph.outputs.map(({ name, node }) => ({ name, node: positions.get(node)! })),
  };
}

export function unpackGraph({ nodes, outputs }: PackedGraph): Graph {
  const b = new GraphBuilder();
  const made: AnyNode[] = [];
  for (const { op, inputs, attributes, shape } of nodes) {
    made.push(
      b.make(
        op,
        inputs.map((at) => made[at]!),
        attributes,
        shape,
      ),
    );
  }
  return { outputs: outputs.map(({ name, node }) => ({ name, node: made[node]! })) };
}
