import { basename } from 'node:path';
import { InputError } from '../errors';
import { formatShape, sameShape } from '../graph/shapes';
import type { NetworkFile, WeightsFile } from './checkpoint';
import { isElementType, isFloat } from './elements';
import type { Identified } from './identify';
import { modelWeights } from './model-weights';
import type { StoredTensor } from './stored-tensor';

/**
 * A network whose graph one file has and whose weights another: every float
 * tensor of the graph is replaced by the one of its name and shape, or, where
 * the names differ, by the tensors of its shape in their order.
 *
 * @throws InputError naming the first tensor that has no counterpart
 */
export function lendGraph(graph: NetworkFile, file: WeightsFile): Identified {
  const weights = [...modelWeights(file)].filter(([, { dtype }]) => isElementType(dtype) && isFloat(dtype));
  const wanted = [...graph.tensors].filter(([, { dtype }]) => isElementType(dtype) && isFloat(dtype));
  const byName = new Map(weights);
  const named = wanted.every(([name, { shape }]) => {
    const tensor = byName.get(name);
    return tensor !== undefined && sameShape(tensor.shape, shape);
  });
  const replaced = new Map<string, StoredTensor>(
    named
      ? wanted.map(([name]) => [name, { ...byName.get(name)!, name }])
      : wanted.map(([name, tensor]) => [name, tensor]),
  );
  if (!named) pairByShape(wanted, weights, replaced, graph, file);
  const network: NetworkFile = {
    ...graph,
    container: file.container,
    format: file.format,
    path: file.path,
    producer: file.producer,
    tensors: new Map([...graph.tensors].map(([name, tensor]) => [name, replaced.get(name) ?? tensor])),
  };
  const how = named ? 'name and shape' : 'shape and order';
  return {
    network,
    name: 'graph',
    reason: `graph of ${basename(graph.path)}: all ${wanted.length} tensors fit by ${how}`,
  };
}

type Named = readonly (readonly [string, StoredTensor])[];

function pairByShape(
  wanted: Named,
  weights: Named,
  replaced: Map<string, StoredTensor>,
  graph: NetworkFile,
  file: WeightsFile,
): void {
  const places = `${basename(file.path)} for the graph of ${basename(graph.path)}`;
  const ofShape = (list: Named, shape: string): Named =>
    list.filter(([, tensor]) => formatShape(tensor.shape) === shape);
  for (const shape of new Set(wanted.map(([, tensor]) => formatShape(tensor.shape)))) {
    const [asked, there] = [ofShape(wanted, shape), ofShape(weights, shape)];
    if (asked.length !== there.length) {
      throw new InputError(
        `weights do not fit the graph: ${asked.length} tensors of ${shape} are wanted (${asked[0]![0]} first) and ${there.length} are there (${places}); export the graph of this very network, without folding constants`,
      );
    }
    asked.forEach(([name], i) => replaced.set(name, { ...there[i]![1], name }));
  }
}
