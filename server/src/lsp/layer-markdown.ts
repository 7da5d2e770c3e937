import { t } from '@vscode/l10n';
import type { LayerResult, LayerSummary } from '../../../protocol/analysis';
import { grouped, percent, shapeText, significant } from '../../../protocol/numbers';

/** Everything that is known of a layer, as a table. */
export function layerMarkdown(layer: LayerSummary, measured: LayerResult | undefined): string {
  const rows: [string, string][] = [[t('weights'), `${grouped(layer.weights)} (${layer.dtype})`]];
  if (layer.zeros !== null) {
    rows.push([t('zero already'), `${grouped(layer.zeros)} (${percent(layer.zeros / layer.weights)})`]);
  }
  if (layer.nonFinite !== null && layer.nonFinite > 0) rows.push([t('NaN or infinite'), grouped(layer.nonFinite)]);
  if (layer.constant) rows.push([t('constant'), t('every weight has the same value')]);
  if (measured && measured.keptAtLimit !== null) {
    rows.push(
      [t('zero at the limit'), percent(measured.sparsityAtLimit)],
      [t('kept at the limit'), measured.keptAtLimit === 0 ? t('0: the layer vanishes') : grouped(measured.keptAtLimit)],
      [t('curvature (trace)'), `${significant(measured.trace)} ± ${significant(measured.traceStandardError, 2)}`],
      [t('share of the curvature'), percent(measured.curvatureShare)],
    );
  }
  const table = rows.map(([key, value]) => `| ${key} | ${value} |`).join('\n');
  return `${inlineCode(layer.name)} ${layer.op} ${shapeText(layer.shape)}\n\n| | |\n|:--|--:|\n${table}`;
}

/** A name from a file as inline code: nothing in it is read as markdown. */
export function inlineCode(name: string): string {
  const fence = '`'.repeat(Math.max(0, ...[...name.matchAll(/`+/g)].map(([run]) => run.length)) + 1);
  return `${fence} ${name.replace(/\s/g, ' ')} ${fence}`;
}
