// Trains the fully connected network of the method's figures on MNIST:
// `node out/test/models/train-fc.script.cjs FOLDER OUT.onnx [MU]`, FOLDER with the idx
// files, MU of the L1 penalty (0 trains without).
import { writeFileSync } from 'node:fs';
import { openModel } from '../../server/src/checkpoint/model';
import { createOrtEngine } from '../../server/src/engine/ort';
import { evaluate, samplesFor } from '../../samples/training';
import { FC_L1, trainFc } from './fc';

async function main(folder: string, out: string, l1: number): Promise<void> {
  const engine = await createOrtEngine(1);
  const onEpoch = (epoch: number, loss: number): void => console.log(`epoch ${epoch}: loss ${loss.toFixed(5)}`);
  writeFileSync(out, await trainFc(engine, folder, onEpoch, l1));
  const model = await openModel(out, { batch: 500 });
  for (const split of ['train', 'test'] as const) {
    const { loss, correct, total } = await evaluate(engine, model, await samplesFor(model, folder, split));
    console.log(`${split}: loss ${loss.toFixed(5)}, ${correct} of ${total} correct`);
  }
}

const [folder, out, l1 = String(FC_L1)] = process.argv.slice(2);
if (folder === undefined || out === undefined) {
  console.error('usage: train-fc.script.cjs FOLDER OUT.onnx [MU]');
  process.exitCode = 2;
} else {
  void main(folder, out, Number(l1));
}
