import type { AnalysisResult, CheckpointSummary } from '../../../protocol/analysis';
import type { PruneResult } from '../../../protocol/prune';
import type { RetrainResult } from '../../../protocol/retrain';
import type { TrainResult } from '../../../protocol/train';
import { AnalysisError } from '../errors';

/** The result as one line of JSON; `result.schema.json` describes it. */
export function resultJson(result: AnalysisResult): string {
  return toLine(result);
}

/** What `inspect` found as one line of JSON; `summary.schema.json` describes it. */
export function summaryJson(summary: CheckpointSummary): string {
  return toLine(summary);
}

/** What `prune` did as one line of JSON; `pruned.schema.json` describes it. */
export function pruneJson(result: PruneResult): string {
  return toLine(result);
}

/** What a training came to as one line of JSON. */
export function trainJson(result: TrainResult): string {
  return toLine(result);
}

/** The retrained limit as one line of JSON; `retrained.schema.json` describes it. */
export function retrainJson(result: RetrainResult): string {
  return toLine(result);
}

/**
 * JSON has no NaN and no infinity, and `JSON.stringify` writes null for them:
 * a reader would take a failed computation for an absent value.
 *
 * @throws AnalysisError for such a number
 */
function toLine(value: object): string {
  const text = JSON.stringify(value, (key, item: unknown) => {
    if (typeof item === 'number' && !Number.isFinite(item)) {
      throw new AnalysisError(`result not finite: ${key} is ${item}; compute again with other samples, and report it`);
    }
    return item;
  });
  return `${text}\n`;
}
