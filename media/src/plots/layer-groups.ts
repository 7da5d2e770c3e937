import type { LayerResult } from '../../../protocol/analysis';

/** A row of the drawing: one layer, or neighbours that share it. */
export interface LayerRow {
  readonly label: string;
  /** Share of the weights that is kept at the limit. */
  readonly kept: number;
  readonly curvature: number;
  /** How many of its layers keep nothing. */
  readonly vanishing: number;
  readonly layers: number;
}

/** More rows than this cannot be read. */
export const MOST_ROWS = 60;

/** Layers in their order, as many neighbours to a row as it takes for all to be drawn. */
export function layerRows(layers: readonly LayerResult[], most = MOST_ROWS): LayerRow[] {
  const size = Math.ceil(layers.length / most);
  const rows: LayerRow[] = [];
  for (let start = 0; start < layers.length; start += size) {
    const group = layers.slice(start, start + size);
    const sum = (of: (layer: LayerResult) => number): number => group.reduce((total, layer) => total + of(layer), 0);
    const [first, last] = [group[0]!.name, group.at(-1)!.name];
    rows.push({
      label: group.length === 1 ? first : `${first} … ${last}`,
      kept:
        sum(({ keptAtLimit }) => keptAtLimit ?? 0) /
        Math.max(
          1,
          sum(({ weights }) => weights),
        ),
      curvature: sum(({ curvatureShare }) => curvatureShare ?? 0),
      vanishing: sum(({ keptAtLimit }) => (keptAtLimit === 0 ? 1 : 0)),
      layers: group.length,
    });
  }
  return rows;
}
