import type { AnyNode, Graph } from './ir';

/**
 * Nodes that `roots` reach, inputs before users, otherwise in execution order:
 * a node whose inputs come later in that order takes them along.
 */
export function reachable(roots: readonly AnyNode[]): AnyNode[] {
  const seen = new Set<AnyNode>();
  const stack = [...roots];
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (seen.has(node)) continue;
    seen.add(node);
    stack.push(...node.inputs);
  }
  const wished = [...seen].sort((a, b) => a.order - b.order || a.id - b.id);
  const placed = new Set<AnyNode>();
  for (const node of wished) {
    stack.push(node);
    while (stack.length > 0) {
      const next = stack.at(-1)!;
      const missing = placed.has(next) ? [] : next.inputs.filter((input) => !placed.has(input));
      if (missing.length > 0) {
        stack.push(...missing);
      } else {
        placed.add(next);
        stack.pop();
      }
    }
  }
  return [...placed];
}

export function graphNodes(graph: Graph): AnyNode[] {
  return reachable(graph.outputs.map((output) => output.node));
}

/** How often each node is an input or an output. */
export function countUses(graph: Graph): Map<AnyNode, number> {
  const uses = new Map<AnyNode, number>();
  const use = (node: AnyNode): unknown => uses.set(node, (uses.get(node) ?? 0) + 1);
  for (const node of graphNodes(graph)) node.inputs.forEach(use);
  graph.outputs.forEach(({ node }) => use(node));
  return uses;
}

/** Nodes that depend on any of `sources`, these included. */
export function dependents(nodes: readonly AnyNode[], sources: ReadonlySet<AnyNode>): Set<AnyNode> {
  const result = new Set<AnyNode>();
  for (const node of nodes) {
    if (sources.has(node) || node.inputs.some((input) => result.has(input))) result.add(node);
  }
  return result;
}

/** The graph as text, one line per node, for snapshots and messages. */
export function formatGraph(graph: Graph): string {
  const nodes = graphNodes(graph);
  const names = new Map(nodes.map((node, index) => [node, `%${index}`]));
  const lines = nodes.map((node) => {
    const attributes = Object.entries(node.attributes)
      .map(
        ([name, value]) =>
          ` ${name}=${ArrayBuffer.isView(value) ? `<${(value as Float32Array).length}>` : JSON.stringify(value)}`,
      )
      .join('');
    return `${names.get(node)} = ${node.op}(${node.inputs.map((input) => names.get(input)).join(', ')})${attributes} : [${node.shape.join(', ')}]`;
  });
  return [...lines, ...graph.outputs.map(({ name, node }) => `output ${name} = ${names.get(node)}`)].join('\n');
}
