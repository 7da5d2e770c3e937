import { t } from '@vscode/l10n';
import * as Plot from '@observablehq/plot';
import type { LayerLimits, LayerResult } from '../../../protocol/analysis';
import { grouped, percent, shapeText, significant } from '../../../protocol/numbers';
import { table, type Column } from '../table';
import { shortened } from './curves';
import { color, frame, type Figure } from './figure';
import { layerRows } from './layer-groups';

const KEPT = t('kept at the limit');
const CURVATURE = t('share of the curvature');

/** Written out, since a table's labels are translated where they are shown. */
const ALONE = {
  hessian: [{ label: 'alone, Hessian, from' }, { label: 'alone, Hessian, to' }],
  ggn: [{ label: 'alone, Gauss–Newton, from' }, { label: 'alone, Gauss–Newton, to' }],
} as const;

/** How far every layer could be pruned alone, where that was asked. */
function ownColumns({ operator, layers }: LayerLimits): Column<LayerResult>[] {
  const of = (row: LayerResult) => layers.find(({ name }) => name === row.name);
  return ALONE[operator].map(({ label }, end) => ({
    label,
    value: (row) => of(row)?.interval[end] ?? null,
    text: (value) => percent(value, 2),
  }));
}

/** Where the weights that stay are, and where the curvature is. */
export const layersFigure: Figure = {
  name: 'layers',
  title: t('Layers'),
  caption: t(
    'Share of every layer that is kept at the limit, beside its share of the curvature. A layer that keeps nothing cuts the network. Where there are more than can be read, neighbours share a row; the data have every layer.',
  ),

  ready: (result) => result.layers.length > 0 && result.limits.length > 0,

  draw(result, width) {
    const rows = layerRows(result.layers);
    const grouped = rows.length < result.layers.length;
    const narrow = width < 560;
    // About seven pixels a character; names take at most a third of the width.
    const characters = Math.floor(width / (narrow ? 30 : 22));
    const longest = Math.max(...rows.map(({ label }) => Math.min(characters, label.length)));
    const bars = rows.flatMap((row, index) => [
      { index, facet: KEPT, value: row.kept, fill: color.hessian },
      { index, facet: CURVATURE, value: row.curvature, fill: color.predicted },
    ]);
    const vanishing = rows.flatMap(({ vanishing }, index) => (vanishing > 0 ? [{ index, facet: KEPT }] : []));
    const most = Math.max(...bars.map(({ value }) => value));
    return Plot.plot({
      ...frame,
      width,
      height: 64 + rows.length * 22,
      marginLeft: 16 + longest * 7,
      marginTop: 30,
      marginBottom: 10,
      marginRight: 52,
      ariaLabel: grouped
        ? t(
            'Share kept and share of the curvature, {0} layers in {1} groups of neighbours',
            result.layers.length,
            rows.length,
          )
        : t('Share kept and share of the curvature for every layer'),
      fx: { domain: [KEPT, CURVATURE], label: null, axis: 'top', padding: narrow ? 0.34 : 0.18 },
      x: { domain: [0, Math.max(most, 1e-9)], axis: null },
      y: {
        type: 'band',
        domain: rows.map((_, index) => index),
        label: null,
        tickSize: 0,
        padding: 0.3,
        tickFormat: (index: number) => shortened(rows[index]!.label, characters),
      },
      marks: [
        Plot.barX(bars, { fx: 'facet', x: 'value', y: 'index', fill: 'fill', fillOpacity: 0.85 }),
        Plot.ruleX([0], { stroke: color.muted }),
        Plot.text(
          bars.filter(({ facet, index }) => facet !== KEPT || rows[index]!.vanishing === 0),
          {
            fx: 'facet',
            x: 'value',
            y: 'index',
            text: ({ value }: { value: number }) => percent(value),
            textAnchor: 'start',
            dx: 5,
            fill: color.text,
          },
        ),
        Plot.text(vanishing, {
          fx: 'facet',
          x: ({ index }: { index: number }) => rows[index]!.kept,
          y: 'index',
          text: ({ index }: { index: number }) =>
            grouped ? t('{0}, {1} vanish', percent(rows[index]!.kept), rows[index]!.vanishing) : t('vanishes'),
          textAnchor: 'start',
          dx: 5,
          fill: color.alarm,
          fontWeight: 'bold',
        }),
      ],
    });
  },

  table: (result) =>
    table<LayerResult>(
      [
        { label: 'layer', value: (row) => row.name },
        { label: 'operator', value: (row) => row.op },
        { label: 'shape', value: (row) => shapeText(row.shape) },
        { label: 'weights', value: (row) => row.weights, text: grouped },
        { label: 'zero already', value: (row) => row.zeros, text: grouped },
        { label: 'kept', value: (row) => row.keptAtLimit, text: grouped },
        { label: 'sparsity', value: (row) => row.sparsityAtLimit, text: (value) => percent(value) },
        { label: 'trace', value: (row) => row.trace, text: (value) => significant(value) },
        { label: 'standard error', value: (row) => row.traceStandardError, text: (value) => significant(value, 2) },
        { label: 'curvature', value: (row) => row.curvatureShare, text: (value) => percent(value) },
        ...result.layerLimits.flatMap(ownColumns),
      ],
      result.layers,
    ),
};
