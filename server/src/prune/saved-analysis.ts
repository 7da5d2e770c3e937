import type { AnalysisResult } from '../../../protocol/analysis';
import { betweenText } from '../../../protocol/numbers';
import { InputError } from '../errors';

/** What pruning needs of an analysis. */
export type KnownLimit = Pick<AnalysisResult, 'limits' | 'layers'>;

/**
 * The headline limit of an analysis as a sparsity to prune to.
 *
 * @throws InputError when there is none, or it is not resolved: the middle of a
 * wide interval is no limit
 */
export function limitSparsity({ limits }: KnownLimit): number {
  const [limit] = limits;
  if (limit === undefined) {
    throw new InputError('no limit in the analysis: it evaluated only; allow Lanczos steps with --steps');
  }
  if (!limit.resolved) {
    // Rounded down: its safe end must not end up inside.
    const low = Math.floor(1000 * limit.interval[0]) / 1000;
    throw new InputError(
      `limit unresolved: it lies ${betweenText(limit.interval)}; give --sparsity ${low.toFixed(3)} for its safe end, or narrow it with more --steps and --minutes`,
    );
  }
  return limit.sparsity;
}

/**
 * A result that `analyze --json` wrote, as far as pruning reads it.
 *
 * @param path for messages
 * @throws InputError when it is no such result
 */
export function savedAnalysis(text: string, path: string): AnalysisResult {
  let result: unknown;
  try {
    result = JSON.parse(text);
  } catch (error) {
    throw new InputError(`not JSON: ${path} (${(error as Error).message}); name what analyze --json wrote`);
  }
  if (!isAnalysis(result)) throw new InputError(`no analysis result: ${path}; name what analyze --json wrote`);
  return result;
}

function isAnalysis(value: unknown): value is AnalysisResult {
  const result = value as Partial<AnalysisResult> | null;
  return (
    typeof result === 'object' &&
    result !== null &&
    typeof result.checkpoint === 'string' &&
    Array.isArray(result.limits) &&
    result.limits.every(
      (limit: Partial<AnalysisResult['limits'][number]> | null) =>
        isFraction(limit?.sparsity) &&
        typeof limit.resolved === 'boolean' &&
        Array.isArray(limit.interval) &&
        limit.interval.length === 2 &&
        limit.interval.every(isFraction),
    ) &&
    Array.isArray(result.layers) &&
    result.layers.every(
      (layer: Partial<AnalysisResult['layers'][number]> | null) =>
        typeof layer?.name === 'string' &&
        typeof layer.weights === 'number' &&
        (layer.curvatureShare === null || isFraction(layer.curvatureShare)),
    )
  );
}

function isFraction(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 1;
}

/** @throws InputError when an analysis is about another network than that of `layers` */
export function checkSameNetwork(
  analysis: KnownLimit,
  layers: readonly { readonly name: string; readonly weights: Float32Array }[],
  checkpoint: string,
): void {
  const known = new Map(analysis.layers.map(({ name, weights }) => [name, weights]));
  const other =
    layers.find(({ name, weights }) => known.get(name) !== weights.length)?.name ??
    analysis.layers.find(({ name }) => !layers.some((layer) => layer.name === name))?.name;
  if (other !== undefined) {
    throw new InputError(
      `analysis of another network: layer ${other} differs from that of ${checkpoint}; analyse this checkpoint`,
    );
  }
}
