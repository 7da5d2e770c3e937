// Writes what the goldens are computed from, as raw arrays for PyTorch:
// `node out/test/golden/export.script.cjs FOLDER [--all]`, with --all the samples
// at kinks too. README.md has the order of the scripts.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MemoryGuard } from '../../server/src/analysis/memory';
import { openSubject } from '../../server/src/analysis/subject';
import type { Model } from '../../server/src/graph/model';
import { bytesOf, goldenCases, goldenInputs } from './cases';
import { oracleNames, oracleRequest, ORACLE_SAMPLES, pooledDigits } from './oracles';

const folder = process.argv[2];
const all = process.argv[3] === '--all';
if (folder === undefined) throw new Error('folder missing: node out/test/golden/export.script.cjs FOLDER');

/** One array per file, little-endian; the manifest has the shapes. */
function write(name: string, manifest: object, arrays: Readonly<Record<string, ArrayBufferView>>): void {
  const place = join(folder!, name);
  mkdirSync(place, { recursive: true });
  for (const [file, array] of Object.entries(arrays)) writeFileSync(join(place, `${file}.bin`), bytesOf(array));
  writeFileSync(join(place, 'manifest.json'), JSON.stringify({ name, ...manifest }, null, 2));
  console.log(`${name}: ${place}`);
}

/** All parameters, one after the other. */
function parametersOf(model: Model): { manifest: object; parameters: Uint8Array } {
  const list = [...model.parameters.values()];
  return {
    manifest: {
      parameters: list.map(({ name, shape }) => ({ name, shape })),
      layers: model.layers.map(({ name }) => name),
    },
    parameters: Buffer.concat(list.map(({ value }) => bytesOf(value))),
  };
}

async function run(): Promise<void> {
  const { count, images, labels } = await pooledDigits();
  write('digits', { count }, { images, labels });

  for (const golden of goldenCases) {
    if (golden.skip !== false) {
      console.log(`${golden.name}: left out, ${golden.skip}`);
      continue;
    }
    const { model, samples, direction } = await goldenInputs(golden, all);
    const { manifest, parameters } = parametersOf(model);
    const inputShape = [samples.count, ...samples.sampleShape];
    write(
      golden.name,
      { ...manifest, inputShape },
      { parameters, inputs: samples.inputs, labels: samples.labels, direction },
    );
  }

  for (const name of oracleNames) {
    const request = oracleRequest(name, { batch: ORACLE_SAMPLES });
    const missing = [request.checkpoint, request.options.data.path].find((path) => !existsSync(path));
    if (missing !== undefined) {
      console.log(`${name}: left out, no ${missing}`);
      continue;
    }
    const { model, batches } = await openSubject(request, new MemoryGuard(0));
    const { manifest, parameters } = parametersOf(model);
    const { inputs, labels: classes } = batches[0]!;
    write(name, { ...manifest, inputShape: model.input.shape }, { parameters, inputs, labels: classes });
  }
}

run().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
