import type { AnyNode } from '../../../graph/ir';
import type { Normalization, Parameter } from '../../../graph/model';
import { elementCount, formatShape } from '../../../graph/shapes';
import { DAMAGED, type NodeView } from '../node-view';
import { tensorOf } from '../known';
import { compute, knownValue, layout, nodeValue, type Rule } from './rule';
import { identity } from './layout';

/**
 * Normalisation layers, and what is only active in training. Dropout is
 * inactive; batch normalisation uses the stored statistics, except where a
 * network is imported for training.
 */

const EVALUATION = 'export the network in evaluation mode (model.eval())';

/** A vector [C] that broadcasts along axis 1 of `x`. */
function perChannel(node: NodeView, vector: AnyNode, x: AnyNode): AnyNode {
  return node.builder.reshape(vector, [1, elementCount(vector.shape), ...x.shape.slice(2).fill(1)]);
}

/** (x − mean)/√(variance + ε)·scale + shift, with the stored statistics, as one scale and one shift per channel. */
function batchNormalization(node: NodeView): AnyNode {
  const training = node.opset >= 14 ? node.int('training_mode', 0) !== 0 : node.isUsed(1);
  if (training) throw node.error('training mode not supported', EVALUATION);
  if (node.opset < 9 && node.int('spatial', 1) === 0) throw node.error('spatial = 0 not supported');
  if (node.opset < 7 && node.int('is_test', 0) === 0) throw node.error('training mode not supported', EVALUATION);
  const b = node.builder;
  const x = node.x(0);
  const [scale, shift, mean, variance] = [1, 2, 3, 4].map((i) => node.x(i)) as [AnyNode, AnyNode, AnyNode, AnyNode];
  const epsilon = node.float('epsilon', 1e-5);
  if (node.normalizations !== null) {
    node.normalizations.push(normalization(node, x));
    const standard = b.standardize(x, epsilon);
    return b.add(b.mul(standard, perChannel(node, scale, x)), perChannel(node, shift, x));
  }
  const factor = b.div(scale, b.sqrt(b.add(variance, b.scalar(epsilon))));
  const offset = b.sub(shift, b.mul(mean, factor));
  return b.add(b.mul(x, perChannel(node, factor, x)), perChannel(node, offset, x));
}

/** The statistics of a batch normalisation in training, which must be tensors of the file to be written back. */
function normalization(node: NodeView, x: AnyNode): Normalization {
  const b = node.builder;
  const statistic = (index: number): Parameter => {
    const stored = node.x(index);
    if (stored.op !== 'parameter') {
      throw node.error(`input ${index} is computed`, 'only statistics stored in the file can be trained');
    }
    const { values } = node.known(index);
    return { name: stored.attributes.name, shape: stored.shape, value: Float32Array.from(values) };
  };
  return {
    mean: statistic(3),
    variance: statistic(4),
    momentum: node.float('momentum', 0.9),
    batchMean: b.channelMean(x),
    batchVariance: b.variance(x),
    count: elementCount(x.shape) / x.shape[1]!,
  };
}

interface Standardized {
  /** (x − mean)/√(variance + ε), or x/√(mean square + ε). */
  readonly normal: AnyNode;
  readonly mean: AnyNode;
  readonly inverseDeviation: AnyNode;
}

/** With the moments of x over `axes`. */
function standardized(node: NodeView, x: AnyNode, axes: readonly number[], centred = true): Standardized {
  const b = node.builder;
  const count = b.scalar(1 / axes.reduce((product, axis) => product * x.shape[axis]!, 1));
  const mean = b.mul(b.reduceSum(x, axes), count);
  const centre = centred ? b.sub(x, mean) : x;
  const variance = b.mul(b.reduceSum(b.mul(centre, centre), axes), count);
  const inverseDeviation = b.reciprocal(b.sqrt(b.add(variance, b.scalar(node.float('epsilon', 1e-5)))));
  return { normal: b.mul(centre, inverseDeviation), mean, inverseDeviation };
}

function scaled(node: NodeView, x: AnyNode, scale: AnyNode, shift: AnyNode | null): AnyNode {
  const product = node.builder.mul(x, scale);
  return shift === null ? product : node.builder.add(product, shift);
}

const spatialAxes = (x: AnyNode): number[] => x.shape.map((_, axis) => axis).slice(2);

function instanceNormalization(node: NodeView): AnyNode {
  const x = node.x(0);
  const { normal } = standardized(node, x, spatialAxes(x));
  return scaled(node, normal, perChannel(node, node.x(1), x), perChannel(node, node.x(2), x));
}

function groupNormalization(node: NodeView): AnyNode {
  const b = node.builder;
  const x = node.x(0);
  const groups = node.requiredInt('num_groups');
  const channels = x.shape[1] ?? 0;
  if (!(groups >= 1) || channels % groups !== 0) throw node.error(`${groups} groups of ${channels} channels`, DAMAGED);
  const apart = b.reshape(x, [x.shape[0]!, groups, channels / groups, ...x.shape.slice(2)]);
  const { normal } = standardized(node, apart, spatialAxes(apart));
  // Before opset 21 scale and shift are per group.
  const byGroup = (vector: AnyNode): AnyNode =>
    vector.shape[0] === channels
      ? vector
      : b.reshape(b.expand(b.reshape(vector, [groups, 1]), [groups, channels / groups]), [channels]);
  const [scale, shift] = [perChannel(node, byGroup(node.x(1)), x), perChannel(node, byGroup(node.x(2)), x)];
  return scaled(node, b.reshape(normal, x.shape), scale, shift);
}

/** Over the last axes, from `axis` on. Outputs the moments too where `centred`. */
const layerNormalization =
  (centred: boolean): Rule =>
  (node) => {
    const x = node.x(0);
    const first = node.axis(node.int('axis', -1), x.shape.length);
    const axes = x.shape.map((_, axis) => axis).slice(first);
    const { normal, mean, inverseDeviation } = standardized(node, x, axes, centred);
    const result = scaled(node, normal, node.x(1), node.has(2) ? node.x(2) : null);
    const moments = centred ? [nodeValue(mean, 'float32'), nodeValue(inverseDeviation, 'float32')] : [];
    return [nodeValue(result, node.type(0)), ...moments];
  };

const pass = layout(identity);

/** The identity outside of training. */
const dropout: Rule = (node) => {
  if (node.opset < 7 && node.int('is_test', 0) === 0) throw node.error('training mode not supported', EVALUATION);
  if (node.opset >= 12 && node.has(2) && node.knownNumbers(2)[0] !== 0) {
    throw node.error('training mode not supported', EVALUATION);
  }
  // The mask keeps everything.
  const mask = tensorOf('bool', node.shape(0), () => 1);
  return [...pass(node), knownValue(mask, node.builder)];
};

/** Local response normalisation: x/(bias + α/size · Σ x²)^β, summed over a window of channels. */
function localResponse(node: NodeView): AnyNode {
  const b = node.builder;
  const x = node.x(0);
  const size = node.requiredInt('size');
  if (x.shape.length < 3 || !(size >= 1)) throw node.error(`size ${size} of ${formatShape(x.shape)}`, DAMAGED);
  // Channels become an image's rows, so that the window slides over them.
  const image = b.reshape(b.mul(x, x), [x.shape[0]!, 1, x.shape[1]!, elementCount(x.shape.slice(2))]);
  const before = Math.floor((size - 1) / 2);
  const sum = b.conv(image, b.constant(new Float32Array(node.tableSize(size, 'size')).fill(1), [1, 1, size, 1]), {
    strides: [1, 1],
    dilations: [1, 1],
    pads: [before, 0, size - 1 - before, 0],
    group: 1,
  });
  const base = b.add(
    b.mul(b.reshape(sum, x.shape), b.scalar(node.float('alpha', 1e-4) / size)),
    b.scalar(node.float('bias', 1)),
  );
  return b.div(x, b.pow(base, b.scalar(node.float('beta', 0.75))));
}

export const normalizationRules = {
  BatchNormalization: compute(batchNormalization),
  InstanceNormalization: compute(instanceNormalization),
  GroupNormalization: compute(groupNormalization),
  LayerNormalization: layerNormalization(true),
  RMSNormalization: layerNormalization(false),
  LRN: compute(localResponse),
  Dropout: dropout,
} satisfies Record<string, Rule>;
