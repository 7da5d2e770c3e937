import { t } from '@vscode/l10n';
import * as Plot from '@observablehq/plot';
import type { CurvatureKind, LimitResult } from '../../../protocol/analysis';
import { operatorName } from '../../../protocol/numbers';
import { color, frame, legend, operatorColor, percentTick } from './figure';

/** The bracket of a limit after so many Lanczos steps. */
export interface Progress {
  readonly operator: CurvatureKind;
  readonly steps: number;
  readonly low: number;
  readonly high: number;
}

/** Adds what a partial result says; a step that is told again replaces what was said. */
export function follow(history: readonly Progress[], limits: readonly LimitResult[]): Progress[] {
  const next = [...history];
  for (const { operator, curvature, interval } of limits) {
    // The whole matrix takes no Lanczos steps.
    if (curvature.exact) continue;
    const entry: Progress = { operator, steps: curvature.steps, low: interval[0], high: interval[1] };
    const last = next.findLastIndex((one) => one.operator === operator);
    if (last >= 0 && next[last]!.steps === entry.steps) next[last] = entry;
    else next.push(entry);
  }
  return next;
}

/** How the answer sharpens while the analysis runs. */
export function drawConvergence(history: readonly Progress[], width: number): Element | null {
  if (history.length < 2) return null;
  const operators = [...new Set(history.map(({ operator }) => operator))];
  const [first, last] = [Math.min, Math.max].map((of) => of(...history.map(({ steps }) => steps))) as [number, number];
  const stride = Math.max(1, Math.ceil((last - first) / (width / 80)));
  const ticks = Array.from({ length: Math.floor((last - first) / stride) + 1 }, (_, i) => first + i * stride);
  const low = Math.min(...history.map(({ low }) => low));
  return Plot.plot({
    ...frame,
    width,
    height: 200,
    ariaLabel: t('Interval of the limit against Lanczos steps'),
    x: { label: t('Lanczos steps →'), labelAnchor: 'right', ticks, tickFormat: 'd' },
    y: {
      domain: [Math.max(0, Math.floor(low * 10) / 10), 1],
      tickFormat: percentTick,
      ticks: 5,
      tickSize: 0,
      label: t('↑ limit, 95 % interval'),
    },
    marks: [
      Plot.gridY({ stroke: color.grid, strokeOpacity: 1, ticks: 5 }),
      ...legend(operators.map((operator) => ({ text: operatorName[operator], fill: operatorColor(operator) }))),
      ...operators.flatMap((operator) => {
        const points = history.filter((one) => one.operator === operator);
        const fill = operatorColor(operator);
        return [
          Plot.areaY(points, { x: 'steps', y1: 'low', y2: 'high', fill, fillOpacity: 0.25 }),
          Plot.lineY(points, { x: 'steps', y: 'low', stroke: fill }),
          Plot.lineY(points, { x: 'steps', y: 'high', stroke: fill }),
        ];
      }),
    ],
  });
}
