// Writes what the goldens of training are computed from, as raw arrays for
// PyTorch: `node out/test/golden/training-export.script.cjs FOLDER`.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesOf } from './cases';
import { CANDIDATES, STEP, trainingBatch, trainingCases, trainingFingerprint, trainingModel } from './training';

const folder = process.argv[2];
if (folder === undefined) throw new Error('folder missing: node out/test/golden/training-export.script.cjs FOLDER');

for (const golden of trainingCases) {
  const place = join(folder, golden.name);
  mkdirSync(place, { recursive: true });
  const model = trainingModel(golden);
  const parameters = [...model.parameters.values()];
  const batches = Array.from({ length: CANDIDATES }, (_, candidate) => trainingBatch(golden, candidate));
  const manifest = {
    ...golden,
    ...STEP,
    parameters: parameters.map(({ name, shape }) => ({ name, shape })),
    prunable: model.layers.map(({ name }) => name),
    statistics: model.normalizations.flatMap(({ mean, variance }) => [mean.name, variance.name]),
    fingerprints: batches.map((batch) => trainingFingerprint(model, batch)),
  };
  writeFileSync(join(place, 'manifest.json'), JSON.stringify(manifest));
  writeFileSync(join(place, 'parameters.bin'), Buffer.concat(parameters.map(({ value }) => bytesOf(value))));
  writeFileSync(join(place, 'inputs.bin'), Buffer.concat(batches.map(({ inputs }) => bytesOf(inputs))));
  writeFileSync(join(place, 'labels.bin'), Buffer.concat(batches.map(({ labels }) => bytesOf(labels))));
  console.log(`${golden.name}: ${place}`);
}
