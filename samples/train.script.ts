// Trains the demonstration's network: `node out/samples/train.script.cjs [folder]`.
// Writes digits.onnx and pruning-limit.json, which says how it is analysed.
// One thread, so that the bytes depend on the engine's version and the processor alone.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { classifierToOnnx } from '../server/src/checkpoint/onnx/write';
import { createOrtEngine } from '../server/src/engine/ort';
import { cosineRate } from '../server/src/lomp/schedule';
import { train } from '../server/src/lomp/training';
import { projectRoot } from '../test/outside';
import { convolutional } from './networks';
import { evaluate, samplesFor } from './training';

const BATCH = 32;
const EPOCHS = 40;
/** Large enough for most weights to reach zero, small enough to cost no accuracy. */
const L1 = 1e-3;
const SHAPE = { image: [1, 16, 16], convolutions: [8, 16, 32], linear: [32, 10] } as const;

/** Where the data are, for the script and for whoever opens the folder in the editor. */
const DATA = 'data';

async function main(folder: string): Promise<void> {
  const engine = await createOrtEngine(1);
  const network = convolutional(BATCH, SHAPE, 1);
  const data = join(projectRoot(), 'samples', DATA);
  const samples = await samplesFor(network, data, 'train');
  const options = { epochs: EPOCHS, rate: cosineRate(0.03), momentum: 0.9, l1: L1, seed: 1 };
  const trained = await train(engine, network, samples, options, (epoch, loss) =>
    console.log(`epoch ${epoch} of ${EPOCHS}: loss ${loss.toFixed(4)}`),
  );
  for (const split of ['train', 'test'] as const) {
    const { loss, correct, total } = await evaluate(engine, trained, await samplesFor(network, data, split));
    console.log(`${split}: loss ${loss.toFixed(4)}, ${correct} of ${total} correct`);
  }
  writeFileSync(join(folder, 'digits.onnx'), classifierToOnnx(trained));
  writeFileSync(join(folder, 'pruning-limit.json'), `${JSON.stringify(analysisFile(), null, 2)}\n`);
}

function analysisFile(): object {
  const data = { path: DATA, split: 'test', scale: 255, samples: 'all' };
  // Large batches: on a network this small the engine's overhead per run counts.
  return { analyses: [{ checkpoint: 'digits.onnx', data, l1: L1, batch: 500 }] };
}

void main(process.argv[2] ?? join(projectRoot(), 'samples'));
