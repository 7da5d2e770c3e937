import { float32Bytes } from '../files';
import { testRandom } from '../reference/cases';

/** Checkpoints of several files, written by hand from the descriptions of their formats. */

/** Tensors one behind the other, with a header. */
export function safetensorsBytes(
  tensors: Readonly<Record<string, readonly [shape: readonly number[], values: readonly number[]]>>,
): Buffer {
  let at = 0;
  const entries = Object.entries(tensors).map(([name, [shape, values]]) => {
    at += 4 * values.length;
    return [name, { dtype: 'F32', shape, data_offsets: [at - 4 * values.length, at] }] as const;
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, ...Object.values(tensors).map(([, values]) => float32Bytes(values))]);
}

export interface DenseWeights {
  readonly name: string;
  readonly shape: readonly number[];
  readonly quantization?: object;
}

/** A `model.json` of dense layers without biases, whose weights lie in `paths`. */
export function tfjsModel(weights: readonly DenseWeights[], paths: readonly string[]): string {
  const layers = weights.map(({ name, shape }, i) => ({
    class_name: 'Dense',
    config: {
      name: name.split('/')[0],
      units: shape[1],
      activation: 'linear',
      use_bias: false,
      ...(i === 0 && { batch_input_shape: [null, shape[0]] }),
    },
  }));
  return JSON.stringify({
    format: 'layers-model',
    modelTopology: { model_config: { class_name: 'Sequential', config: { name: 's', layers } } },
    weightsManifest: [{ paths, weights: weights.map((entry) => ({ dtype: 'float32', ...entry })) }],
  });
}

/** A multilayer perceptron in two shards of safetensors, and one of TensorFlow.js with a weight across two files. */
export function tinyShards(): Record<string, Uint8Array | string> {
  const random = testRandom(3);
  const values = (count: number): number[] => Array.from({ length: count }, () => 2 * random() - 1);
  const shards = ['mlp-1.safetensors', 'mlp-2.safetensors'];
  const map = { '0.weight': shards[0], '0.bias': shards[0], '2.weight': shards[1], '2.bias': shards[1] };
  const dense = float32Bytes(values(24 * 20 + 20 * 5));
  return {
    'mlp.safetensors.index.json': JSON.stringify({ weight_map: map }),
    [shards[0]!]: safetensorsBytes({ '0.weight': [[20, 24], values(480)], '0.bias': [[20], values(20)] }),
    [shards[1]!]: safetensorsBytes({ '2.weight': [[5, 20], values(100)], '2.bias': [[5], values(5)] }),
    'model.json': tfjsModel(
      [
        { name: 'one/kernel', shape: [24, 20] },
        { name: 'two/kernel', shape: [20, 5] },
      ],
      ['a.bin', 'b.bin'],
    ),
    'a.bin': dense.subarray(0, 1502),
    'b.bin': dense.subarray(1502),
  };
}
