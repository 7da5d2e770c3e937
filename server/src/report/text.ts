import {
  predictedRise,
  type AnalysisResult,
  type CheckpointSummary,
  type LayerLimits,
  type LimitResult,
  type OwnLimit,
  type SampleSizes,
} from '../../../protocol/analysis';
import {
  criterionText,
  duration,
  grouped,
  headline,
  limitText,
  oneShotText,
  percent,
  percentRange,
  sampleSizesText,
  shapeText,
  significant,
  withError,
} from '../../../protocol/numbers';
import { paragraph, table, visible, type Column } from './layout';

/**
 * Result of `inspect` for a terminal.
 *
 * @param width columns of the terminal; Infinity where nothing needs to fit
 */
export function inspectText(summary: CheckpointSummary, width: number): string {
  const { parameters, layers, operators, unsupported } = summary;
  const opset = summary.opset === null ? '' : `, opset ${summary.opset}`;
  const by = summary.producer === '' ? '' : `, written by ${visible(summary.producer)}`;
  const inLayers = layers.length === 0 ? '' : ` in ${count(layers.length, 'layer')}`;
  const counts = Object.entries(operators).map(([op, times]) => `${visible(op)} ${times}`);
  const lines = [
    visible(summary.checkpoint),
    `${summary.format}${opset}${by}`,
    `${count(parameters.total, 'parameter')}, ${grouped(parameters.prunable)} of them prunable${inLayers}`,
    ...(summary.architecture === null ? [] : paragraph(visible(summary.architecture.reason), width, 'network  ')),
    ...summary.inputs.map(({ name, shape }) => `input   ${visible(name)}  ${visible(shapeText(shape))}`),
    ...summary.outputs.map(({ name, shape }) => `output  ${visible(name)}  ${visible(shapeText(shape))}`),
    '',
    ...(summary.architecture?.names.length === 0 ? tensorTable(summary, width) : inspectLayers(summary, width)),
    '',
    ...paragraph(counts.length > 0 ? counts.join(', ') : 'none', width, 'operators  '),
  ];
  for (const { op, node } of unsupported) {
    lines.push(...paragraph(`${visible(op)}, first used by ${visible(node)}`, width, 'cannot be analysed  '));
  }
  return `${lines.join('\n')}\n`;
}

/** What there is to show of weights whose network is not known. */
function tensorTable({ tensors }: CheckpointSummary, width: number): string[] {
  return table(
    [
      left('tensor', tensors, ({ name }) => visible(name), { isName: true }),
      left('shape', tensors, ({ shape }) => shapeText(shape)),
      left('dtype', tensors, ({ dtype }) => visible(dtype)),
    ],
    width,
  );
}

function inspectLayers({ layers }: CheckpointSummary, width: number): string[] {
  if (layers.length === 0) return ['no layer with weights that could be pruned'];
  const damaged = layers.some(({ nonFinite }) => (nonFinite ?? 0) > 0);
  return table(
    [
      left('layer', layers, ({ name }) => visible(name), { isName: true }),
      left('op', layers, ({ op }) => op),
      left('shape', layers, ({ shape }) => shapeText(shape), { expendable: 1 }),
      left('dtype', layers, ({ dtype }) => dtype, { expendable: 2 }),
      right('weights', layers, ({ weights }) => grouped(weights)),
      right('zeros', layers, ({ zeros }) => (zeros === null ? '–' : grouped(zeros))),
      ...(damaged ? [right('not finite', layers, ({ nonFinite }) => grouped(nonFinite ?? 0))] : []),
    ],
    width,
  );
}

/**
 * Result of `analyze` for a terminal.
 *
 * @param width columns of the terminal; Infinity where nothing needs to fit
 */
export function resultText(result: AnalysisResult, width: number): string {
  const { accuracy, data, epsilon, limits, parameters } = result;
  const samples =
    data.samples === data.available
      ? `all ${grouped(data.samples)} samples`
      : `${grouped(data.samples)} of ${grouped(data.available)} samples`;
  const lines = [
    visible(result.checkpoint),
    ...paragraph(
      `${count(parameters.total, 'parameter')}, ${grouped(parameters.prunable)} of them prunable; ${samples} (${data.format}), ${data.classes} classes`,
      width,
    ),
    `loss ${significant(result.loss, 4)} nats, ${grouped(accuracy.correct)} of ${grouped(accuracy.total)} correct (${percent(accuracy.correct / accuracy.total, 2)})`,
    ...paragraph(`tolerance ε ${significant(epsilon.value)} nats: ${epsilon.rule}`, width),
  ];
  if (limits[0] !== undefined) {
    lines.push('', headline(limits[0]), ...paragraph(BRACKET, width));
    lines.push('', ...limitTable(limits, width), ...paragraph(boundsNote(limits[0]), width));
    for (const { operator, method } of limits) lines.push(...paragraph(`${OPERATORS[operator]}: ${method}.`, width));
    lines.push('', ...layerCaption(limits[0], width), ...layerTable(result, width));
    if (result.path.length > 0) lines.push('', ...pathTable(result, width));
  }
  if (result.layerLimits.length > 0) lines.push('', ...ownLimitTable(result, width));
  const { sampleSizes = [] } = result;
  if (sampleSizes.length > 0) lines.push('', ...sampleSizeTable(sampleSizes, width));
  if (result.measured.some(({ oneShot }) => oneShot.length > 0)) lines.push('', ...oneShotTable(result, width));
  if (result.warnings.length > 0) lines.push('');
  for (const { message } of result.warnings) lines.push(...paragraph(visible(message), width, 'warning: '));
  lines.push('', ...paragraph(footer(result), width));
  return `${lines.join('\n')}\n`;
}

const BRACKET = 'The bracket is a 95 % interval: what more Lanczos steps or random probes could still move.';

function boundsNote({ eta }: LimitResult): string {
  return `Bounds on keep: a random subspace of fewer dimensions misses the tolerance and one of more meets it, each with a probability of ${percent(1 - eta, 0)}; a network is no random subspace.`;
}

const OPERATORS = { hessian: 'Hessian, |λ|', ggn: 'Gauss–Newton' } as const;

function limitTable(limits: readonly LimitResult[], width: number): string[] {
  return table(
    [
      left('limit', limits, ({ operator }) => OPERATORS[operator]),
      right('sparsity', limits, limitText),
      right('keep', limits, ({ interval: [low, high] }) => percentRange([1 - high, 1 - low]), { expendable: 0 }),
      right('bounds on keep', limits, ({ lower, upper }) => percentRange([lower, upper])),
      right('trace bound', limits, ({ traceBound }) => percent(traceBound), { expendable: 2 }),
      right('sharp', limits, ({ sharp }) => percent(sharp), { expendable: 3 }),
      right('trace', limits, ({ curvature: { trace, traceStandardError } }) => withError(trace, traceStandardError), {
        expendable: 4,
      }),
      right('λmax', limits, ({ curvature }) => significant(curvature.lambdaMax), { expendable: 5 }),
      right('steps', limits, ({ curvature }) => (curvature.exact ? 'all' : String(curvature.steps)), { expendable: 1 }),
      right('probes', limits, ({ curvature }) => (curvature.exact ? 'none' : String(curvature.probes)), {
        expendable: 6,
      }),
    ],
    width,
  );
}

function layerCaption(limit: LimitResult, width: number): string[] {
  const where = limit.resolved ? 'at the limit' : 'in the middle of what is still open';
  return paragraph(
    `Layers ${where}, ${percent(limit.sparsity)} of all weights pruned, the smallest first whatever their layer:`,
    width,
  );
}

function layerTable({ layers }: AnalysisResult, width: number): string[] {
  return table(
    [
      left('layer', layers, ({ name }) => visible(name), { isName: true }),
      left('op', layers, ({ op }) => op, { expendable: 2 }),
      left('shape', layers, ({ shape }) => shapeText(shape), { expendable: 4 }),
      right('weights', layers, ({ weights }) => grouped(weights)),
      right('sparsity', layers, ({ sparsityAtLimit }) => percent(sparsityAtLimit)),
      right('kept', layers, ({ keptAtLimit }) => grouped(keptAtLimit)),
      right('trace', layers, ({ trace, traceStandardError }) => withError(trace, traceStandardError), {
        expendable: 3,
      }),
      right('curvature', layers, ({ curvatureShare }) => shareText(curvatureShare), { expendable: 1 }),
    ],
    width,
  );
}

/** Every layer pruned alone. */
function ownLimitTable({ layers, layerLimits }: AnalysisResult, width: number): string[] {
  const rows = layers.slice(0, Math.max(...layerLimits.map((limits) => limits.layers.length)));
  const coupled = layerLimits.flatMap(({ operator, coupling }) =>
    coupling === null ? [] : `${percentWithError(coupling)} of ${OPERATORS[operator]}`,
  );
  return [
    ...paragraph('Layers by themselves, every one pruned alone within the same tolerance:', width),
    ...table(
      [
        left('layer', rows, ({ name }) => visible(name), { isName: true }),
        right('weights', rows, ({ weights }) => grouped(weights), { expendable: 0 }),
        ...layerLimits.map(({ operator, layers: own }) =>
          right(OPERATORS[operator], rows, ({ name }) => ownLimitText(own.find((limit) => limit.name === name))),
        ),
      ],
      width,
    ),
    ...(coupled.length === 0
      ? []
      : paragraph(
          `Between the layers lie ${coupled.join(' and ')}, by the squared Frobenius norm: the more, the less layers by themselves say about all of them together.`,
          width,
        )),
  ];
}

/** The limit on fewer samples. */
function sampleSizeTable(found: readonly SampleSizes[], width: number): string[] {
  const rows = found[0]?.sizes ?? [];
  return [
    ...paragraph('The limit with fewer samples, at the same tolerance:', width),
    ...table(
      [
        right('samples', rows, ({ samples }) => grouped(samples)),
        right('parts', rows, ({ parts }) => String(parts), { expendable: 0 }),
        ...found.map(({ operator, sizes }) =>
          right(OPERATORS[operator], rows, ({ samples }) => {
            const size = sizes.find((one) => one.samples === samples);
            return size === undefined ? '–' : oneShotText(size);
          }),
        ),
      ],
      width,
    ),
    ...paragraph('The means over the parts; the range is a 95 % interval, over which samples were drawn too.', width),
    ...found.flatMap((sizes) => paragraph(`${OPERATORS[sizes.operator]}: ${sampleSizesText(sizes)}`, width)),
  ];
}

function ownLimitText(limit: OwnLimit | undefined): string {
  return limit === undefined ? '–' : limitText(limit);
}

function percentWithError({ share, standardError }: NonNullable<LayerLimits['coupling']>): string {
  return `${withError(100 * share, 100 * standardError)} %`;
}

/** Shares come from few random probes: whole percents are what they are good for. */
function shareText(share: number | null): string {
  return share !== null && share > 0 && share < 0.005 ? '<1 %' : percent(share, 0);
}

function pathTable({ path, loss, validity, options }: AnalysisResult, width: number): string[] {
  const agreement =
    options.l1 > 0
      ? 'With the penalty μ‖w‖₁ in both, which this table leaves out, measured and predicted ΔL agree'
      : 'Measured and predicted ΔL agree';
  const edge =
    validity.edge === null
      ? []
      : paragraph(`${agreement} within a factor of 2 up to ${percent(validity.edge)}: the edge of validity.`, width);
  return [
    ...table(
      [
        right('sparsity', path, ({ sparsity }) => percent(sparsity, depthDigits(sparsity))),
        right('distance', path, ({ R }) => significant(R), { expendable: 1 }),
        right('measured ΔL', path, (point) => significant(point.loss - loss)),
        right('predicted ΔL', path, (point) => significant(predictedRise(point))),
        right('accuracy', path, ({ accuracy }) => percent(accuracy, 2)),
      ],
      width,
    ),
    ...edge,
  ];
}

function oneShotTable({ measured }: AnalysisResult, width: number): string[] {
  const rows = measured.flatMap(({ split, samples, points, oneShot }) =>
    oneShot.map((limit) => ({ limit, data: `${grouped(samples)} ${split}`, points: points.length })),
  );
  return [
    ...paragraph('Pruned at once and measured, the largest sparsity that keeps:', width),
    ...table(
      [
        left('criterion', rows, ({ limit }) => criterionText(limit)),
        left('samples', rows, ({ data }) => data, { expendable: 0 }),
        right('sparsity', rows, ({ limit }) => oneShotText(limit)),
      ],
      width,
    ),
    ...paragraph(
      'The range is a 95 % interval: what other samples, as many, and a finer grid could still move.',
      width,
    ),
  ];
}

/** Digits that tell 99.99 % from 99.999 %: what matters there is what is kept. */
function depthDigits(sparsity: number): number {
  return sparsity < 1 ? Math.min(5, Math.max(2, Math.ceil(-Math.log10(1 - sparsity) - 1e-6) - 1)) : 2;
}

function footer({ time, engine }: AnalysisResult): string {
  const products =
    time.products > 0 ? `, ${count(time.products, 'product')} of ${significant(time.perProduct, 2)} s` : '';
  const why = engine.reason === '' ? '' : `: ${visible(engine.reason)}`;
  return `${duration(time.total)}${products}, ${engine.name} ${engine.version} (${engine.provider}${why})`;
}

function count(number: number, noun: string): string {
  return `${grouped(number)} ${noun}${number === 1 ? '' : 's'}`;
}

type Extra = Pick<Column, 'isName' | 'expendable'>;

function left<T>(title: string, rows: readonly T[], cell: (row: T) => string, extra: Extra = {}): Column {
  return { title, cells: rows.map(cell), align: 'left', ...extra };
}

function right<T>(title: string, rows: readonly T[], cell: (row: T) => string, extra: Extra = {}): Column {
  return { title, cells: rows.map(cell), align: 'right', ...extra };
}
