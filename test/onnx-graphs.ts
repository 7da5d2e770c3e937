import { onnxFile, type ModelParts } from './onnx-models';
import { evaluate } from './reference/interpreter';
import { importGraph, type ImportedGraph, type ImportOptions } from '../server/src/checkpoint/onnx/import';

/** The import of a hand-made model called `m.onnx`. */
export function imported(parts: ModelParts, options?: ImportOptions): ImportedGraph {
  return importGraph(onnxFile(parts), options);
}

/** Values of the first output, by the reference interpreter, with `x` for every input. */
export function run(parts: ModelParts, x: readonly number[] = []): number[] {
  const graph = imported(parts);
  const feeds = new Map([...graph.parameters].map(([name, { value }]) => [name, value as ArrayLike<number>]));
  for (const name of graph.inputs.keys()) feeds.set(name, x);
  return Array.from(evaluate([...graph.outputs.values()].slice(0, 1), feeds)[0]!);
}
