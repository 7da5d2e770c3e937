import { readFile } from 'node:fs/promises';
import { stemOf, writeShards } from '../shards';
import type { Writer } from '../writer';

/** `model.json` and the files with its weights. */
export const write: Writer = async (writing) => {
  const text = await readFile(writing.source, 'utf8');
  const { weightsManifest } = JSON.parse(text) as { readonly weightsManifest: readonly { paths: readonly string[] }[] };
  const shards = new Set(weightsManifest.flatMap(({ paths }) => paths));
  await writeShards(writing, text, shards, stemOf(writing.target, /\.json$/i));
};
