import type { GraphBuilder } from '../../../graph/builder';
import type { AnyNode } from '../../../graph/ir';
import { elementCount, formatShape } from '../../../graph/shapes';
import { DAMAGED, type NodeView } from '../node-view';
import { compute, type Rule } from './rule';

/**
 * Einsum as transpositions and matrix products: diagonals first, then sums over
 * what only one operand has, then one operand after the other.
 */

/** A tensor whose axes have labels. */
interface Labelled {
  readonly x: AnyNode;
  readonly labels: readonly string[];
}

/** Labels of the axes that an ellipsis stands for, counted from the last; they broadcast. */
const isEllipsis = (label: string): boolean => label.startsWith('.');

function labelsOf(node: NodeView, term: string, rank: number): string[] {
  const parts = term.split('...');
  const named = parts.join('');
  if (parts.length > 2 || !/^[A-Za-z]*$/.test(named)) throw unreadable(node);
  if (parts.length === 1) return [...named];
  const count = Math.max(0, rank - named.length);
  return [...parts[0]!, ...Array.from({ length: count }, (_, i) => `.${count - i}`), ...parts[1]!];
}

const unreadable = (node: NodeView): Error =>
  node.error(`equation ${JSON.stringify(node.string('equation', ''))} is not understood`, DAMAGED);

function parse(node: NodeView): { operands: Labelled[]; output: string[] } {
  const [left, right, ...more] = node.string('equation', '').replace(/\s/g, '').split('->');
  const terms = left!.split(',');
  if (more.length > 0 || terms.length !== node.inputs.length) throw unreadable(node);
  const operands = terms.map((term, i) => {
    const x = node.x(i);
    const labels = labelsOf(node, term, x.shape.length);
    if (labels.length !== x.shape.length) {
      throw node.error(`${term} of an input of shape ${formatShape(x.shape)}`, DAMAGED);
    }
    return { x, labels };
  });
  const all = operands.flatMap(({ labels }) => labels);
  const dots = [...new Set(all.filter(isEllipsis))].sort((a, b) => Number(b.slice(1)) - Number(a.slice(1)));
  if (right === undefined) {
    const once = all.filter((label) => !isEllipsis(label) && all.indexOf(label) === all.lastIndexOf(label));
    return { operands, output: [...dots, ...once.sort()] };
  }
  const output = right.includes('...') ? labelsOf(node, right, right.length - 3 + dots.length) : [...right];
  if (!output.every((label) => all.includes(label)) || new Set(output).size !== output.length) throw unreadable(node);
  return { operands, output };
}

const transposed = (b: GraphBuilder, { x, labels }: Labelled, order: readonly string[]): AnyNode =>
  b.transpose(
    x,
    order.map((label) => labels.indexOf(label)),
  );

/** The elements where axes of one label have the same index. */
function diagonal(node: NodeView, operand: Labelled): Labelled {
  const { labels, x } = operand;
  const second = labels.findIndex((label, axis) => labels.indexOf(label) < axis);
  if (second < 0) return operand;
  const b = node.builder;
  const first = labels.indexOf(labels[second]!);
  const size = x.shape[first]!;
  if (x.shape[second] !== size) throw node.error(`diagonal of ${formatShape(x.shape)}`, DAMAGED);
  const others = labels.map((_, axis) => axis).filter((axis) => axis !== first && axis !== second);
  const sizes = others.map((axis) => x.shape[axis]!);
  const flat = b.reshape(b.transpose(x, [...others, first, second]), [...sizes, size * size]);
  const picked = b.gather(
    flat,
    others.length,
    Int32Array.from({ length: size }, (_, i) => i * (size + 1)),
  );
  return diagonal(node, { x: picked, labels: [...others.map((axis) => labels[axis]!), labels[first]!] });
}

/** Sums over the labels that are not wanted. */
function summed(b: GraphBuilder, { x, labels }: Labelled, wanted: ReadonlySet<string>): Labelled {
  const axes = labels.flatMap((label, axis) => (wanted.has(label) ? [] : [axis]));
  if (axes.length === 0) return { x, labels };
  return { x: b.reduceSum(x, axes, false), labels: labels.filter((label) => wanted.has(label)) };
}

function product(node: NodeView, left: Labelled, right: Labelled, wanted: ReadonlySet<string>): Labelled {
  const b = node.builder;
  const size = ({ x, labels }: Labelled, label: string): number => {
    const axis = labels.indexOf(label);
    return axis < 0 ? 1 : x.shape[axis]!;
  };
  const all = [...new Set([...left.labels, ...right.labels])];
  const sizes = new Map(
    all.map((label) => {
      const [a, c] = [size(left, label), size(right, label)];
      const isShared = left.labels.includes(label) && right.labels.includes(label);
      if (isShared && a !== c && a !== 1 && c !== 1) throw node.error(`${label} is of size ${a} and ${c}`, DAMAGED);
      return [label, Math.max(a, c)] as const;
    }),
  );
  const shared = (label: string): boolean => left.labels.includes(label) && right.labels.includes(label);
  const isContracted = (label: string): boolean =>
    shared(label) && !wanted.has(label) && size(left, label) === size(right, label);
  const contracted = all.filter(isContracted);
  const batch = all.filter((label) => !isContracted(label) && (isEllipsis(label) || shared(label)));
  const only = (operand: Labelled): string[] =>
    operand.labels.filter((label) => !isContracted(label) && !batch.includes(label));
  const [rows, columns] = [only(left), only(right)];
  const count = (labels: readonly string[]): number => elementCount(labels.map((label) => sizes.get(label)!));
  /** As [batch…, a, b], where labels of the batch that an operand lacks have size 1. */
  const matrix = (operand: Labelled, a: readonly string[], c: readonly string[]): AnyNode => {
    const own = batch.filter((label) => operand.labels.includes(label));
    const x = transposed(b, operand, [...own, ...a, ...c]);
    return b.reshape(x, [...batch.map((label) => size(operand, label)), count(a), count(c)]);
  };
  const shape = [...batch, ...rows, ...columns].map((label) => sizes.get(label)!);
  const [x, y] = [matrix(left, rows, contracted), matrix(right, contracted, columns)];
  const result = contracted.length === 0 ? b.mul(x, y) : b.matmul(x, y);
  return summed(b, { x: b.reshape(result, shape), labels: [...batch, ...rows, ...columns] }, wanted);
}

function einsum(node: NodeView): AnyNode {
  const b = node.builder;
  const { operands, output } = parse(node);
  const parts = operands.map((operand) => diagonal(node, operand));
  const result = parts.reduce<Labelled | null>((done, operand, i) => {
    const later = new Set([...output, ...parts.slice(i + 1).flatMap(({ labels }) => labels)]);
    const own = summed(b, operand, new Set([...later, ...(done?.labels ?? [])]));
    if (done === null) return summed(b, own, later);
    return product(node, summed(b, done, new Set([...later, ...own.labels])), own, later);
  }, null)!;
  return transposed(b, result, output);
}

export const einsumRules = { Einsum: compute(einsum) } satisfies Record<string, Rule>;
