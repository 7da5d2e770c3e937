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

/** A batch normalisation in training: its running statistics, and what a batch contributes to them. */
export interface Normalization {
  readonly mean: Parameter;
  readonly variance: Parameter;
  /** What is kept of the running statistics at a step (ONNX; PyTorch's momentum is 1 minus this). */
  readonly momentum: number;
  /** [1, C, 1, …]. */
  readonly batchMean: AnyNode;
  /** Of the batch as it is, divided by `count`. */
  readonly batchVariance: AnyNode;
  /** Elements per channel in a batch. */
  readonly count: number;
}

/** A network in training: its normalisations use the batch's own statistics, and the running ones reach no logit. */
export interface TrainingModel extends Model {
  readonly normalizations: readonly Normalization[];
}

export interface Parameter {
  readonly name: string;
  readonly shape: Shape;
  readonly value: Float32Array;
}
