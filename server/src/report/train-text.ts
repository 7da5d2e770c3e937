import { grouped, percent, percentRange, significant } from '../../../protocol/numbers';
import type { TrainResult } from '../../../protocol/train';

/** What a training came to, for the terminal. */
export function trainText({ output, weights, epochs, finished, options, trials }: TrainResult): string {
  const last = epochs.at(-1);
  if (last === undefined) return `${output}\nstopped before the first epoch; --resume begins it again\n`;
  const lines = [
    output,
    `${grouped(weights)} prunable weights, ${epochs.length} of ${options.epochs} epochs, μ ${significant(options.l1)}${options.l1 > 0 ? ` (${options.l1Mode})` : ''}`,
    `training loss ${significant(last.loss, 4)} nats, near zero ${percent(last.nearZero)} of the prunable weights`,
  ];
  if (last.score !== null) {
    const { loss, correct, total } = last.score;
    lines.push(
      `${options.evaluation} loss ${significant(loss, 4)} nats, ${grouped(correct)} of ${grouped(total)} correct (${percent(correct / total, 2)})`,
    );
  }
  if (last.limit !== null) lines.push(`predicted limit ${percentRange(last.limit.interval)}`);
  if (trials !== null) lines.push(...trialTable(trials));
  if (!finished) lines.push('', 'Stopped on request. The same command with --resume goes on.');
  return `${lines.join('\n')}\n`;
}

function trialTable(trials: NonNullable<TrainResult['trials']>): string[] {
  const rows = [
    ['μ', 'dense', 'pruned', ''],
    ...trials.map(({ l1, dense, pruned, ok }) => [
      significant(l1),
      percent(dense.correct / dense.total, 2),
      percent(pruned.correct / pruned.total, 2),
      ok ? 'will do' : '',
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return [
    '',
    ...rows.map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    ),
  ];
}
