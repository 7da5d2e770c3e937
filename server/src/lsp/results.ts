import { statSync } from 'node:fs';
import type { AnalysisResult } from '../../../protocol/analysis';
import type { RunStore } from '../jobs/run-store';

export interface StoredResult {
  readonly result: AnalysisResult;
  readonly computed: Date;
  /** The checkpoint's file changed after the result was computed. */
  readonly outdated: boolean;
}

/** The result that counts for a checkpoint: that of the run it was asked for last. */
export class ResultStore {
  constructor(private readonly runs: RunStore) {}

  async get(checkpoint: string): Promise<StoredResult | null> {
    const run = await this.runs.latest(checkpoint);
    const result = run && (await this.runs.result(run.id));
    if (!result) return null;
    return { result, computed: new Date(run.ended!), outdated: fileStamp(checkpoint) !== run.stamp };
  }
}

/** Size and time of a file's last change; empty when there is no such file. */
export function fileStamp(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? `${stat.size}-${stat.mtimeMs}` : '';
}
