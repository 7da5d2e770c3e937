import { GraphBuilder } from '../graph/builder';
import { elementCount } from '../graph/shapes';
import { NCHWC } from './onnx/blocked-convolution';
import { NATIVE } from './onnx/dialect';
import { emitGraph } from './onnx/emit';
import { OnnxWriter } from './onnx/writer';
import type { OrtRuntime } from './ort-runtime';

type Library = OrtRuntime['library'];

/** Wider than any block. */
const CHANNELS = 64;
const CONVOLUTION = { strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1], group: 1 };

/**
 * Channels in a block of onnxruntime's blocked layout on this processor, found
 * by trying: no call tells. 0 where there is no such layout, or where a
 * convolution in it is not what the plain one is.
 */
export async function findBlock(runtime: Library): Promise<number> {
  try {
    const block = await layoutBlock(runtime);
    if (block <= 1 || CHANNELS % block !== 0) return 0;
    return (await isRight(runtime, block)) ? block : 0;
  } catch {
    // A runtime without these ops.
    return 0;
  }
}

/** Where the second pixel of the first channel comes to lie. */
async function layoutBlock(runtime: Library): Promise<number> {
  const writer = new OnnxWriter();
  const x = writer.input('x', [1, CHANNELS, 1, 2]);
  writer.output('y', writer.node('ReorderInput', [x], {}, NCHWC), [1, CHANNELS, 1, 2]);
  const values = Float32Array.from({ length: 2 * CHANNELS }, (_, i) => i);
  const y = await run(runtime, writer.encode(), new Map([['x', { values, shape: [1, CHANNELS, 1, 2] }]]));
  return y.indexOf(1);
}

async function isRight(runtime: Library, block: number): Promise<boolean> {
  const b = new GraphBuilder();
  const shapes = { x: [1, CHANNELS, 3, 3], w: [CHANNELS, CHANNELS, 3, 3] };
  const y = b.conv(b.input('x', shapes.x), b.input('w', shapes.w), CONVOLUTION);
  const feeds = new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const values = Float32Array.from({ length: elementCount(shape) }, (_, i) => ((i * 7919) % 101) / 101 - 0.5);
      return [name, { values, shape }] as const;
    }),
  );
  const [plain, blocked] = await Promise.all(
    [NATIVE, { ...NATIVE, block }].map((dialect) => {
      const { bytes } = emitGraph({ outputs: [{ name: 'y', node: y }] }, new Map(), { dialect });
      return run(runtime, bytes, feeds);
    }),
  );
  return plain!.every((value, i) => Math.abs(value - blocked![i]!) <= 1e-4);
}

async function run(
  runtime: Library,
  model: Uint8Array,
  feeds: ReadonlyMap<string, { values: Float32Array; shape: readonly number[] }>,
): Promise<Float32Array> {
  const session = await runtime.InferenceSession.create(model, { logSeverityLevel: 4, intraOpNumThreads: 1 });
  const tensors = [...feeds].map(([name, { values, shape }]) => {
    return [name, new runtime.Tensor('float32', values, shape)] as const;
  });
  try {
    const { y } = await session.run(Object.fromEntries(tensors));
    return y!.data as Float32Array;
  } finally {
    await session.release();
  }
}
