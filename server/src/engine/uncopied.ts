import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { onnx } from '../checkpoint/onnx/generated/onnx';
import { OnnxWriter } from './onnx/writer';
import type { OrtRuntime } from './ort-runtime';

/**
 * onnxruntime-node 1.30 writes outputs into the arrays that `run` is given, and
 * then copies each into a new one all the same: a fifth of a step of training of
 * a wide network. It copies them one after the other, in the order of the graph,
 * and an output that is a sequence it cannot turn into JavaScript. So a graph
 * that has an empty sequence as its first output fails when everything has been
 * computed and nothing has been copied.
 */
const SEQUENCE = '!sequence';
const FAILURE = 'Non tensor type is temporarily not supported.';
const FLOAT = onnx.TensorProto.DataType.FLOAT;

/** The model with such an output before its own. */
export function putSequenceFirst(model: Uint8Array): Uint8Array {
  // Messages of protobuf in a row are one message, with what is repeated in that order.
  const first = onnx.ModelProto.encode({
    graph: {
      node: [{ opType: 'SequenceEmpty', output: [SEQUENCE] }],
      output: [{ name: SEQUENCE, type: { sequenceType: { elemType: { tensorType: { elemType: FLOAT } } } } }],
    },
  }).finish();
  return Buffer.concat([first, model]);
}

/**
 * Runs a model of `putSequenceFirst`.
 *
 * @param outputs every output of its own, with the array that it is written to
 */
export async function runUncopied(
  session: Pick<InferenceSession, 'run'>,
  feeds: Readonly<Record<string, Tensor>>,
  outputs: Readonly<Record<string, Tensor>>,
): Promise<void> {
  try {
    await session.run(feeds, { [SEQUENCE]: null, ...outputs });
  } catch (error) {
    if (!(error instanceof Error) || error.message !== FAILURE) throw error;
  }
}

/** Whether a runtime can do that, found by trying. */
export async function findUncopied({ InferenceSession, Tensor }: OrtRuntime['library']): Promise<boolean> {
  const writer = new OnnxWriter();
  writer.output('y', writer.node('Neg', [writer.input('x', [1])]), [1]);
  try {
    const session = await InferenceSession.create(putSequenceFirst(writer.encode()), {
      logSeverityLevel: 4,
      intraOpNumThreads: 1,
    });
    const y = new Float32Array(1);
    try {
      const x = new Tensor('float32', Float32Array.of(-1), [1]);
      await runUncopied(session, { x }, { y: new Tensor('float32', y, [1]) });
    } finally {
      await session.release();
    }
    return y[0] === 1;
  } catch {
    return false;
  }
}
