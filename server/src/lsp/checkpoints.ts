import type { CheckpointSummary } from '../../../protocol/analysis';
import { fileStamp } from './results';

/** What is in a checkpoint, read again only when its file has changed. */
export class CheckpointReader {
  private readonly read = new Map<string, { stamp: string; summary: Promise<CheckpointSummary> }>();

  /** @throws {InputError} when the checkpoint cannot be read */
  async summary(path: string): Promise<CheckpointSummary> {
    const stamp = fileStamp(path);
    const known = this.read.get(path);
    if (known?.stamp === stamp) return known.summary;
    const summary = inspect(path);
    this.read.set(path, { stamp, summary });
    summary.catch(() => this.read.delete(path));
    return summary;
  }
}

/** Loaded when first used, so that the server is ready before the readers are. */
async function inspect(path: string): Promise<CheckpointSummary> {
  const { inspectCheckpoint } = await import('../checkpoint/inspect');
  return inspectCheckpoint(path, false, MOST_READ);
}

/** Bytes of weights that are read here: a fraction of a second, in which nothing else is answered. */
const MOST_READ = 2 ** 27;
