import { classifierToOnnx } from '../../server/src/checkpoint/onnx/write';
import type { Engine } from '../../server/src/engine/engine';
import { cosineRate } from '../../server/src/lomp/schedule';
import { train, type AfterEpoch } from '../../server/src/lomp/training';
import { fullyConnected } from '../../samples/networks';
import { samplesFor } from '../../samples/training';

/** Inputs, hidden layers, classes. */
export const FC_SIZES = [784, 300, 100, 10] as const;
/** μ of the L1 penalty that the network is trained with. */
export const FC_L1 = 5e-5;

/**
 * The fully connected network of the figures in docs/method.md as an ONNX file:
 * 784-300-100-10 with ReLU, trained with L1 on the 60,000 images of MNIST,
 * bytes scaled to [0, 1], for 15 epochs.
 *
 * @param folder with the idx files of MNIST
 * @param l1 μ of the penalty; 0 trains without
 */
export async function trainFc(
  engine: Engine,
  folder: string,
  onEpoch?: AfterEpoch,
  l1: number = FC_L1,
): Promise<Uint8Array> {
  const network = fullyConnected(128, FC_SIZES, 1);
  const samples = await samplesFor(network, folder, 'train');
  const options = { epochs: 15, rate: cosineRate(0.1), momentum: 0.9, l1, seed: 1 };
  return classifierToOnnx(await train(engine, network, samples, options, onEpoch));
}
