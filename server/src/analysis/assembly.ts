import type {
  AnalysisRequest,
  AnalysisResult,
  AnalysisWarning,
  CurvatureKind,
  LayerResult,
  LimitResult,
  PartialResult,
} from '../../../protocol/analysis';
import { layerSparsities } from '../limit/layers';
import type { Magnitudes } from '../limit/magnitudes';
import type { TraceEstimate } from '../spectrum/traces';
import type { Evaluation } from './evaluator';
import type { Subject } from './subject';
import { layerWarnings, limitWarnings, sampleWarnings } from './warnings';

/** What an analysis has found so far. */
export interface Findings {
  readonly request: AnalysisRequest;
  readonly subject: Subject;
  readonly engine: AnalysisResult['engine'];
  readonly dense: Evaluation;
  readonly epsilon: AnalysisResult['epsilon'];
  readonly magnitudes: Magnitudes;
  /** The headline first. */
  readonly limits: readonly LimitResult[];
  readonly traces: ReadonlyMap<CurvatureKind, TraceEstimate>;
  readonly path: AnalysisResult['path'];
  readonly layerLimits: AnalysisResult['layerLimits'];
  readonly sampleSizes: AnalysisResult['sampleSizes'];
  readonly measured: AnalysisResult['measured'];
  readonly validity: AnalysisResult['validity'] & { readonly warnings: readonly AnalysisWarning[] };
  /** What happened to the engine. */
  readonly incidents: readonly AnalysisWarning[];
}

/** The result as far as it goes: layers and warnings follow from what was found. */
export function assemble(findings: Findings): PartialResult {
  const { request, subject, dense, limits, layerLimits, sampleSizes, measured, path, validity } = findings;
  const { dataset, samples, classes, totalParameters, layout } = subject;
  const layers = layerResults(findings);
  const headline = limits[0];
  return {
    checkpoint: request.checkpoint,
    engine: findings.engine,
    data: { path: request.options.data.path, format: dataset.format, samples, available: dataset.count, classes },
    parameters: { total: totalParameters, prunable: layout.dimension },
    loss: dense.loss,
    accuracy: { correct: dense.correct, total: samples },
    epsilon: findings.epsilon,
    limits,
    path,
    layerLimits,
    ...(sampleSizes && { sampleSizes }),
    measured,
    validity: { edge: validity.edge, gradientNorm: validity.gradientNorm },
    layers,
    warnings: [
      ...findings.incidents,
      ...(headline === undefined ? [] : layerWarnings(layers, headline)),
      ...limitWarnings(limits, request.options.tolerance),
      ...validity.warnings,
      ...(headline === undefined
        ? []
        : sampleWarnings(samples, classes, layout.dimension, dataset.count, request.options)),
    ],
  };
}

function layerResults({ subject, magnitudes, limits, traces }: Findings): LayerResult[] {
  const headline = limits[0];
  const sparsities = layerSparsities(magnitudes, headline?.sparsity ?? 0);
  const trace = headline && traces.get(headline.operator);
  const shares = curvatureShares(traces);
  return subject.layout.layers.map((layer, i) => ({
    name: layer.name,
    op: layer.op,
    shape: layer.shape,
    weights: layer.length,
    zeros: sparsities[i]!.zeros,
    sparsityAtLimit: headline ? sparsities[i]!.sparsity : null,
    keptAtLimit: headline ? sparsities[i]!.kept : null,
    trace: trace?.blocks[i]!.value ?? null,
    traceStandardError: trace?.blocks[i]!.standardError ?? null,
    curvatureShare: shares?.[i] ?? null,
  }));
}

/** Gauss–Newton traces cannot be negative, so that shares of them mean something. */
function curvatureShares(known: Findings['traces']): number[] | null {
  const traces = known.get('ggn') ?? known.get('hessian');
  if (traces === undefined) return null;
  const values = traces.blocks.map(({ value }) => Math.max(0, value));
  const total = values.reduce((sum, value) => sum + value, 0);
  return values.map((value) => (total > 0 ? value / total : 0));
}
