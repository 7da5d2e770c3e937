import type { Tensor } from '@tensorflow/tfjs-core';
import { AnalysisError } from '../../errors';
import type { AnyNode, Graph, OpType, Shape } from '../../graph/ir';
import type { Parameter } from '../../graph/model';
import { elementCount } from '../../graph/shapes';
import { graphNodes } from '../../graph/traversal';
import type { CompiledGraph, Engine } from '../engine';
import { attempt } from '../failures';
import { lower } from '../lowering';
import { findTensorFlow, type FoundTensorFlow, type Tf } from './find';
import { tensorFlowFolder } from './folder';
import { kernels, type Kernel } from './kernels';
import { tfjsLowering } from './lowering';

/**
 * TensorFlow.js, wherever the user has installed it: executes a differentiated
 * graph node by node with its forward kernels.
 *
 * @param folders where it is looked for
 * @throws AnalysisError when it is not found or does not load
 */
export async function createTfjsEngine(folders: readonly string[]): Promise<Engine> {
  const found = await findTensorFlow([...folders, process.cwd(), tensorFlowFolder()]);
  const graphs = new Set<TfjsGraph>();
  return {
    description: {
      name: found.name,
      version: found.version,
      provider: 'tfjs',
      threads: 0,
      reason: `backend ${found.tf.getBackend()}`,
    },
    compile: (graph, { parameters } = {}) =>
      attempt('TensorFlow.js', 'compile the graph', () => {
        const compiled = new TfjsGraph(found, lower(graph, tfjsLowering), parameters ?? new Map());
        graphs.add(compiled);
        return Promise.resolve(compiled);
      }),
    dispose: async () => {
      for (const graph of graphs) await graph.dispose();
      graphs.clear();
    },
  };
}

class TfjsGraph implements CompiledGraph {
  readonly feeds = new Map<string, Shape>();
  private readonly tf: Tf;
  private readonly nodes: readonly AnyNode[];
  /** Constants and fixed parameters, which live as long as the graph. */
  private readonly fixed = new Map<AnyNode, Tensor>();
  /** How many nodes and outputs use a node's value. */
  private readonly uses = new Map<AnyNode, number>();

  constructor(
    { tf }: FoundTensorFlow,
    private readonly graph: Graph,
    parameters: ReadonlyMap<string, Parameter>,
  ) {
    this.tf = tf;
    this.nodes = graphNodes(graph);
    const use = (node: AnyNode): unknown => this.uses.set(node, (this.uses.get(node) ?? 0) + 1);
    for (const node of this.nodes) {
      node.inputs.forEach(use);
      const value = node.op === 'constant' ? Float32Array.from(node.attributes.value) : fixedValue(node, parameters);
      if (value !== undefined) this.fixed.set(node, tf.tensor(value, [...node.shape], 'float32'));
      else if (node.op === 'input' || node.op === 'parameter') this.feeds.set(node.attributes.name, node.shape);
    }
    for (const { node } of graph.outputs) use(node);
  }

  run(
    feeds: ReadonlyMap<string, Float32Array>,
    into: ReadonlyMap<string, Float32Array> = new Map(),
  ): Promise<ReadonlyMap<string, Float32Array>> {
    return attempt('TensorFlow.js', 'run the graph', async () => {
      const values = new Map(this.fixed);
      try {
        const left = new Map(this.uses);
        for (const node of this.nodes) {
          if (!values.has(node)) values.set(node, this.compute(node, values, feeds));
          for (const input of node.inputs) {
            left.set(input, left.get(input)! - 1);
            if (left.get(input) === 0) this.free(input, values);
          }
        }
        const results = new Map<string, Float32Array>();
        for (const { name, node } of this.graph.outputs) {
          const value = into.get(name) ?? new Float32Array(elementCount(node.shape));
          value.set((await values.get(node)!.data()) as Float32Array);
          results.set(name, value);
        }
        return results;
      } finally {
        for (const node of [...values.keys()]) this.free(node, values);
      }
    });
  }

  dispose(): Promise<void> {
    for (const tensor of this.fixed.values()) tensor.dispose();
    this.fixed.clear();
    return Promise.resolve();
  }

  private compute(
    node: AnyNode,
    values: ReadonlyMap<AnyNode, Tensor>,
    feeds: ReadonlyMap<string, Float32Array>,
  ): Tensor {
    if (node.op === 'input' || node.op === 'parameter') {
      const { name } = node.attributes;
      const value = feeds.get(name);
      if (value?.length !== elementCount(node.shape)) {
        throw new AnalysisError(`feed ${name}: ${value?.length ?? 'no'} values for shape [${node.shape.join(', ')}]`);
      }
      return this.tf.tensor(value, [...node.shape], 'float32');
    }
    const kernel = kernels[node.op as keyof typeof kernels] as Kernel<OpType>;
    const inputs = node.inputs.map((input) => values.get(input)!);
    return this.tf.tidy(() => kernel(this.tf, inputs, node));
  }

  private free(node: AnyNode, values: Map<AnyNode, Tensor>): void {
    if (this.fixed.has(node)) return;
    values.get(node)?.dispose();
    values.delete(node);
  }
}

function fixedValue(node: AnyNode, parameters: ReadonlyMap<string, Parameter>): Float32Array | undefined {
  return node.op === 'parameter' ? parameters.get(node.attributes.name)?.value : undefined;
}
