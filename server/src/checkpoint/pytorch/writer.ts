import { InputError } from '../../errors';
import { copyWritable } from '../../files/copy';
import { readEntry, readRange } from '../../files/ranges';
import { localDataStart, LOCAL_HEADER, withZip, type ZipEntry } from '../../files/zip';
import { replaceEntries, updateChecksums } from '../../files/zip-update';
import { bytePlace, bytesInMemory, bytesOfFile, changeInPlace, type Bytes } from '../in-place';
import type { Writer } from '../writer';

/** Archives of torch.save: the storages are changed where they lie, deflated ones are deflated again. */
export const writeArchive: Writer = async (writing) => {
  const { source, changes } = writing;
  const entries = new Map(
    changes
      .flatMap(({ tensor, name }) => bytePlace(tensor, name).runs)
      .flatMap(({ entry }) => (entry === undefined ? [] : [[entry.name, entry] as const])),
  );
  const isStored = ({ method }: ZipEntry): boolean => method === 'stored';
  const deflated = new Map(
    [...entries.values()]
      .filter((entry) => !isStored(entry))
      .map(({ name, ...entry }) => [name, Uint8Array.from(readEntry(source, { name, ...entry }))]),
  );
  const inMemory = new Map([...deflated].map(([name, content]) => [name, bytesInMemory(content)]));
  const held = changes.filter(({ tensor, name }) => {
    const [run] = bytePlace(tensor, name).runs;
    return run?.entry !== undefined && deflated.has(run.entry.name);
  });
  changeInPlace(held, ({ entry }) => inMemory.get(entry!.name)!);
  const staged = await writing.place();
  if (deflated.size === 0) await copyWritable(source, staged);
  else await replaceEntries(source, staged, deflated);

  const stored = new Set([...entries.values()].filter(isStored).map(({ name }) => name));
  // They may have moved.
  const moved = await withZip(staged, (archive) => Promise.resolve(archive.entries));
  const inFile = new Map<string, Bytes>();
  for (const entry of moved) {
    if (!stored.has(entry.name)) continue;
    const start = localDataStart(readRange(staged, entry.header, LOCAL_HEADER), entry, staged);
    inFile.set(entry.name, bytesOfFile(staged, start));
  }
  const rest = changes.filter((change) => !held.includes(change));
  changeInPlace(rest, ({ entry }) => {
    const bytes = entry === undefined ? undefined : inFile.get(entry.name);
    if (bytes === undefined) throw new InputError(`archive damaged: ${source}; copy the file again`);
    return bytes;
  });
  await updateChecksums(staged, stored);
};

/** Files from before PyTorch 1.6: the storages lie one behind the other. */
export const writeLegacy: Writer = async (writing) => {
  const staged = await writing.place();
  await copyWritable(writing.source, staged);
  const bytes = bytesOfFile(staged);
  changeInPlace(writing.changes, () => bytes);
};
