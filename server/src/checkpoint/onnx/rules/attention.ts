import type { AnyNode } from '../../../graph/ir';
import { elementCount, formatShape } from '../../../graph/shapes';
import { tensorOf } from '../known';
import { DAMAGED, type NodeView } from '../node-view';
import { knownValue, nodeValue, type Rule } from './rule';
import type { Value } from '../value';

/**
 * Attention (opset 23): softmax(scale·QKᵀ + bias)·V for every head, of products,
 * a softmax and masks.
 */

/** Input by position. */
const [Q, K, V, MASK, PAST_KEY, PAST_VALUE, LENGTHS] = [0, 1, 2, 3, 4, 5, 6] as const;

/** [N, length, heads·size] as [N, heads, length, size]. */
function headsApart(node: NodeView, index: number, heads: string): AnyNode {
  const x = node.x(index);
  if (x.shape.length === 4) return x;
  const count = node.requiredInt(heads);
  const [batch, length, width] = x.shape;
  if (x.shape.length !== 3 || !(count >= 1) || width! % count !== 0) {
    throw node.error(`${count} heads of ${formatShape(x.shape)}`, DAMAGED);
  }
  const b = node.builder;
  return b.transpose(b.reshape(x, [batch!, length!, count, width! / count]), [0, 2, 1, 3]);
}

/** Every head of keys or values serves several queries, side by side. */
function repeated(node: NodeView, x: AnyNode, heads: number): AnyNode {
  const [batch, own, length, size] = x.shape as [number, number, number, number];
  if (own === heads) return x;
  if (!(own >= 1) || heads % own !== 0) throw node.error(`${own} heads for ${heads}`, DAMAGED);
  const b = node.builder;
  const apart = b.reshape(x, [batch, own, 1, length, size]);
  return b.reshape(b.expand(apart, [batch, own, heads / own, length, size]), [batch, heads, length, size]);
}

interface Masks {
  /** Added to the products; null for nothing. */
  readonly bias: AnyNode | null;
  /** Rows that may look at something: [… , queries, 1] of zeros and ones; null for all. */
  readonly rows: AnyNode | null;
}

/** What may be looked at for reasons of place: causality, a window, the lengths of the keys. Null for everything. */
function placeMask(node: NodeView, batch: number, queries: number, keys: number): Value | null {
  const isCausal = node.int('is_causal', 0) !== 0;
  const [before, after] = [node.int('left_window_size', -1), node.int('right_window_size', -1)];
  const lengths = node.has(LENGTHS) ? node.knownNumbers(LENGTHS) : null;
  if (!isCausal && before < 0 && after < 0 && lengths === null) return null;
  if (lengths !== null && lengths.length !== batch) throw node.error(`${lengths.length} lengths of ${batch}`, DAMAGED);
  const past = node.has(PAST_KEY) ? node.shape(PAST_KEY)[2]! : 0;
  const batches = lengths === null ? 1 : batch;
  const allowed = (n: number, i: number, j: number): boolean => {
    const length = lengths?.[n] ?? keys;
    const place = i + (lengths === null ? past : length - queries);
    if (isCausal && j > place) return false;
    if (before >= 0 && j < place - before) return false;
    return j < length && !(after >= 0 && j > place + after);
  };
  const mask = tensorOf('bool', [batches, 1, queries, keys], (at) => {
    const [j, i] = [at % keys, Math.floor(at / keys) % queries];
    return allowed(Math.floor(at / (keys * queries)), i, j) ? 1 : 0;
  });
  return knownValue(mask, node.builder);
}

/** The mask that was given, as wide as there are keys. */
function givenMask(node: NodeView, keys: number): AnyNode | null {
  if (!node.has(MASK)) return null;
  const b = node.builder;
  const mask = node.x(MASK, true);
  const missing = keys - mask.shape.at(-1)!;
  if (missing <= 0) return mask;
  const shape = mask.shape.with(-1, missing);
  const fill = node.type(MASK) === 'bool' ? 0 : -Infinity;
  return b.concat([mask, b.constant(new Float32Array(elementCount(shape)).fill(fill), shape)], mask.shape.length - 1);
}

function masksOf(node: NodeView, batch: number, queries: number, keys: number): Masks {
  const b = node.builder;
  const given = givenMask(node, keys);
  const place = placeMask(node, batch, queries, keys);
  const isBias = given !== null && node.type(MASK) !== 'bool';
  const masks = [...(given === null || isBias ? [] : [given]), ...(place === null ? [] : [place.node()])];
  const allowed = masks.reduce<AnyNode | null>((all, mask) => (all === null ? mask : b.mul(all, mask)), null);
  if (allowed === null) return { bias: given, rows: null };
  const shut = b.where(allowed, b.scalar(0), b.scalar(-Infinity));
  const rows = b.step(b.reduceSum(allowed, [allowed.shape.length - 1]));
  return { bias: isBias ? b.add(given, shut) : shut, rows };
}

const attention: Rule = (node) => {
  const b = node.builder;
  // Absent or negative they let everything through.
  if (node.int('left_window_size', -1) >= 0 || node.int('right_window_size', -1) >= 0) {
    throw node.error('local window not supported');
  }
  const query = headsApart(node, Q, 'q_num_heads');
  const join = (x: AnyNode, index: number): AnyNode => (node.has(index) ? b.concat([node.x(index), x], 2) : x);
  const keys = join(headsApart(node, K, 'kv_num_heads'), PAST_KEY);
  const values = join(headsApart(node, V, 'kv_num_heads'), PAST_VALUE);
  const [batch, heads, length, size] = query.shape as [number, number, number, number];
  const scale = node.optionalFloat('scale') ?? 1 / Math.sqrt(size);
  const products = b.mul(b.matmul(query, repeated(node, keys, heads), false, true), b.scalar(scale));
  const { bias, rows } = masksOf(node, batch, length, keys.shape[2]!);
  const biased = bias === null ? products : b.add(products, bias);
  const cap = node.float('softcap', 0);
  // ONNX up to 1.20 adds the mask before the cap and 1.23 after it, both as opset 23.
  if (cap !== 0 && bias !== null)
    throw node.error('softcap with a mask not supported: releases of ONNX define it differently');
  const capped = cap === 0 ? biased : b.mul(b.scalar(cap), b.tanh(b.div(biased, b.scalar(cap))));
  // A row that may look at nothing gives zeros, and no 0/0 on the way.
  const shares = rows === null ? b.softmax(capped, 3) : b.mul(b.softmax(b.where(rows, capped, b.scalar(0)), 3), rows);
  const result = b.matmul(shares, repeated(node, values, heads));
  const together =
    node.shape(Q).length === 4
      ? result
      : b.reshape(b.transpose(result, [0, 2, 1, 3]), [batch, length, heads * result.shape[3]!]);
  const stages = [products, biased, capped, shares];
  const stage = stages[node.int('qk_matmul_output_mode', 0)];
  if (stage === undefined) throw node.error('qk_matmul_output_mode not supported');
  return [together, keys, values, stage].map((x) => nodeValue(x, node.type(Q)));
};

export const attentionRules = { Attention: attention } satisfies Record<string, Rule>;
