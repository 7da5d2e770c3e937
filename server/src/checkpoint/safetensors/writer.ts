import { readFile } from 'node:fs/promises';
import { copyWritable } from '../../files/copy';
import { bytesOfFile, changeInPlace } from '../in-place';
import { stemOf, writeShards } from '../shards';
import type { Writer } from '../writer';

/** The header stays, and the tensors lie where it says. */
export const writeFile: Writer = async (writing) => {
  const staged = await writing.place();
  await copyWritable(writing.source, staged);
  const bytes = bytesOfFile(staged);
  changeInPlace(writing.changes, () => bytes);
};

/** An index and its shards. */
export const writeIndex: Writer = async (writing) => {
  const text = await readFile(writing.source, 'utf8');
  const { weight_map: map } = JSON.parse(text) as { readonly weight_map: Readonly<Record<string, string>> };
  const stem = stemOf(writing.target, /(\.safetensors)?(\.index)?\.json$/i);
  await writeShards(writing, text, new Set(Object.values(map)), stem);
};
