import { basename } from 'node:path';
import { InputError } from '../../errors';
import { nodePlace } from './node-view';
import type { OnnxFile, OnnxNode, Subgraph } from './reader';

/** Who makes each tensor. */
export type Producers = ReadonlyMap<string, OnnxNode>;

/** The names that a graph in a node takes from the graphs around it. */
export function capturedNames({ nodes, tensors, inputs, outputs }: Subgraph): Set<string> {
  const own = new Set(['', ...tensors.keys(), ...inputs, ...nodes.flatMap((node) => node.outputs)]);
  const used = [...nodes.flatMap((node) => [...node.inputs, ...capturedBy(node)]), ...outputs];
  return new Set(used.filter((name) => !own.has(name)));
}

/** The same for all graphs in a node. */
export function capturedBy({ attributes }: OnnxNode): string[] {
  return [...attributes.values()].flatMap((attribute) =>
    attribute.kind === 'graph' ? [...capturedNames(attribute.value)] : [],
  );
}

/** @throws InputError when a tensor is made twice */
export function producersOf(file: OnnxFile): Producers {
  const producers = new Map<string, OnnxNode>();
  const taken = new Set([...file.tensors.keys(), ...file.inputs.map(({ name }) => name)]);
  for (const node of file.nodes) {
    for (const output of node.outputs) {
      if (output === '') continue;
      if (taken.has(output)) {
        throw new InputError(
          `duplicate tensor: ${JSON.stringify(output)} (${nodePlace(node, file.path)}); the file is damaged, export it again`,
        );
      }
      taken.add(output);
      producers.set(output, node);
    }
  }
  return producers;
}

/**
 * The nodes that the outputs need, inputs before users; in file order where
 * the file is in order, as ONNX demands.
 *
 * @param branches whether nodes that only graphs in nodes need are needed too
 * @throws InputError when a tensor is missing or made twice, or when nodes need each other in a circle
 */
export function orderedNodes(file: OnnxFile, producers: Producers = producersOf(file), branches = false): OnnxNode[] {
  const captured = new Map(
    branches ? file.nodes.map((node) => [node, capturedBy(node).filter((name) => producers.has(name))] as const) : [],
  );
  const inputsOf = (node: OnnxNode): readonly string[] => [...node.inputs, ...(captured.get(node) ?? [])];
  const sources = new Set([...file.tensors.keys(), ...file.inputs.map(({ name }) => name)]);
  for (const { name } of file.outputs) {
    if (!producers.has(name) && !sources.has(name)) {
      throw new InputError(
        `output without a node: ${JSON.stringify(name)} (${basename(file.path)}); the file is damaged, export it again`,
      );
    }
  }
  const needed = neededNodes(file, producers, sources, inputsOf);
  const ordered: OnnxNode[] = [];
  const state = new Map<OnnxNode, 'open' | 'done'>();
  for (const root of file.nodes) {
    if (!needed.has(root)) continue;
    const stack = [root];
    while (stack.length > 0) {
      const node = stack.at(-1)!;
      if (state.get(node) === 'done') {
        stack.pop();
        continue;
      }
      state.set(node, 'open');
      const waiting = inputsOf(node)
        .map((input) => producers.get(input))
        .filter((producer) => producer !== undefined && state.get(producer) !== 'done') as OnnxNode[];
      if (waiting.length === 0) {
        state.set(node, 'done');
        ordered.push(node);
        stack.pop();
        continue;
      }
      const circular = waiting.find((producer) => state.get(producer) === 'open');
      if (circular !== undefined) {
        throw new InputError(
          `circular graph: ${node.op} and ${circular.op} need each other (${nodePlace(node, file.path)}); the file is damaged, export it again`,
        );
      }
      stack.push(...waiting.reverse());
    }
  }
  return ordered;
}

function neededNodes(
  file: OnnxFile,
  producers: Producers,
  sources: ReadonlySet<string>,
  inputsOf: (node: OnnxNode) => readonly string[],
): Set<OnnxNode> {
  const needed = new Set<OnnxNode>();
  const stack = file.outputs.flatMap(({ name }) => producers.get(name) ?? []);
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (needed.has(node)) continue;
    needed.add(node);
    for (const [index, input] of inputsOf(node).entries()) {
      const producer = producers.get(input);
      if (producer !== undefined) stack.push(producer);
      else if (input !== '' && !sources.has(input)) {
        throw new InputError(
          `unknown tensor: ${JSON.stringify(input)}, input ${index} of ${node.op} (${nodePlace(node, file.path)}); the file is damaged, export it again`,
        );
      }
    }
  }
  return needed;
}
