import { realpath, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { copyWritable } from '../files/copy';
import { bytesOfFile, changeInPlace, type Bytes } from './in-place';
import type { Writing } from './writer';

/**
 * Writes a checkpoint whose tensors lie in files beside it. In another folder
 * they keep their names. They get new ones, with that of the checkpoint in
 * front, where a file of another checkpoint has one of them: in the same folder,
 * whose files stay those of the old checkpoint, or beside another model.
 *
 * @param text of the file that names them, JSON
 * @param shards their names
 * @param stem of the new checkpoint's name
 */
export async function writeShards(
  writing: Writing,
  text: string,
  shards: ReadonlySet<string>,
  stem: string,
): Promise<void> {
  const { source, target, changes } = writing;
  const folder = await realpath(dirname(source));
  const isSame = folder === (await realpath(dirname(target)));
  let isRenamed = isSame;
  for (const shard of shards) isRenamed ||= await writing.isTaken(shard);
  const renamed = new Map([...shards].map((shard) => [shard, isRenamed ? `${stem}.${shard}` : shard]));
  const inputs = [source, ...[...shards].map((shard) => join(folder, shard))];
  const copies = new Map<string, Bytes>();
  for (const [shard, name] of renamed) {
    const staged = await writing.placeCompanion(name, inputs);
    await copyWritable(join(folder, shard), staged);
    copies.set(await realpath(join(folder, shard)), bytesOfFile(staged));
  }
  changeInPlace(changes, ({ file }) => copies.get(file)!);
  await writeFile(await writing.place(), isRenamed ? withNames(text, renamed) : text);
}

/** JSON with some of its texts replaced, keys of objects excepted, and everything else as it is. */
function withNames(json: string, names: ReadonlyMap<string, string>): string {
  return json.replace(/("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?/g, (token, text: string, colon: string | undefined) => {
    const renamed = colon === undefined ? names.get(JSON.parse(text) as string) : undefined;
    return renamed === undefined ? token : JSON.stringify(renamed);
  });
}

/** The name of a checkpoint without its ending. */
export function stemOf(path: string, ending: RegExp): string {
  return basename(path).replace(ending, '');
}
