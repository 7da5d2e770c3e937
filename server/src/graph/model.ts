import type { GraphBuilder } from './builder';
import type { AnyNode, GraphNode, Shape } from './ir';

/** A weight tensor that pruning may zero. */
export interface PrunableLayer {
  /** Name of the tensor in the checkpoint. */
  readonly name: string;
  /** ONNX operator that uses it: Conv, ConvTranspose, Gemm or MatMul. */
  readonly op: 'Conv' | 'ConvTranspose' | 'Gemm' | 'MatMul';
  /** Shape as stored in the checkpoint. */
  readonly shape: Shape;
}

/**
 * A network as the analysis sees it: a graph from one input to class logits
 * for a fixed batch size, and the values of its named weights.
 */
export interface Model {
  /** Path or other name for messages. */
  readonly source: string;
  /** Made the nodes; passes and differentiation add to it. */
  readonly builder: GraphBuilder;
  readonly input: GraphNode<'input'>;
  /** [N, classes], before any trailing softmax. */
  readonly logits: AnyNode;
  /** Every float initializer of the graph that reaches the logits, by name. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** In order of first use. */
  readonly layers: readonly PrunableLayer[];
}

export interface Parameter {
  readonly name: string;
  readonly shape: Shape;
  readonly value: Float32Array;
}
