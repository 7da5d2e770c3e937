import { t } from '@vscode/l10n';
import * as Plot from '@observablehq/plot';
import type { LimitResult, PartialResult } from '../../../protocol/analysis';
import { operatorName, significant } from '../../../protocol/numbers';
import { table } from '../table';
import { resolvedUnit, signedLog, signedLogTicks, smoothedDensity } from './curves';
import { color, decades, decadeTick, frame, operatorColor, operatorLegend, type Figure } from './figure';

/** The spectrum of the loss curvature. */
export const densityFigure: Figure = {
  name: 'spectrum',
  title: t('Curvature spectrum'),
  caption: t(
    'Density of eigenvalues on a signed logarithmic axis. Directions flatter than the dashed scale c = 2ε/R² can be given up within the tolerance; steeper ones must be kept.',
  ),

  ready: (result) => withSpectrum(result).length > 0,

  draw(result, width) {
    const limits = withSpectrum(result);
    const largest = Math.max(...limits.flatMap(({ curvature }) => curvature.ritzValues.map(Math.abs)));
    const unit = resolvedUnit(largest);
    // One weight's worth of spectrum, spread over a decade, is the least that means anything.
    const floor = Math.max(1e-9, 0.1 / Math.max(1, result.parameters.prunable));
    const curves = limits.map((limit) => ({ limit, points: smoothedDensity(limit.curvature, unit) }));
    const xs = curves.flatMap(({ points }) => points.filter(({ density }) => density > floor).map(({ x }) => x));
    const [from, to] = [Math.min(...xs, 0), Math.max(...xs, 1)];
    const ticks = signedLogTicks(from, to, unit, width / 60);
    const labels = new Map(ticks.map(({ x, label }) => [x, label]));
    const scales = limits.flatMap(({ operator, R }) => {
      const x = signedLog((2 * result.epsilon.value) / (R * R), unit);
      return R > 0 && Number.isFinite(x) && x < to ? [{ operator, x }] : [];
    });
    const top = Math.max(1, ...curves.flatMap(({ points }) => points.map(({ density }) => density)));
    return Plot.plot({
      ...frame,
      width,
      height: 280,
      clip: true,
      ariaLabel: t('Density of the eigenvalues of the loss curvature'),
      x: {
        domain: [from, to],
        ticks: ticks.map(({ x }) => x),
        tickFormat: (x: number) => labels.get(x) ?? '',
        label: t('eigenvalue →'),
        labelAnchor: 'right',
      },
      y: {
        type: 'log',
        domain: [floor, top],
        ticks: decades(floor, top, 6),
        tickFormat: decadeTick,
        tickSize: 0,
        label: t('↑ density per decade'),
      },
      marks: [
        Plot.gridY(decades(floor, top, 6), { stroke: color.grid, strokeOpacity: 1 }),
        ...operatorLegend(limits),
        ...curves.flatMap(({ limit, points }) => {
          const above = points.map(({ x, density }) => ({ x, density: Math.max(floor, density) }));
          const stroke = operatorColor(limit.operator);
          return [
            Plot.areaY(above, { x: 'x', y1: floor, y2: 'density', fill: stroke, fillOpacity: 0.14 }),
            Plot.lineY(above, { x: 'x', y: 'density', stroke, strokeWidth: 1.5 }),
          ];
        }),
        Plot.ruleX(scales, { x: 'x', stroke: ({ operator }) => operatorColor(operator), strokeDasharray: '4 3' }),
        Plot.text(apart(scales, (to - from) * (14 / width)), {
          x: 'x',
          frameAnchor: 'top',
          dx: 7,
          dy: 8,
          text: () => 'c',
          clip: false,
          fill: ({ operator }: { operator: 'hessian' | 'ggn' }) => operatorColor(operator),
          fontStyle: 'italic',
        }),
        Plot.ruleX([0], { stroke: color.muted, strokeOpacity: 0.6 }),
      ],
    });
  },

  table: (result) =>
    table(
      [
        { label: 'operator', value: (row) => operatorName[row.operator] },
        { label: 'Ritz value', value: (row) => row.value, text: (value) => significant(value, 4) },
        { label: 'weight', value: (row) => row.weight, text: (value) => significant(value, 4) },
      ],
      result.limits.flatMap(({ operator, curvature }) =>
        curvature.ritzValues.map((value, i) => ({ operator, value, weight: curvature.weights[i] ?? null })),
      ),
    ),
};

function withSpectrum({ limits }: PartialResult): LimitResult[] {
  return limits.filter(({ curvature }) => curvature.ritzValues.length > 0);
}

/** Those whose labels would not run into the one before. */
function apart<T extends { readonly x: number }>(marks: readonly T[], distance: number): T[] {
  return [...marks].sort((a, b) => a.x - b.x).filter(({ x }, i, all) => i === 0 || x - all[i - 1]!.x > distance);
}
