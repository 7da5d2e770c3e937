import { emitGraph } from '../../engine/onnx/emit';
import type { Model } from '../../graph/model';

/** Name of the dimension that holds the samples. */
const BATCH = 'batch';

/**
 * A classifier as an ONNX file (opset 18, float32): any number of samples in,
 * logits out, weights under their own names and every node under that of its
 * layer.
 *
 * The network must be built sample by sample: its only use of the batch size is
 * as the leading axis. The batch it was built for is not in the file, except
 * where an operator states it otherwise than as a shape's leading size.
 */
export function classifierToOnnx({ logits, parameters }: Model): Uint8Array {
  const graph = { outputs: [{ name: 'logits', node: logits }] };
  return emitGraph(graph, parameters, { layerNames: true, batch: BATCH }).bytes;
}
