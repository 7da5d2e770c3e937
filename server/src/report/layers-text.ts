import { t } from '@vscode/l10n';
import type {
  AnalysisResult,
  AnalysisWarning,
  CheckpointSummary,
  LayerResult,
  TensorSummary,
} from '../../../protocol/analysis';
import { grouped, limitText, operatorName, percent, shapeText, significant } from '../../../protocol/numbers';
import { visible } from './layout';

/**
 * The layer summary: a header of comment lines, then one line per layer with
 * aligned columns. It is a document, so that the editor can search it, fold
 * it and hang hints and warnings on its lines; `layerLines` finds the lines of
 * any such text again.
 */
export interface LayersInput {
  readonly summary: CheckpointSummary;
  readonly result: AnalysisResult | null;
  /** When `result` was computed. */
  readonly computed: Date | null;
  /** The checkpoint's file is newer than the result. */
  readonly outdated: boolean;
}

/** Made when they are written: only then the language is known. */
const columns = (): string[] => [
  `# ${t('layer')}`,
  t('operator'),
  t('shape'),
  t('weights'),
  t('sparsity'),
  t('kept'),
  t('curvature'),
];
/** Columns of words; the others hold numbers and are aligned to the right. */
const LEFT = 3;
/** Of weights whose network is not known: all that can be said of them. */
const tensorColumns = (): string[] => [`# ${t('tensor')}`, t('type'), t('shape'), t('elements')];
/** A cell of which nothing is known. */
const NOTHING = '·';

export function layersText(input: LayersInput): string {
  const { summary, result } = input;
  const measured = new Map(result?.layers.map((layer) => [layer.name, layer]));
  const rows = summary.layers.map((layer) => {
    const at = measured.get(layer.name);
    return [
      nameCell(layer.name),
      layer.op,
      shapeText(layer.shape),
      grouped(layer.weights),
      known(at?.sparsityAtLimit, percent),
      known(at?.keptAtLimit, grouped),
      known(at?.curvatureShare, percent),
    ];
  });
  if (summary.architecture?.names.length === 0)
    return [...header(input), '', ...align([tensorColumns(), ...summary.tensors.map(tensorRow)]), ''].join('\n');
  const table = align([columns(), ...rows]);
  if (rows.length === 0)
    table.push(`# ${t('no prunable layers: only weights of Conv, ConvTranspose, Gemm and MatMul count')}`);
  return [...header(input), '', ...table, ''].join('\n');
}

function tensorRow({ name, dtype, shape }: TensorSummary): string[] {
  const elements = shape.reduce((product, size) => product * size, 1);
  return [nameCell(name), visible(dtype), shapeText(shape), grouped(elements)];
}

function known(value: number | null | undefined, text: (value: number) => string): string {
  return value === null || value === undefined ? NOTHING : text(value);
}

/** The document when the checkpoint cannot be read. */
export function failureText(checkpoint: string, message: string): string {
  return aligned([
    [t('checkpoint'), checkpoint],
    [t('error'), message],
  ])
    .map((line) => `${line}\n`)
    .join('');
}

function header({ summary, result, computed, outdated }: LayersInput): string[] {
  const { total, prunable } = summary.parameters;
  const made = [summary.format, summary.opset !== null && `opset ${summary.opset}`, summary.producer].filter(Boolean);
  const entries: [string, string][] = [
    [t('checkpoint'), `${summary.checkpoint} (${made.join(', ')})`],
    [t('weights'), t('{0} prunable of {1}', grouped(prunable), grouped(total))],
  ];
  // Of weights alone: what was taken for their network, or what to do where none fits.
  if (summary.architecture) entries.push([t('network'), visible(summary.architecture.reason)]);
  if (!result || !computed) {
    entries.push([t('limit'), t('not computed yet')]);
  } else {
    for (const limit of result.limits) {
      const text = limit.resolved ? t('{0} zeros', limitText(limit)) : t('unresolved: {0} zeros', limitText(limit));
      entries.push([limit === result.limits[0] ? t('limit') : '', `${text}, ${operatorName[limit.operator]}`]);
    }
    const { samples, available } = result.data;
    entries.push(
      [t('tolerance'), `ε = ${significant(result.epsilon.value)} (${result.epsilon.rule})`],
      [t('data'), `${t('{0} of {1} samples', grouped(samples), grouped(available))}, ${result.data.path}`],
      [t('computed'), stamp(computed) + (outdated ? `, ${t('the checkpoint has changed since: compute again')}` : '')],
    );
  }
  if (summary.unsupported.length > 0) {
    const uses = summary.unsupported.map(({ op, node }) => t('{0} (node {1})', op, node));
    entries.push([t('unsupported'), t('{0}: the limit cannot be computed', uses.join(', '))]);
  }
  return aligned(entries);
}

/** Comment lines with their keys in one column. */
function aligned(entries: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...entries.map(([key]) => key.length));
  return entries.map(([key, value]) => `# ${key.padEnd(width)}  ${value}`);
}

/** Local time to the minute: 2026-01-31 09:05. */
function stamp(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** A name stands for itself unless a reader of the line would cut it short; then it is quoted as in JSON. */
function nameCell(name: string): string {
  return name === '' || /[\s"#\p{Cc}]/u.test(name) ? JSON.stringify(name).replace(/[\u2028\u2029]/g, ' ') : name;
}

function align(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column < LEFT ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}

/** A line of the document that speaks of a layer. */
export interface LayerLine {
  readonly line: number;
  readonly layer: string;
  /** Columns of the name, from 0. */
  readonly nameEnd: number;
  /** Length of the line. */
  readonly end: number;
}

export function layerLines(text: string): LayerLine[] {
  const lines: LayerLine[] = [];
  for (const [line, content] of text.split('\n').entries()) {
    const cell = /^(?!#)("(?:[^"\\]|\\.)*"|\S+)/.exec(content)?.[1];
    if (cell === undefined) continue;
    const layer = cell.startsWith('"') ? (JSON.parse(cell) as string) : cell;
    lines.push({ line, layer, nameEnd: cell.length, end: content.trimEnd().length });
  }
  return lines;
}

/** A warning with the line it belongs to: its layer's, else the first of the document. */
export interface PlacedWarning {
  readonly line: number;
  readonly start: number;
  readonly end: number;
  readonly warning: AnalysisWarning;
}

export function placeWarnings(text: string, warnings: readonly AnalysisWarning[]): PlacedWarning[] {
  const byLayer = new Map(layerLines(text).map((line) => [line.layer, line]));
  // Of the first line only its key: a line underlined from end to end is hard to read.
  const first = /^#? ?\S*/.exec(text)![0].length;
  return warnings.map((warning) => {
    const line = warning.layer === undefined ? undefined : byLayer.get(warning.layer);
    return { line: line?.line ?? 0, start: 0, end: line?.nameEnd ?? first, warning };
  });
}

/**
 * What a hint at the end of a layer's line says; the columns hold the rest.
 * Null where no limit is known.
 *
 * @param kept weights that all layers keep
 */
export function layerHint({ keptAtLimit }: LayerResult, kept: number): string | null {
  if (keptAtLimit === null) return null;
  if (keptAtLimit === 0) return t('vanishes at the limit');
  return t('{0} of kept weights', percent(keptAtLimit / Math.max(1, kept)));
}

export function keptWeights(layers: Iterable<LayerResult>): number {
  let kept = 0;
  for (const { keptAtLimit } of layers) kept += keptAtLimit ?? 0;
  return kept;
}
