import { duration, grouped, significant } from '../protocol/numbers';
import { CLAIMS, EXPERIMENTS } from './experiments';
import type { GradualRow } from './gradual';
import type { LimitCell, MeasuredCell, Row } from './row';

/** Tables in Markdown from the rows that were run; seeds of one experiment share a line. */

export interface Group {
  readonly name: string;
  readonly preset: string;
  readonly rows: readonly Row[];
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
const points = (fraction: number, digits = 1): string => (100 * fraction).toFixed(digits);

/** Mean over the seeds, and from the smallest to the largest. */
function spread(values: readonly number[], text: (x: number) => string): string {
  const [low, high] = [text(Math.min(...values)), text(Math.max(...values))];
  return low === high ? text(mean(values)) : `${text(mean(values))} (${low}–${high})`;
}

export function groupsOf(rows: readonly Row[]): Group[] {
  const names = Object.keys(EXPERIMENTS);
  const keys = [...new Set(rows.map(({ name, preset }) => `${name} ${preset}`))];
  return keys
    .map((key) => {
      const [name, preset] = key.split(' ') as [string, string];
      const own = rows.filter((row) => row.name === name && row.preset === preset);
      return { name, preset, rows: own.sort((a, b) => a.seed - b.seed) };
    })
    .sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name) || a.preset.localeCompare(b.preset));
}

export function markdown(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), `|${head.map((_, i) => (i === 0 ? '---' : '---:')).join('|')}|`, ...body.map(line)].join('\n');
}

/** Mean of the middles, and the hull of the 95 % intervals; only the hull where one seed is open. */
function limit(cells: readonly LimitCell[]): string {
  const low = points(Math.min(...cells.map(({ interval }) => interval[0])));
  const high = points(Math.max(...cells.map(({ interval }) => interval[1])));
  return cells.every(({ resolved }) => resolved)
    ? `${points(mean(cells.map(({ sparsity }) => sparsity)))} (${low}–${high})`
    : `open: ${low}–${high}`;
}

const measured = (cells: readonly MeasuredCell[]): string =>
  spread(
    cells.map(({ sparsity }) => sparsity),
    points,
  );

const label = ({ name, preset }: Group): string => (preset === 'small' ? name : `${name}, ${preset}`);

/** In percent: what pruning does, then what theory says. */
export function limitTable(groups: readonly Group[]): string {
  return markdown(
    [
      'experiment',
      'seeds',
      'accuracy not below',
      'within 0.1',
      'within 0.5',
      'within 1 point',
      'loss within ε',
      'retrained',
      'Hessian',
      'Gauss–Newton',
      'sharp',
      'trace bound',
      'edge of validity',
    ],
    groups.map((group) => {
      const { rows } = group;
      const accuracy = (i: 0 | 1 | 2 | 3): string => measured(rows.map(({ oneShot }) => oneShot.accuracy[i]));
      return [
        label(group),
        rows.map(({ seed }) => seed).join(', '),
        ...([0, 1, 2, 3] as const).map(accuracy),
        measured(rows.map(({ oneShot }) => oneShot.trainLoss)),
        measured(rows.map(({ retrained }) => retrained)),
        limit(rows.map(({ hessian }) => hessian)),
        limit(rows.map(({ ggn }) => ggn)),
        spread(
          rows.map(({ hessian }) => hessian.sharp),
          points,
        ),
        spread(
          rows.map(({ hessian }) => hessian.traceBound),
          points,
        ),
        rows.some(({ edge }) => edge === null)
          ? '–'
          : spread(
              rows.map(({ edge }) => edge!),
              points,
            ),
      ];
    }),
  );
}

/** Hessian limit minus what was measured, in points of sparsity. */
const difference = (rows: readonly Row[], of: (row: Row) => number): string =>
  spread(
    rows.map((row) => row.hessian.sparsity - of(row)),
    (x) => (x < 0 ? points(x).replace('-', '−') : `+${points(x)}`),
  );

export function networkTable(groups: readonly Group[]): string {
  return markdown(
    [
      'experiment',
      'weights',
      'μ',
      'samples',
      'of them for the curvature',
      'test accuracy, %',
      'training loss',
      'ε',
      'λ_max',
      'trace',
      'Lanczos steps',
      'predicted − actual (accuracy not below)',
      'predicted − retrained',
      'time',
    ],
    groups.map((group) => {
      const { rows } = group;
      const numbers = (of: (row: Row) => number): string => spread(rows.map(of), (x) => significant(x));
      const [first] = rows;
      return [
        label(group),
        grouped(first!.weights),
        significant(first!.l1),
        grouped(first!.trainSamples),
        grouped(first!.samples),
        spread(
          rows.map(({ dense }) => dense.test.correct / dense.test.total),
          (x) => points(x, 2),
        ),
        numbers(({ dense }) => dense.loss),
        numbers(({ epsilon }) => epsilon),
        numbers(({ hessian }) => hessian.lambdaMax),
        numbers(({ hessian }) => hessian.trace[0]),
        spread(
          rows.map(({ hessian }) => hessian.steps),
          String,
        ).replace(/^[\d.]+ \((.*)\)$/, '$1'),
        difference(rows, ({ oneShot }) => oneShot.accuracy[0].sparsity),
        difference(rows, ({ retrained }) => retrained.sparsity),
        duration(mean(rows.map(({ seconds }) => seconds[0] + seconds[1] + seconds[2]))),
      ];
    }),
  );
}

/** A claim's experiments beside each other. */
export function claimTable(claim: string, groups: readonly Group[]): string {
  const names = CLAIMS[claim]!.experiments;
  const own = names.flatMap((name) => groups.filter((group) => group.name === name));
  return markdown(
    [
      'experiment',
      'seeds',
      '‖w*‖₂',
      '‖w*‖₁',
      'λ_max',
      'trace',
      'ε',
      'test accuracy, %',
      'Hessian',
      'Gauss–Newton',
      'retrained',
      'within 1 point',
      'loss within ε',
    ],
    own.map((group) => {
      const { rows } = group;
      const numbers = (of: (row: Row) => number): string => spread(rows.map(of), (x) => significant(x));
      return [
        EXPERIMENTS[group.name]!.about.replace(/^.*digits(, )?/, '') || 'μ = 1e-4, batch 128',
        rows.map(({ seed }) => seed).join(', '),
        numbers(({ dense }) => dense.norms[0]),
        numbers(({ dense }) => dense.norms[1]),
        numbers(({ hessian }) => hessian.lambdaMax),
        numbers(({ hessian }) => hessian.trace[0]),
        numbers(({ epsilon }) => epsilon),
        spread(
          rows.map(({ dense }) => dense.test.correct / dense.test.total),
          (x) => points(x, 2),
        ),
        limit(rows.map(({ hessian }) => hessian)),
        limit(rows.map(({ ggn }) => ggn)),
        measured(rows.map(({ retrained }) => retrained)),
        measured(rows.map(({ oneShot }) => oneShot.accuracy[3])),
        measured(rows.map(({ oneShot }) => oneShot.trainLoss)),
      ];
    }),
  );
}

/** Does a limit foretell what retraining reaches? Distances in points of sparsity, and of the logarithm of what is kept. */
export function sharpTable(groups: readonly Group[]): string {
  const ratio = (rows: readonly Row[], of: (row: Row) => number): string =>
    spread(
      rows.map((row) => (1 - of(row)) / (1 - row.retrained.sparsity)),
      (x) => `${significant(x, 2)} ×`,
    );
  return markdown(
    [
      'experiment',
      'kept by retraining, %',
      'Hessian keeps',
      'Gauss–Newton keeps',
      'sharp (Hessian) keeps',
      'sharp (Gauss–Newton) keeps',
    ],
    groups.map((group) => {
      const { rows } = group;
      return [
        label(group),
        spread(
          rows.map(({ retrained }) => 1 - retrained.sparsity),
          (x) => points(x, 2),
        ),
        ratio(rows, ({ hessian }) => hessian.sparsity),
        ratio(rows, ({ ggn }) => ggn.sparsity),
        ratio(rows, ({ hessian }) => hessian.sharp),
        ratio(rows, ({ ggn }) => ggn.sharp),
      ];
    }),
  );
}

export function gradualTable(rows: readonly GradualRow[]): string {
  const keys = [...new Set(rows.map(({ name, sparsity }) => `${name} ${sparsity}`))].sort();
  return markdown(
    [
      'experiment',
      'sparsity, %',
      'seeds',
      'loss, at once',
      'loss, gradually',
      'test accuracy at once, %',
      'gradually, %',
      'dense, %',
    ],
    keys.map((key) => {
      const own = rows.filter((row) => `${row.name} ${row.sparsity}` === key).sort((a, b) => a.seed - b.seed);
      const loss = (of: (row: GradualRow) => number): string => spread(own.map(of), (x) => significant(x));
      const right = (of: (row: GradualRow) => { correct: number; total: number }): string =>
        spread(
          own.map((row) => of(row).correct / of(row).total),
          (x) => points(x, 2),
        );
      return [
        own[0]!.name,
        points(own[0]!.sparsity),
        own.map(({ seed }) => seed).join(', '),
        loss(({ atOnce }) => atOnce.loss),
        loss(({ gradually }) => gradually.loss),
        right(({ atOnce }) => atOnce.test),
        right(({ gradually }) => gradually.test),
        right(({ dense }) => dense),
      ];
    }),
  );
}

/** What can be run and was not, so that nobody takes the table for more than it is. */
export function missing(rows: readonly Row[]): string {
  const lines = Object.entries(EXPERIMENTS).flatMap(([name, { about, presets }]) =>
    Object.keys(presets)
      .filter((preset) => !rows.some((row) => row.name === name && row.preset === preset))
      .map((preset) => `| \`npm run reproduce -- ${name}${preset === 'full' ? ' --preset full' : ''}\` | ${about} |`),
  );
  return ['| not run here | |', '|---|---|', ...lines].join('\n');
}

/** The commands of one row of each experiment, from which those of other seeds follow. */
export function commandList(groups: readonly Group[]): string {
  return groups.map(({ rows }) => rows[0]!.commands.map((command) => `    ${command}`).join('\n')).join('\n\n');
}
