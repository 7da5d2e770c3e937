import { copyFile, open, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { locateExternal } from '../checkpoint/onnx/external';
import { toFloat32 } from '../checkpoint/elements';
import { storedLayers } from '../checkpoint/onnx/layers';
import { updateWeights, type ExternalUpdate } from '../checkpoint/onnx/update';
import { openOnnx } from '../checkpoint/open';
import { AnalysisError } from '../errors';
import { expectFree, type Staging } from '../files/staging';

/** How a file that is in the way may be replaced. */
export const REPLACE = 'allow it to be replaced with --force';

/**
 * Writes a checkpoint with other weights, everything else as it is in `source`,
 * and reads it back. External data go into files of their own beside it: the
 * old ones stay those of the old checkpoint.
 *
 * @param values by name of the weight tensor
 * @returns paths of the files with external data
 * @throws InputError, and AnalysisError when what was written is not what was meant
 */
export async function writeCheckpoint(
  source: string,
  target: string,
  values: ReadonlyMap<string, Float32Array>,
  staging: Staging,
  overwrite: boolean,
): Promise<string[]> {
  const name = basename(target);
  const { bytes, external } = updateWeights(await readFile(source), source, values, (index) =>
    index === 0 ? `${name}.data` : `${name}.${index + 1}.data`,
  );
  const companions: string[] = [];
  for (const [old, update] of external) {
    const companion = join(dirname(target), update.location);
    if (!overwrite) await expectFree(companion, REPLACE);
    const staged = await staging.place(companion);
    await copyFile(locateExternal(old, source), staged);
    await patch(staged, update);
    companions.push(companion);
  }
  // Last: a model that is there has its data.
  const staged = await staging.place(target);
  await writeFile(staged, bytes);
  await checkWritten(staged, target, values);
  return companions;
}

async function patch(path: string, { patches }: ExternalUpdate): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    for (const { offset, bytes } of patches) {
      for (let done = 0; done < bytes.length;) {
        done += (await handle.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
      }
    }
  } finally {
    await handle.close();
  }
}

async function checkWritten(staged: string, target: string, values: ReadonlyMap<string, Float32Array>): Promise<void> {
  const layers = new Map(storedLayers(await openOnnx(staged)).map((layer) => [layer.name, layer]));
  for (const [name, wished] of values) {
    const written = layers.get(name);
    const read = written && toFloat32(written.tensor.read());
    if (read?.length !== wished.length || read.some((x, i) => x !== wished[i])) {
      throw new AnalysisError(
        `written checkpoint differs: ${name} in ${target}; nothing was kept of it, please report it`,
      );
    }
  }
}
