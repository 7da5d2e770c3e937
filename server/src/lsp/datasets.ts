import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Split } from '../../../protocol/analysis';
import type { DatasetFacts } from '../dataset/facts';
import type { ListingProcess } from '../jobs/listing-process';

/** Data of more bytes than this are left to the analysis: nobody waits for them while typing. */
const LARGEST = 48 * 2 ** 20;

/** What is in a data set, read again only when its files have changed. */
export class DatasetReader {
  private readonly read = new Map<string, { stamp: string; facts: Promise<DatasetFacts> }>();

  constructor(private readonly listing: ListingProcess) {}

  /**
   * @returns null where it is too large to be read for this, or a tree of images
   * @throws {InputError} when it cannot be read
   */
  async facts(path: string, split: Split): Promise<DatasetFacts | null> {
    const stamp = await stampOf(path);
    if (stamp === null) return null;
    const key = `${split} ${path}`;
    const known = this.read.get(key);
    if (known?.stamp === stamp) return known.facts;
    const facts = this.listing.data(path, split);
    this.read.set(key, { stamp, facts });
    facts.catch(() => this.read.delete(key));
    return facts;
  }
}

/** Sizes and times of the files; null where there are folders, or too much. */
async function stampOf(path: string): Promise<string | null> {
  const status = await stat(path);
  if (status.isFile()) return status.size > LARGEST ? null : `${status.size}-${status.mtimeMs}`;
  const stamps: string[] = [];
  let bytes = 0;
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) return null;
    const { size, mtimeMs } = await stat(join(path, entry.name));
    if ((bytes += size) > LARGEST) return null;
    stamps.push(`${entry.name}-${size}-${mtimeMs}`);
  }
  return stamps.join();
}
