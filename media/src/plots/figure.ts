import * as Plot from '@observablehq/plot';
import type { CurvatureKind, LimitResult, PartialResult } from '../../../protocol/analysis';
import { operatorName } from '../../../protocol/numbers';
import type { Table } from '../table';

/** One plot with the table behind it. */
export interface Figure {
  /** Part of the name of exported files. */
  readonly name: string;
  readonly title: string;
  /** What can be read from it. */
  readonly caption: string;
  /** False while too little is known. */
  ready(result: PartialResult): boolean;
  draw(result: PartialResult, width: number): Element;
  table(result: PartialResult): Table;
}

/** Colours come from the page's style, so that a drawing follows the theme without being drawn again. */
export const color = {
  text: 'var(--pl-text)',
  muted: 'var(--pl-muted)',
  grid: 'var(--pl-grid)',
  hessian: 'var(--pl-hessian)',
  ggn: 'var(--pl-ggn)',
  measured: 'var(--pl-measured)',
  predicted: 'var(--pl-predicted)',
  alarm: 'var(--pl-alarm)',
} as const;

/** The same colours for paper. */
export const printed: Readonly<Record<string, string>> = {
  '--pl-text': '#1f1f1f',
  '--pl-muted': '#666666',
  '--pl-grid': '#d0d0d0',
  '--pl-hessian': '#1a6fb5',
  '--pl-ggn': '#b35c00',
  '--pl-measured': '#2e7d32',
  '--pl-predicted': '#7b3fa0',
  '--pl-alarm': '#c62828',
};

export function operatorColor(operator: CurvatureKind): string {
  return color[operator];
}

/** What all plots share. */
export const frame = {
  marginTop: 26,
  marginRight: 26,
  marginBottom: 42,
  marginLeft: 54,
  style: { fontSize: '12px', background: 'none', color: color.text, overflow: 'visible' },
} as const;

/** What the colours mean, in the right corner above the frame, so that an exported drawing says it too. */
export function legend(entries: readonly { readonly text: string; readonly fill: string }[]): Plot.Markish[] {
  const character = 8;
  let right = 0;
  return [...entries].reverse().map(({ text, fill }) => {
    const mark = Plot.text([text], {
      frameAnchor: 'top-right',
      textAnchor: 'end',
      dx: -right,
      dy: -18,
      fill,
      fontWeight: 600,
      clip: false,
    });
    right += text.length * character + 16;
    return mark;
  });
}

export function operatorLegend(limits: readonly LimitResult[]): Plot.Markish[] {
  return legend(limits.map(({ operator }) => ({ text: operatorName[operator], fill: operatorColor(operator) })));
}

/** Powers of ten inside a range, at most about `most`. */
export function decades(from: number, to: number, most: number): number[] {
  const [first, last] = [Math.ceil(Math.log10(from) - 1e-9), Math.floor(Math.log10(to) + 1e-9)];
  const stride = Math.max(1, Math.ceil((last - first + 1) / most));
  const ticks: number[] = [];
  for (let exponent = last; exponent >= first; exponent -= stride) ticks.unshift(Number(`1e${exponent}`));
  return ticks;
}

export function decadeTick(value: number): string {
  const exponent = Math.round(Math.log10(value));
  return exponent >= -3 && exponent <= 3 ? String(value) : `1e${exponent}`;
}

/** Ticks of an axis of fractions. */
export function percentTick(value: number): string {
  return `${Number((value * 100).toFixed(2))} %`;
}
