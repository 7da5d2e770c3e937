import { readFile } from 'node:fs/promises';
import { InputError } from '../../errors';
import { copyWritable } from '../../files/copy';
import { readEntry } from '../../files/ranges';
import { withZip } from '../../files/zip';
import { replaceEntries } from '../../files/zip-update';
import type { Change, Writer } from '../writer';
import { withTemporary, writeHdf5 } from './hdf5';

/** HDF5 files: the library writes datasets where they lie, compressed ones wherever there is room. */
export const writeH5: Writer = async (writing) => {
  const staged = await writing.place();
  await copyWritable(writing.source, staged);
  await writeHdf5(staged, writing.target, contentsOf(writing.changes));
};

const WEIGHTS = 'model.weights.h5';

/** `.keras`: the HDF5 file in the archive is changed outside of it, and put back. */
export const writeArchive: Writer = async (writing) => {
  const { source, changes, target } = writing;
  const entries = await withZip(source, (archive) => Promise.resolve(archive.entries));
  const entry = entries.find(({ name }) => name === WEIGHTS);
  if (entry === undefined) throw new InputError(`archive without ${WEIGHTS}: ${source}; save the model again`);
  await withTemporary(readEntry(source, entry), async (path) => {
    await writeHdf5(path, target, contentsOf(changes));
    await replaceEntries(source, await writing.place(), new Map([[WEIGHTS, await readFile(path)]]));
  });
};

function contentsOf(changes: readonly Change[]): Map<string, () => Uint8Array> {
  return new Map(
    changes.map(({ name, tensor, edit }) => {
      if (tensor.place?.kind !== 'dataset')
        throw new InputError(`tensor without a dataset: ${name}; save the model again`);
      return [tensor.place.path, () => edit(tensor)] as const;
    }),
  );
}
