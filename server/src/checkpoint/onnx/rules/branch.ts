import { DAMAGED } from '../node-view';
import type { Rule } from './rule';

/**
 * If with a condition that does not depend on data: exporters leave it where a
 * shape decides. The branch that is not taken is not looked at.
 */
export const conditional: Rule = (node) => {
  const condition = node.value(0);
  if (!condition.isKnown) {
    throw node.error('condition depends on data', 'export the network without branches that the data decide');
  }
  const { values } = condition.tensor();
  if (values.length !== 1) throw node.error(`condition of ${values.length} values`, DAMAGED);
  return node.run(node.subgraph(values[0] === 0 ? 'else_branch' : 'then_branch'));
};
