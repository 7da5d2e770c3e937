import type { AnalysisOptions, AnalysisWarning, LayerResult, LimitEnd, LimitResult } from '../../../protocol/analysis';
import { betweenText, grouped, significant } from '../../../protocol/numbers';
import type { Stationarity, ValidityEdge } from '../limit/path';
import { FEWEST_SAMPLES } from './sample-sizes';

/** A layer is remarkable whose share of curvature is this many times its share of weights … */
const CURVATURE_FACTOR = 10;
/** … and at least this share of all. */
const CURVATURE_SHARE = 0.1;
/** Of the weights that are zero already, when it is said so. */
const ALREADY_SPARSE = 0.1;

/** Layers that vanish and are named one by one; more are counted. */
const MOST_NAMED = 20;

const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;

export function layerWarnings(layers: readonly LayerResult[], limit: LimitResult): AnalysisWarning[] {
  const total = layers.reduce((sum, layer) => sum + layer.weights, 0);
  const zeros = layers.reduce((sum, layer) => sum + layer.zeros, 0);
  const warnings: AnalysisWarning[] = [];
  let vanished = 0;
  for (const layer of layers) {
    if (layer.keptAtLimit === 0 && ++vanished <= MOST_NAMED) {
      warnings.push({
        code: 'layer-vanishes',
        layer: layer.name,
        message: `layer ${layer.name} vanishes at the limit: all of its ${grouped(layer.weights)} weights are among the ${percent(limit.sparsity)} smallest; prune it less than the others, or the network is cut in two`,
      });
    }
    const share = layer.weights / total;
    const curvature = layer.curvatureShare ?? 0;
    if (curvature >= CURVATURE_SHARE && curvature > CURVATURE_FACTOR * share) {
      warnings.push({
        code: 'curvature-share',
        layer: layer.name,
        message: `layer ${layer.name} carries ${percent(curvature)} of the curvature with ${percent(share)} of the weights; pruning it costs more than its magnitudes say`,
      });
    }
  }
  if (vanished > MOST_NAMED) {
    warnings.push({
      code: 'layer-vanishes',
      message: `${grouped(vanished - MOST_NAMED)} more layers vanish at the limit; the table of layers has them all`,
    });
  }
  if (zeros / total >= ALREADY_SPARSE) {
    warnings.push({
      code: 'already-sparse',
      message: `${percent(zeros / total)} of the prunable weights are zero already; the limit counts them as pruned`,
    });
  }
  return warnings;
}

const SHARPER: Readonly<Record<LimitEnd, string>> = {
  resolved: '',
  steps: 'allow more with --steps',
  time: 'allow more time with --minutes, or take fewer samples',
  memory: 'more do not fit into the memory, grant more with --memory',
  float32:
    'float32 products blur the eigenvalues that count, so that more steps would not narrow it; a larger --epsilon rests on larger ones',
  exhausted: 'neither steps nor probes narrowed it further, be content with a wider --tolerance',
};

/** Of the operators whose study has ended: before that, every limit is open. */
export function limitWarnings(limits: readonly LimitResult[], tolerance: number): AnalysisWarning[] {
  return limits.flatMap((limit): AnalysisWarning[] => {
    const { end } = limit;
    if (limit.resolved || end === undefined) return [];
    const { steps } = limit.curvature;
    const spent = `${steps} Lanczos ${steps === 1 ? 'step' : 'steps'}`;
    return [
      {
        code: end === 'float32' ? 'float32-floor' : 'unresolved-bracket',
        message: `${operatorName(limit)} limit unresolved: it lies ${betweenText(limit.interval)} after ${spent}, wider than the asked ${percent(tolerance)}; ${SHARPER[end]}`,
      },
    ];
  });
}

export function validityWarnings(
  edge: ValidityEdge | null,
  stationarity: Stationarity | null,
  headline: LimitResult,
  l1: number,
): AnalysisWarning[] {
  const warnings: AnalysisWarning[] = [];
  if (stationarity !== null && !stationarity.stationary) {
    const remedy = l1 > 0 ? '' : ', or give --l1 if the network was trained with an L1 penalty';
    warnings.push({
      code: 'not-stationary',
      message: `the gradient is far from zero: at the limit its linear term ${significant(stationarity.linear, 2)} stands beside the quadratic ${significant(stationarity.quadratic, 2)}; train longer${remedy}`,
    });
  }
  if (edge !== null && edge.reason !== 'end' && edge.sparsity < headline.sparsity) {
    const message =
      edge.reason === 'more'
        ? 'pruning at once costs more than predicted from there on, so train with L1 first or fine-tune after'
        : 'pruning at once costs less than predicted from there on, so the limit may be too low';
    warnings.push({
      code: 'beyond-validity',
      message: `the limit is an extrapolation: measured and predicted loss agree within a factor of 2 up to ${percent(edge.sparsity)} only; ${message}`,
    });
  }
  return warnings;
}

/** With few samples Gauss–Newton has at most samples × (classes − 1) directions, and both limits are too high. */
export function sampleWarnings(
  samples: number,
  classes: number,
  dimension: number,
  available: number,
  options: Pick<AnalysisOptions, 'sampleSizes'>,
): AnalysisWarning[] {
  const studied = options.sampleSizes || samples < FEWEST_SAMPLES;
  const remedy =
    samples >= available
      ? 'this holds for these samples, and is an upper estimate for what they were drawn from'
      : `this is an upper estimate for the whole data set${studied ? '' : '; --sample-sizes says by how much it may'}`;
  const directions = samples * (classes - 1);
  if (directions >= dimension) return [];
  return [
    {
      code: 'few-samples',
      message: `${grouped(samples)} samples of ${classes} classes bend at most ${grouped(directions)} of ${grouped(dimension)} directions; the limit falls as samples are added, so ${remedy}`,
    },
  ];
}

/** The study of fewer samples failed, by the message of the failure; what was found before it stands. */
export function sizesMissing(message: string): AnalysisWarning {
  const remedy = message.includes(';') ? '' : '; lower --samples or --batch, or leave --sample-sizes out';
  return {
    code: 'sizes-missing',
    message: `how the limit falls as samples are added is not known, and all else is: ${message}${remedy}`,
  };
}

/** What was analysed was read before. */
export function inputsChanged({ path, gone }: { readonly path: string; readonly gone: boolean }): AnalysisWarning {
  return {
    code: 'inputs-changed',
    message: `${path} ${gone ? 'has vanished' : 'has changed'} since it was read: this is the answer for what it was; ${gone ? 'put it back' : 'analyse it again'} for one that holds now`,
  };
}

export function operatorName(limit: Pick<LimitResult, 'operator'>): string {
  return limit.operator === 'hessian' ? 'Hessian' : 'Gauss–Newton';
}
