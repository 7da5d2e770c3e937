import { t } from '@vscode/l10n';
import * as Plot from '@observablehq/plot';
import type { MeasuredSplit, OneShotLimit, PartialResult } from '../../../protocol/analysis';
import { color } from './figure';

/** The measured curves over the predicted one: a line per split, its 95 % band, and where it crosses. */

export const splitColor = { test: color.measured, train: color.text } as const;
export const splitName = { test: t('test data'), train: t('training data') } as const;

export interface SplitPoint {
  readonly sparsity: number;
  readonly y: number;
  readonly low: number;
  readonly high: number;
}

/** 95 %. */
const DEVIATIONS = 1.96;

/** Rise of the loss over that of the dense network. */
export function riseOf({ points }: MeasuredSplit): SplitPoint[] {
  return points.map(({ sparsity, loss, riseStandardError }) => {
    const y = loss - points[0]!.loss;
    return { sparsity, y, low: y - DEVIATIONS * riseStandardError, high: y + DEVIATIONS * riseStandardError };
  });
}

export function accuracyOf({ points, samples }: MeasuredSplit): SplitPoint[] {
  return points.map(({ sparsity, correct, accuracyInterval: [low, high] }) => ({
    sparsity,
    y: correct / samples,
    low,
    high,
  }));
}

/** @param bottom what a logarithmic axis has instead of 0 */
export function splitMarks(
  measured: readonly { readonly split: MeasuredSplit['split']; readonly points: readonly SplitPoint[] }[],
  bottom = -Infinity,
): Plot.Markish[] {
  return measured.flatMap(({ split, points }) => {
    const shown = points.filter(({ y }) => y > bottom);
    const stroke = splitColor[split];
    return [
      Plot.areaY(shown, {
        x: 'sparsity',
        y1: ({ low }: SplitPoint) => Math.max(low, bottom),
        y2: 'high',
        fill: stroke,
        fillOpacity: 0.16,
      }),
      Plot.lineY(shown, { x: 'sparsity', y: 'y', stroke, strokeWidth: 1.8 }),
    ];
  });
}

/** A one-shot limit at the height of what it allows. */
export interface PlacedLimit {
  readonly split: MeasuredSplit['split'];
  readonly limit: OneShotLimit;
  readonly y: number;
}

export function limitMarks(placed: readonly PlacedLimit[]): Plot.Markish[] {
  const stroke = ({ split }: PlacedLimit): string => splitColor[split];
  return [
    Plot.link(placed, {
      x1: ({ limit }: PlacedLimit) => limit.interval[0],
      x2: ({ limit }: PlacedLimit) => limit.interval[1],
      y1: 'y',
      y2: 'y',
      stroke,
      strokeOpacity: 0.55,
      strokeWidth: 4,
    }),
    Plot.dot(placed, {
      x: ({ limit }: PlacedLimit) => limit.sparsity,
      y: 'y',
      r: 4,
      fill: stroke,
      stroke: 'var(--pl-background)',
      strokeWidth: 1.5,
    }),
  ];
}

/** One-shot limits of a result by criterion, each with its split. */
export function oneShotLimits(
  { measured }: Pick<PartialResult, 'measured'>,
  criterion: OneShotLimit['criterion'],
): { readonly split: MeasuredSplit; readonly limit: OneShotLimit }[] {
  return measured.flatMap((split) =>
    split.oneShot.filter((limit) => limit.criterion === criterion).map((limit) => ({ split, limit })),
  );
}
