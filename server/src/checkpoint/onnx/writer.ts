import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { copyWritable } from '../../files/copy';
import { bytesOfFile } from '../in-place';
import type { Writer } from '../writer';
import { locateExternal } from './external';
import { updateWeights } from './update';

/** The model and, where it has external data, a copy of those under the new model's name. */
export const write: Writer = async (writing) => {
  const { source, target, changes } = writing;
  const name = basename(target);
  const edits = new Map(changes.map((change) => [change.name, change.edit]));
  const { bytes, external } = updateWeights(await readFile(source), source, edits, (index) =>
    index === 0 ? `${name}.data` : `${name}.${index + 1}.data`,
  );
  for (const [old, { location, patches }] of external) {
    const data = locateExternal(old, source);
    const staged = await writing.placeCompanion(location, [source, data]);
    await copyWritable(data, staged);
    const copy = bytesOfFile(staged);
    for (const patch of patches) copy.write(patch.offset, patch.bytes);
  }
  await writeFile(await writing.place(), bytes);
};
