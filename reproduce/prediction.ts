import { significant } from '../protocol/numbers';
import type { Row } from './row';
import { markdown, type Group } from './table';

/** What might foretell the retrained limit, as sparsities. */
const PREDICTORS: readonly (readonly [name: string, sparsity: (row: Row) => number])[] = [
  ['Hessian', ({ hessian }) => hessian.sparsity],
  ['Gauss–Newton', ({ ggn }) => ggn.sparsity],
  ['sharp (Hessian)', ({ hessian }) => hessian.sharp],
  ['sharp (Gauss–Newton)', ({ ggn }) => ggn.sharp],
  ['trace bound (Hessian)', ({ hessian }) => hessian.traceBound],
  ['pruned at once, loss within ε', ({ oneShot }) => oneShot.trainLoss.sparsity],
  ['pruned at once, accuracy within 1 point', ({ oneShot }) => oneShot.accuracy[3].sparsity],
];

/** Ranks from 1; equal values share the mean of theirs. */
function ranks(values: readonly number[]): number[] {
  return values.map((value) => {
    const below = values.filter((other) => other < value).length;
    const equal = values.filter((other) => other === value).length;
    return below + (equal + 1) / 2;
  });
}

/** Spearman's: the correlation of the ranks. */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  const centred = (values: readonly number[]): number[] => ranks(values).map((rank) => rank - (values.length + 1) / 2);
  const [x, y] = [centred(a), centred(b)];
  const dot = (u: readonly number[], v: readonly number[]): number =>
    u.reduce((sum, value, i) => sum + value * v[i]!, 0);
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

/**
 * How what every predictor keeps compares with what retraining kept: as a ratio
 * over all rows, and as ranks over the experiments, whose seeds are averaged so
 * that they do not count as so many experiments.
 */
export function predictionTable(groups: readonly Group[]): string {
  const rows = groups.flatMap((group) => group.rows);
  const retrained = (row: Row): number => 1 - row.retrained.sparsity;
  return markdown(
    [
      'predictor',
      'keeps, as a multiple of what retraining kept: median',
      'smallest',
      'largest',
      `keeps at least as much, of ${rows.length} rows`,
      `rank correlation over ${groups.length} experiments`,
    ],
    PREDICTORS.map(([name, sparsity]) => {
      const ratios = rows.map((row) => (1 - sparsity(row)) / retrained(row));
      const ofGroups = (of: (row: Row) => number): number[] => groups.map((group) => mean(group.rows.map(of)));
      const correlation = rankCorrelation(
        ofGroups((row) => 1 - sparsity(row)),
        ofGroups(retrained),
      );
      return [
        name,
        ...[median(ratios), Math.min(...ratios), Math.max(...ratios)].map((x) => `${significant(x, 2)} ×`),
        `${ratios.filter((ratio) => ratio >= 1).length}`,
        correlation.toFixed(2),
      ];
    }),
  );
}
