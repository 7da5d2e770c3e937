import type { ImportedGraph } from '../checkpoint/onnx/import';
import type { Engine } from '../engine/engine';
import type { Parameter } from '../graph/model';
import { grouped } from '../../../protocol/numbers';
import { reachOf } from './reach';

/** A layer after pruning. */
export interface PrunedWeights {
  readonly name: string;
  readonly weights: Float32Array;
}

/**
 * What of a pruned network is cut in two, one sentence each; empty when it is
 * whole. A layer of nothing but zeros is named even where a shortcut leads
 * around it: its weights are lost all the same.
 */
export async function findCuts(
  engine: Engine,
  network: Pick<ImportedGraph, 'builder' | 'inputs' | 'outputs' | 'parameters'>,
  layers: readonly PrunedWeights[],
): Promise<string[]> {
  const cuts = emptyLayers(layers);
  const parameters = new Map<string, Parameter>(network.parameters);
  for (const { name, weights } of layers) parameters.set(name, { ...parameters.get(name)!, value: weights });
  const reaches = reachOf(network.builder, [...network.outputs.values()], [...network.inputs.values()]);
  for (const [i, name] of [...network.outputs.keys()].entries()) {
    const reach = reaches[i];
    if (reach !== undefined && (await isAnyNonZero(engine, reach, parameters))) continue;
    cuts.push(`no path of kept weights leads from the input to the output ${name}`);
  }
  return cuts;
}

/** The layers that hold nothing but zeros. */
export function emptyLayers(layers: readonly PrunedWeights[]): string[] {
  return layers
    .filter(({ weights }) => weights.every((weight) => weight === 0))
    .map(({ name, weights }) => `layer ${name} would keep none of its ${grouped(weights.length)} weights`);
}

async function isAnyNonZero(
  engine: Engine,
  node: Parameters<typeof reachOf>[1][number],
  parameters: ReadonlyMap<string, Parameter>,
): Promise<boolean> {
  const graph = await engine.compile({ outputs: [{ name: 'reach', node }] }, { parameters });
  try {
    // Inputs that decide nothing but what both operands of a product depend on are not fed with data.
    const feeds = new Map(
      [...graph.feeds].map(([name, shape]) => [name, new Float32Array(shape.reduce((n, size) => n * size, 1)).fill(1)]),
    );
    return (await graph.run(feeds)).get('reach')!.some((x) => x > 0);
  } finally {
    await graph.dispose();
  }
}
