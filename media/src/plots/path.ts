import * as Plot from '@observablehq/plot';
import type { PartialResult, PathPoint } from '../../../protocol/analysis';
import { percent, significant } from '../../../protocol/numbers';
import { table, type Column } from '../table';
import { color, decades, decadeTick, frame, legend, operatorColor, percentTick, type Figure } from './figure';
import { sparsityFrom } from './curves';

const columns: Column<PathPoint & { readonly increase: number }>[] = [
  { label: 'sparsity', value: (row) => row.sparsity, text: (value) => percent(value, 2) },
  { label: 'R', value: (row) => row.R, text: (value) => significant(value) },
  { label: 'loss', value: (row) => row.loss, text: (value) => significant(value, 4) },
  { label: 'measured ΔL', value: (row) => row.increase, text: (value) => significant(value) },
  { label: 'gᵀd', value: (row) => row.linear, text: (value) => significant(value) },
  { label: '½ dᵀHd', value: (row) => row.quadratic, text: (value) => significant(value) },
  { label: 'accuracy', value: (row) => row.accuracy, text: (value) => percent(value, 2) },
];

const rows = (result: PartialResult) => result.path.map((row) => ({ ...row, increase: row.loss - result.loss }));

/** The axis and the limits that both plots of the path share. */
function shared(result: PartialResult, width: number) {
  // From where the loss begins to rise, or where the limits' own picture begins.
  const rising = result.path.find(({ loss }) => loss - result.loss > result.epsilon.value / 20)?.sparsity ?? 1;
  const from = Math.min(sparsityFrom(result.limits, 5), Math.max(0, Math.floor(rising * 20 - 1) / 20));
  return {
    x: {
      domain: [from, 1],
      tickFormat: percentTick,
      ticks: width / 80,
      label: 'sparsity →',
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

/** Loss along the path from the dense to the pruned network, measured and as the quadratic model has it. */
export const lossFigure: Figure = {
  name: 'loss',
  title: 'Loss when pruned at once',
  caption:
    'Rise of the loss without retraining. Where measured and predicted part by a factor of two, the quadratic model ends; a limit beyond that edge is an extrapolation.',

  ready: (result) => result.path.length > 2,

  draw(result, width) {
    const points = rows(result);
    const { x, limits, visible, inside } = shared(result, width);
    const series = [
      { name: 'measured', stroke: color.measured, at: ({ increase }: (typeof points)[number]) => increase },
      {
        name: 'predicted',
        stroke: color.predicted,
        at: ({ linear, quadratic }: (typeof points)[number]) => linear + quadratic,
      },
    ].map((one) => ({
      ...one,
      // A logarithm has no place for a loss that falls.
      points: visible(points)
        .map((point) => ({ sparsity: point.sparsity, y: one.at(point) }))
        .filter(({ y }) => y > 0 && Number.isFinite(y)),
    }));
    const epsilon = result.epsilon.value;
    const low = Math.min(epsilon, ...series.flatMap(({ points }) => points.map(({ y }) => y)));
    const high = Math.max(epsilon, ...series.flatMap(({ points }) => points.map(({ y }) => y)));
    const [bottom, top] = [Math.max(low, epsilon / 1000) / 1.5, high * 1.5];
    const { edge } = result.validity;
    const clipped = edge !== null && edge > x.domain[0]! && edge < 1 ? [{ sparsity: edge }] : [];
    return Plot.plot({
      ...frame,
      width,
      height: 280,
      clip: true,
      ariaLabel: 'Measured and predicted rise of the loss against sparsity',
      x,
      y: {
        type: 'log',
        domain: [bottom, top],
        ticks: decades(bottom, top, 6),
        tickFormat: decadeTick,
        tickSize: 0,
        label: '↑ ΔL, nats',
      },
      marks: [
        Plot.gridY(decades(bottom, top, 6), { stroke: color.grid, strokeOpacity: 1 }),
        ...legend(series.map(({ name, stroke }) => ({ text: name, fill: stroke }))),
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
          text: () => 'edge of validity',
          fill: color.muted,
        }),
        ...series.flatMap(({ name, stroke, points }) => [
          Plot.lineY(points, {
            x: 'sparsity',
            y: 'y',
            stroke,
            strokeWidth: 1.8,
            ...(name === 'predicted' && { strokeDasharray: '5 3' }),
          }),
          ...(name === 'measured' ? [Plot.dot(inside(points), { x: 'sparsity', y: 'y', fill: stroke, r: 2.5 })] : []),
        ]),
      ],
    });
  },

  table: (result) => table(columns, rows(result)),
};

/** Accuracy along the same path. */
export const accuracyFigure: Figure = {
  name: 'accuracy',
  title: 'Accuracy when pruned at once',
  caption: 'Share of correct predictions on the samples, without retraining. Dashed: the dense network.',

  ready: (result) => result.path.length > 2,

  draw(result, width) {
    const { x, limits, visible, inside } = shared(result, width);
    const points = visible(result.path).filter(({ accuracy }) => Number.isFinite(accuracy));
    const dense = result.accuracy.correct / Math.max(1, result.accuracy.total);
    return Plot.plot({
      ...frame,
      width,
      height: 280,
      clip: true,
      ariaLabel: 'Measured accuracy against sparsity',
      x,
      y: { domain: [0, 1], tickFormat: percentTick, ticks: 5, tickSize: 0, label: '↑ accuracy' },
      marks: [
        Plot.gridY({ stroke: color.grid, strokeOpacity: 1, ticks: 5 }),
        limits,
        Plot.ruleY([dense], { stroke: color.muted, strokeDasharray: '4 3' }),
        Plot.lineY(points, { x: 'sparsity', y: 'accuracy', stroke: color.measured, strokeWidth: 1.8 }),
        Plot.dot(inside(points), { x: 'sparsity', y: 'accuracy', fill: color.measured, r: 2.5, clip: false }),
      ],
    });
  },

  table: (result) => table(columns, rows(result)),
};
