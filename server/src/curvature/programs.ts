import { jvp } from '../autodiff/jvp';
import { vjp } from '../autodiff/vjp';
import type { CurvatureKind } from '../../../protocol/analysis';
import type { AnyNode, Graph } from '../graph/ir';
import type { Model, PrunableLayer, TrainingModel } from '../graph/model';
import { foldScales } from '../graph/passes/fold-scales';

/** Names of what the programs are fed and what they answer. */
export const TARGETS = 'targets';
export const LOGITS = 'logits';
export const LOSS = 'loss';
export const direction = (probe: number, layer: string): string => `direction ${probe} ${layer}`;
/** Whether an input of a curvature program is part of a vector that is multiplied. */
export const isDirection = (input: string): boolean => input.startsWith('direction ');
export const product = (probe: number, layer: string): string => `product ${probe} ${layer}`;
export const moment = (statistic: string): string => `moment ${statistic}`;
export const gradient = (parameter: string): string => `gradient ${parameter}`;

/** Logits of a batch. */
export function forwardProgram(model: Model): Graph {
  return { outputs: [{ name: LOGITS, node: foldScales(model.builder, model.logits) }] };
}

/** Σ −target · log softmax(logits): with targets of `makeBatches`, the batch's share of the mean cross entropy. */
function crossEntropy({ builder: b }: Model, logits: AnyNode): AnyNode {
  const targets = b.input(TARGETS, logits.shape);
  const loss = b.neg(b.mul(targets, b.logSoftmax(logits, 1)));
  return b.reduceSum(loss, [0, 1], false);
}

/** Loss and its gradient in parameters by name, the prunable weights unless others are named, one tensor each. */
export function gradientProgram(model: Model, names: readonly string[] = layerNames(model), fold = true): Graph {
  const logits = fold ? foldScales(model.builder, model.logits) : model.logits;
  const loss = crossEntropy(model, logits);
  const gradients = lossGradients(model, loss, names);
  return {
    outputs: [{ name: LOSS, node: loss }, ...names.map((name, i) => ({ name: gradient(name), node: gradients[i]! }))],
  };
}

/**
 * Loss, its gradient in the named parameters, and the moments of the batch that the
 * running statistics of normalisations are made of.
 */
export function trainingProgram(model: TrainingModel, names: readonly string[]): Graph {
  const { normalizations } = model;
  // Folding makes new nodes, of which the moments know nothing.
  const { outputs } = gradientProgram(model, names, normalizations.length === 0);
  const moments = normalizations.flatMap(({ mean, variance, batchMean, batchVariance }) => [
    { name: moment(mean.name), node: batchMean },
    { name: moment(variance.name), node: batchVariance },
  ]);
  return { outputs: [...outputs, ...moments] };
}

/**
 * Products of the loss curvature with `probes` directions, one tensor per
 * layer and probe.
 *
 * - `hessian`: H v = d/dt ∇L(w + t v), forward over reverse, exact.
 * - `ggn`: Jᵀ S J v with J the Jacobian of the logits and S the Hessian of the
 *   loss in the logits (Schraudolph 2002): the part of H without the curvature
 *   of the network itself, positive semidefinite.
 *
 * @param layers the diagonal block that is multiplied with, all prunable weights by
 * default. Of the layers before the first of them only the forward pass is computed
 */
export function curvatureProgram(
  model: Model,
  kind: CurvatureKind,
  probes: number,
  layers: readonly PrunableLayer[] = model.layers,
): Graph {
  const { builder: b } = model;
  const logits = foldScales(b, model.logits);
  const loss = crossEntropy(model, logits);
  const names = layers.map(({ name }) => name);
  const weights = parameterNodes(model, names);
  const outputs: Graph['outputs'][number][] = [];
  const lossGradient = kind === 'hessian' ? lossGradients(model, loss, names) : vjp(b, [loss], [b.scalar(1)], [logits]);
  for (let probe = 0; probe < probes; probe++) {
    const tangents = new Map(
      layers.map((layer, i) => [weights[i]!, b.input(direction(probe, layer.name), layer.shape) as AnyNode]),
    );
    const products =
      kind === 'hessian'
        ? jvp(b, lossGradient as AnyNode[], tangents)
        : gaussNewton(model, logits, lossGradient[0]!, weights, tangents);
    layers.forEach((layer, i) => {
      outputs.push({ name: product(probe, layer.name), node: products[i] ?? zeros(model, layer.shape) });
    });
  }
  return { outputs };
}

/** Jᵀ (S (J v)). */
function gaussNewton(
  { builder: b }: Model,
  logits: AnyNode,
  lossGradient: AnyNode,
  weights: readonly AnyNode[],
  tangents: ReadonlyMap<AnyNode, AnyNode>,
): (AnyNode | undefined)[] {
  const [moved] = jvp(b, [logits], tangents);
  if (moved === undefined) return weights.map(() => undefined);
  const [bent] = jvp(b, [lossGradient], new Map([[logits, moved]]));
  return vjp(b, [logits], [bent!], weights);
}

function layerNames({ layers }: Model): string[] {
  return layers.map(({ name }) => name);
}

function parameterNodes(model: Model, names: readonly string[]): AnyNode[] {
  return names.map((name) => model.builder.parameter(name, model.parameters.get(name)!.shape));
}

function lossGradients(model: Model, loss: AnyNode, names: readonly string[]): AnyNode[] {
  const nodes = parameterNodes(model, names);
  const gradients = vjp(model.builder, [loss], [model.builder.scalar(1)], nodes);
  return gradients.map((node, i) => node ?? zeros(model, nodes[i]!.shape));
}

/** A parameter that the logits do not depend on, or only piecewise constantly. */
function zeros({ builder: b }: Model, shape: readonly number[]): AnyNode {
  return b.expand(b.scalar(0), shape);
}
