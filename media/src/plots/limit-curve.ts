import { t } from '@vscode/l10n';
import * as Plot from '@observablehq/plot';
import type { LimitResult } from '../../../protocol/analysis';
import { operatorName, percent, significant } from '../../../protocol/numbers';
import { table } from '../table';
import { radiusCurve, sparsityFrom, statisticalDimension } from './curves';
import { color, frame, operatorColor, operatorLegend, percentTick, type Figure } from './figure';

/** The equation that defines the limit, drawn: s against δ(R(s))/D. */
export const limitFigure: Figure = {
  name: 'limit',
  title: t('Limit'),
  caption: t(
    'The share of directions that may be given up, δ(R(s))/D, falls as more weights are pruned; the limit is where it meets the pruned share s. Dark band: 95 % interval. Light band: the phase transition, outside which pruning fails or works almost surely.',
  ),

  ready: (result) => result.limits.length > 0,

  draw(result, width) {
    const radius = radiusCurve(result.path, result.limits);
    const { limits } = result;
    const from = sparsityFrom(limits, 5);
    const count = 240;
    const to = radius?.last ?? 1;
    const sparsities = Array.from({ length: count + 1 }, (_, i) => from + ((to - from) * i) / count);
    const curves = radius
      ? limits.map((limit) => ({
          limit,
          points: sparsities.map((s) => ({
            s,
            y: statisticalDimension(limit.curvature, result.epsilon.value, radius.at(s)),
          })),
        }))
      : [];
    return Plot.plot({
      ...frame,
      width,
      height: 280,
      clip: true,
      ariaLabel: t('Statistical dimension of the sublevel set against sparsity'),
      x: {
        domain: [from, 1],
        tickFormat: percentTick,
        ticks: width / 80,
        label: t('sparsity s →'),
        labelAnchor: 'right',
      },
      y: { domain: [from, 1], tickFormat: percentTick, ticks: 6, tickSize: 0, label: '↑ δ(R(s))/D' },
      marks: [
        Plot.gridY({ stroke: color.grid, strokeOpacity: 1, ticks: 6 }),
        ...operatorLegend(limits),
        ...limits.flatMap((limit) => bands(limit, from)),
        Plot.line(
          [
            [from, from],
            [1, 1],
          ],
          { stroke: color.muted, strokeDasharray: '4 3' },
        ),
        ...curves.map(({ limit, points }) =>
          Plot.lineY(points, { x: 's', y: 'y', stroke: operatorColor(limit.operator), strokeWidth: 1.8 }),
        ),
        // Gauss quadrature draws the curve; where it meets the diagonal lies in the interval, not in its middle.
        Plot.link(limits, {
          x1: ({ interval }: LimitResult) => interval[0],
          y1: ({ interval }: LimitResult) => interval[0],
          x2: ({ interval }: LimitResult) => interval[1],
          y2: ({ interval }: LimitResult) => interval[1],
          stroke: ({ operator }: LimitResult) => operatorColor(operator),
          strokeWidth: 5,
          strokeLinecap: 'butt',
        }),
        Plot.dot(limits, {
          x: 'sparsity',
          y: 'sparsity',
          r: 4.5,
          fill: ({ operator }: LimitResult) => operatorColor(operator),
          stroke: 'var(--pl-background)',
          strokeWidth: 1.5,
          clip: false,
        }),
      ],
    });
  },

  table: (result) =>
    table<LimitResult>(
      [
        { label: 'operator', value: (row) => operatorName[row.operator] },
        { label: 'sparsity', value: (row) => row.sparsity, text: (value) => percent(value, 2) },
        { label: 'from', value: (row) => row.interval[0], text: (value) => percent(value, 2) },
        { label: 'to', value: (row) => row.interval[1], text: (value) => percent(value, 2) },
        { label: 'resolved', value: (row) => row.resolved },
        { label: 'kept, lower', value: (row) => row.lower, text: (value) => percent(value, 2) },
        { label: 'kept, upper', value: (row) => row.upper, text: (value) => percent(value, 2) },
        { label: 'trace bound', value: (row) => row.traceBound, text: (value) => percent(value, 2) },
        { label: 'optimistic end', value: (row) => row.sharp, text: (value) => percent(value, 2) },
        { label: 'R', value: (row) => row.R, text: (value) => significant(value) },
        { label: 'standard error', value: (row) => row.standardError, text: (value) => significant(value, 2) },
      ],
      result.limits,
    ),
};

function bands(limit: LimitResult, from: number): Plot.Markish[] {
  const fill = operatorColor(limit.operator);
  const band = (x1: number, x2: number, fillOpacity: number) =>
    Plot.rect([{}], { x1: Math.max(from, x1), x2: Math.min(1, x2), y1: from, y2: 1, fill, fillOpacity });
  const [low, high] = limit.interval;
  return [
    band(1 - limit.upper, 1 - limit.lower, 0.07),
    band(low, high, 0.28),
    // A closed bracket is thinner than a pixel; its middle stays visible.
    Plot.ruleX([limit.sparsity], { stroke: fill, strokeOpacity: 0.6 }),
  ];
}
