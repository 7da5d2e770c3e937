import { grouped, percent, percentRange, significant } from '../../../protocol/numbers';
import type { RetrainResult, RetrainTrial } from '../../../protocol/retrain';
import type { Score } from '../../../protocol/train';
import { table, visible, type Column } from './layout';

/** The retrained limit, for the terminal. */
export function retrainText({
  checkpoint,
  output,
  weights,
  samples,
  dense,
  epsilon,
  trials,
  brackets,
  limit,
  options,
}: RetrainResult): string {
  const { epochs, evaluation } = options.training;
  const lines = [
    visible(checkpoint),
    `${grouped(weights)} prunable weights, ${grouped(samples)} training samples`,
    `loss ${significant(dense.loss, 4)} nats${dense.score === null ? '' : `, ${right(dense.score)} of the ${evaluation} samples correct`}`,
    `tolerance ε ${significant(epsilon.value)} nats: ${epsilon.rule}`,
    '',
  ];
  if (limit === null) lines.push('Stopped on request. The same command with --resume goes on.');
  else {
    lines.push(
      `Comes back to its loss from ${percent(limit.sparsity, 2)} (${percentRange(limit.interval)})`,
      `within ${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}, with ${brackets.length} ${brackets.length === 1 ? 'order' : 'orders'} of the samples; the interval has all their brackets.`,
    );
    if (brackets.every(({ score }) => score !== null)) {
      const scores = brackets.map(({ reached, score }) => `${percent(reached, 2)}: ${right(score!)}`);
      lines.push(`Of the ${evaluation} samples are correct at ${scores.join('; at ')}.`);
    }
    lines.push(`The sparsest is in ${visible(output)}.`);
  }
  if (trials.length > 0) lines.push('', ...trialTable(trials));
  return `${lines.join('\n')}\n`;
}

function right({ correct, total }: Score): string {
  return `${grouped(correct)} of ${grouped(total)} (${percent(correct / total, 2)})`;
}

function trialTable(trials: readonly RetrainTrial[]): string[] {
  const sorted = [...trials].sort((a, b) => a.seed - b.seed || a.sparsity - b.sparsity);
  const column = (title: string, cell: (trial: RetrainTrial) => string, align: 'left' | 'right' = 'right'): Column => ({
    title,
    cells: sorted.map(cell),
    align,
  });
  return table(
    [
      column('seed', ({ seed }) => String(seed)),
      column('sparsity', ({ sparsity }) => percent(sparsity, 2)),
      column('kept', ({ kept }) => grouped(kept)),
      column('epochs', ({ epochs }) => String(epochs)),
      column('loss', ({ loss }) => (loss === null ? 'diverged' : significant(loss, 4))),
      column('', ({ reached }) => (reached ? 'came back' : ''), 'left'),
    ],
    Infinity,
  );
}
