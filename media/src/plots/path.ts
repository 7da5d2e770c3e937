import { t } from '@vscode/l10n';
import * as Plot from '@observablehq/plot';
import { predictedRise, type PartialResult } from '../../../protocol/analysis';
import { percent, significant } from '../../../protocol/numbers';
import { table, type Column } from '../table';
import { color, decades, decadeTick, frame, legend, operatorColor, percentTick, type Figure } from './figure';
import { sparsityFrom } from './curves';
import { accuracyOf, limitMarks, oneShotLimits, riseOf, splitColor, splitMarks, splitName } from './measured';

/** A point of the path, or of a measured curve, which knows less. */
interface Row {
  readonly samples: string;
  readonly sparsity: number;
  readonly R: number | null;
  readonly loss: number;
  readonly increase: number;
  readonly error: number | null;
  readonly linear: number | null;
  readonly quadratic: number | null;
  readonly accuracy: number;
  readonly low: number | null;
  readonly high: number | null;
}

const columns: Column<Row>[] = [
  { label: 'samples', value: (row) => row.samples },
  { label: 'sparsity', value: (row) => row.sparsity, text: (value) => percent(value, 2) },
  { label: 'R', value: (row) => row.R, text: (value) => significant(value) },
  { label: 'loss', value: (row) => row.loss, text: (value) => significant(value, 4) },
  { label: 'measured ΔL', value: (row) => row.increase, text: (value) => significant(value) },
  { label: 'standard error', value: (row) => row.error, text: (value) => significant(value, 2) },
  { label: 'gᵀd', value: (row) => row.linear, text: (value) => significant(value) },
  { label: '½ dᵀHd', value: (row) => row.quadratic, text: (value) => significant(value) },
  { label: 'accuracy', value: (row) => row.accuracy, text: (value) => percent(value, 2) },
  { label: 'from', value: (row) => row.low, text: (value) => percent(value, 2) },
  { label: 'to', value: (row) => row.high, text: (value) => percent(value, 2) },
];

/** Of the data's loss: an L1 penalty is left out of both, as it is of the curves of other samples. */
const rise = (result: PartialResult) =>
  result.path.map((row) => ({
    ...row,
    increase: row.loss - result.loss,
    linear: row.linear - (row.penalty ?? 0),
    predicted: predictedRise(row),
  }));

function rows(result: PartialResult): Row[] {
  const path = rise(result).map((point) => ({ ...point, samples: 'analysis', error: null, low: null, high: null }));
  const measured = result.measured.flatMap(({ split, samples, points }) =>
    points.map((point) => ({
      samples: splitName[split],
      sparsity: point.sparsity,
      R: null,
      loss: point.loss,
      increase: point.loss - points[0]!.loss,
      error: point.riseStandardError,
      linear: null,
      quadratic: null,
      accuracy: point.correct / samples,
      low: point.accuracyInterval[0],
      high: point.accuracyInterval[1],
    })),
  );
  return [...path, ...measured];
}

const ready = ({ path, measured }: PartialResult): boolean =>
  path.length > 2 || measured.some(({ points }) => points.length > 2);

/** The axis and the limits that both plots of the path share. */
function shared(result: PartialResult, width: number) {
  // From where the loss begins to rise, or where the limits' own picture begins, measured limits included.
  const rising = rise(result).find(({ increase }) => increase > result.epsilon.value / 20)?.sparsity ?? 1;
  const crossing = result.measured.flatMap(({ oneShot }) => oneShot.map(({ sparsity }) => sparsity));
  const first = Math.max(0, Math.floor(Math.min(rising, ...crossing) * 20 - 1) / 20);
  const from = result.path.length > 2 ? Math.min(sparsityFrom(result.limits, 5), first) : 0;
  return {
    x: {
      domain: [from, 1],
      tickFormat: percentTick,
      ticks: width / 80,
      label: t('sparsity →'),
      labelAnchor: 'right' as const,
    },
    limits: Plot.ruleX(result.limits, {
      x: 'sparsity',
      stroke: ({ operator }: { operator: 'hessian' | 'ggn' }) => operatorColor(operator),
      strokeDasharray: '2 3',
    }),
    /** Points inside the frame, and the one before them, so that a line enters it. */
    visible: <T extends { sparsity: number }>(points: readonly T[]) =>
      points.filter((_, i) => (points[i + 1]?.sparsity ?? 1) >= from),
    inside: <T extends { sparsity: number }>(points: readonly T[]) => points.filter(({ sparsity }) => sparsity >= from),
  };
}

/** What the lines are; the path's own points go without one where whole curves are there. */
function legendEntries({ path, measured }: PartialResult, predicted: boolean) {
  return [
    ...measured.map(({ split }) => ({ text: splitName[split], fill: splitColor[split] as string })),
    ...(measured.length === 0 ? [{ text: t('measured'), fill: color.measured as string }] : []),
    ...(predicted && path.length > 0 ? [{ text: t('predicted'), fill: color.predicted as string }] : []),
  ];
}

/** Loss along the path from the dense to the pruned network, measured and as the quadratic model has it. */
export const lossFigure: Figure = {
  name: 'loss',
  title: t('Loss when pruned at once'),
  caption: t(
    'Rise of the loss without retraining. Where measured and predicted, with the penalty in both if it was trained with one, part by a factor of two, the quadratic model ends; a limit beyond that edge is an extrapolation. Bars at ε: up to where the measured loss stays within it, with the 95 % interval.',
  ),

  ready,

  draw(result, width) {
    const points = rise(result);
    const { x, limits, visible, inside } = shared(result, width);
    // A logarithm has no place for a loss that falls.
    const positive = <T extends { y: number }>(list: readonly T[]) =>
      list.filter(({ y }) => y > 0 && Number.isFinite(y));
    const along = (at: (point: (typeof points)[number]) => number) =>
      positive(visible(points).map((point) => ({ sparsity: point.sparsity, y: at(point) })));
    const own = along(({ increase }) => increase);
    const predicted = along(({ predicted }) => predicted);
    const curves = result.measured.map((split) => ({ split: split.split, points: positive(visible(riseOf(split))) }));
    const epsilon = result.epsilon.value;
    const heights = [...own, ...predicted, ...curves.flatMap((curve) => curve.points)].map(({ y }) => y);
    const [bottom, top] = [
      Math.max(Math.min(epsilon, ...heights), epsilon / 1000) / 1.5,
      Math.max(epsilon, ...heights) * 1.5,
    ];
    const { edge } = result.validity;
    const clipped = edge !== null && edge > x.domain[0]! && edge < 1 ? [{ sparsity: edge }] : [];
    return Plot.plot({
      ...frame,
      width,
      height: 280,
      clip: true,
      ariaLabel: t('Measured and predicted rise of the loss against sparsity'),
      x,
      y: {
        type: 'log',
        domain: [bottom, top],
        ticks: decades(bottom, top, 6),
        tickFormat: decadeTick,
        tickSize: 0,
        label: t('↑ ΔL, nats'),
      },
      marks: [
        Plot.gridY(decades(bottom, top, 6), { stroke: color.grid, strokeOpacity: 1 }),
        ...legend(legendEntries(result, true)),
        limits,
        Plot.ruleY([epsilon], { stroke: color.alarm, strokeDasharray: '4 3' }),
        Plot.text([epsilon], {
          y: (value: number) => value,
          frameAnchor: 'left',
          dx: 6,
          dy: -8,
          text: () => 'ε',
          fill: color.alarm,
          fontStyle: 'italic',
        }),
        Plot.ruleX(clipped, { x: 'sparsity', stroke: color.muted }),
        Plot.text(clipped, {
          x: 'sparsity',
          frameAnchor: 'top',
          textAnchor: 'end',
          dx: -5,
          dy: 8,
          text: () => t('edge of validity'),
          fill: color.muted,
        }),
        Plot.lineY(predicted, {
          x: 'sparsity',
          y: 'y',
          stroke: color.predicted,
          strokeWidth: 1.8,
          strokeDasharray: '5 3',
        }),
        ...splitMarks(curves, bottom),
        ...(curves.length === 0
          ? [Plot.lineY(own, { x: 'sparsity', y: 'y', stroke: color.measured, strokeWidth: 1.8 })]
          : []),
        Plot.dot(inside(own), { x: 'sparsity', y: 'y', fill: color.measured, r: 2.5 }),
        ...limitMarks(
          oneShotLimits(result, 'loss').map(({ split, limit }) => ({ split: split.split, limit, y: limit.tolerance })),
        ),
      ],
    });
  },

  table: (result) => table(columns, rows(result)),
};

/** Accuracy along the same path. */
export const accuracyFigure: Figure = {
  name: 'accuracy',
  title: t('Accuracy when pruned at once'),
  caption: t(
    'Share of correct predictions, without retraining. Dashed: the dense network. Bars: up to where the accuracy has fallen by no more than so much, with the 95 % interval.',
  ),

  ready,

  draw(result, width) {
    const { x, limits, visible, inside } = shared(result, width);
    const points = visible(result.path).filter(({ accuracy }) => Number.isFinite(accuracy));
    const dense = result.accuracy.correct / Math.max(1, result.accuracy.total);
    const curves = result.measured.map((split) => ({ split: split.split, points: visible(accuracyOf(split)) }));
    return Plot.plot({
      ...frame,
      width,
      height: 280,
      clip: true,
      ariaLabel: t('Measured accuracy against sparsity'),
      x,
      y: { domain: [0, 1], tickFormat: percentTick, ticks: 5, tickSize: 0, label: t('↑ accuracy') },
      marks: [
        Plot.gridY({ stroke: color.grid, strokeOpacity: 1, ticks: 5 }),
        ...(curves.length > 0 ? legend(legendEntries(result, false)) : []),
        limits,
        Plot.ruleY([dense], { stroke: color.muted, strokeDasharray: '4 3' }),
        ...splitMarks(curves),
        ...(curves.length === 0
          ? [Plot.lineY(points, { x: 'sparsity', y: 'accuracy', stroke: color.measured, strokeWidth: 1.8 })]
          : []),
        Plot.dot(inside(points), { x: 'sparsity', y: 'accuracy', fill: color.measured, r: 2.5, clip: false }),
        ...limitMarks(
          oneShotLimits(result, 'accuracy').map(({ split, limit }) => ({
            split: split.split,
            limit,
            y: split.points[0]!.correct / split.samples - limit.tolerance,
          })),
        ),
      ],
    });
  },

  table: (result) => table(columns, rows(result)),
};
