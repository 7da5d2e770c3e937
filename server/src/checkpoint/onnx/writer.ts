import { open, readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { copyRange, copyWritable } from '../../files/copy';
import type { Edit } from '../edit';
import { bytesOfFile } from '../in-place';
import type { Writing } from '../writer';
import { locateExternal } from './external';
import { updateWeights, type ExternalPart } from './update';

export interface OnnxOptions {
  /** Weights with many zeros become sparse initializers. */
  readonly sparse: boolean;
}

/** The model and, where it has external data, a copy of those under the new model's name. */
export async function write(writing: Writing, { sparse }: OnnxOptions): Promise<void> {
  const { source, target } = writing;
  const name = basename(target);
  const { bytes, external } = updateWeights(
    await readFile(source),
    source,
    editsOf(writing),
    (index) => (index === 0 ? `${name}.data` : `${name}.${index + 1}.data`),
    sparse,
  );
  for (const [old, { location, patches, parts }] of external) {
    const data = locateExternal(old, source);
    const staged = await writing.placeCompanion(location, [source, data]);
    if (parts === null) await copyWritable(data, staged);
    else await copyParts(data, staged, parts);
    const copy = bytesOfFile(staged);
    for (const patch of patches) copy.write(patch.offset, patch.bytes);
  }
  await writeFile(await writing.place(), bytes);
}

export function editsOf({ changes }: Writing): Map<string, Edit> {
  return new Map(changes.map(({ name, edit }) => [name, edit]));
}

async function copyParts(source: string, target: string, parts: readonly ExternalPart[]): Promise<void> {
  const input = await open(source, 'r');
  try {
    const output = await open(target, 'w');
    try {
      for (const { from, to, length } of parts) await copyRange(input, from, from + length, output, to);
    } finally {
      await output.close();
    }
  } finally {
    await input.close();
  }
}
