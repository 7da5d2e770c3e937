import type { CheckpointSummary } from '../../../protocol/analysis';
import type { ListingProcess } from '../jobs/listing-process';
import { fileStamp } from './results';

/** Summaries that are held in memory, the last ones asked for. */
const MOST = 50;

/** What is in a checkpoint, read again only when its file has changed. */
export class CheckpointReader {
  private readonly read = new Map<string, { stamp: string; summary: Promise<CheckpointSummary> }>();

  constructor(private readonly listing: ListingProcess) {}

  /** @throws {InputError} when the checkpoint cannot be read */
  async summary(path: string): Promise<CheckpointSummary> {
    const stamp = fileStamp(path);
    const known = this.read.get(path);
    this.read.delete(path);
    const summary = known?.stamp === stamp ? known.summary : this.listing.list(path);
    this.read.set(path, { stamp, summary });
    const [oldest] = this.read.keys();
    if (this.read.size > MOST) this.read.delete(oldest!);
    summary.catch(() => {
      if (this.read.get(path)?.summary === summary) this.read.delete(path);
    });
    return summary;
  }
}
