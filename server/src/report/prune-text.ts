import type { PruneMethod, PruneResult } from '../../../protocol/prune';
import { grouped, percent, shapeText, significant } from '../../../protocol/numbers';
import { paragraph, table, visible } from './layout';

const METHODS: Readonly<Record<PruneMethod, string>> = {
  global: 'the smallest of the whole network',
  uniform: 'the same fraction of every layer',
  erk: 'by the Erdős–Rényi kernel',
  layers: 'every layer by its share of the curvature',
};

/**
 * Result of `prune` for a terminal.
 *
 * @param width columns of the terminal; Infinity where nothing needs to fit
 */
export function pruneText(result: PruneResult, width: number): string {
  const { layers, measured } = result;
  const asked = result.atLimit ? `the limit, ${percent(result.asked, 2)}` : percent(result.asked, 2);
  const lines = [
    visible(result.output),
    ...paragraph(
      `${percent(result.sparsity, 2)} of ${grouped(result.weights)} prunable weights are zero, ${grouped(result.kept)} are kept; asked for ${asked}, ${METHODS[result.method]}`,
      width,
    ),
  ];
  if (measured !== null) {
    const { before, after, samples } = measured;
    const share = (correct: number): string => percent(correct / samples, 2);
    lines.push(
      `loss ${significant(before.loss, 4)} → ${significant(after.loss, 4)} nats`,
      `correct ${grouped(before.correct)} → ${grouped(after.correct)} of ${grouped(samples)} (${share(before.correct)} → ${share(after.correct)})`,
    );
  }
  lines.push(
    '',
    ...table(
      [
        { title: 'layer', cells: layers.map(({ name }) => visible(name)), align: 'left', isName: true },
        { title: 'op', cells: layers.map(({ op }) => op), align: 'left', expendable: 1 },
        { title: 'shape', cells: layers.map(({ shape }) => shapeText(shape)), align: 'left', expendable: 2 },
        { title: 'weights', cells: layers.map(({ weights }) => grouped(weights)), align: 'right' },
        { title: 'sparsity', cells: layers.map(({ sparsity }) => percent(sparsity)), align: 'right' },
        { title: 'kept', cells: layers.map(({ kept }) => grouped(kept)), align: 'right' },
      ],
      width,
    ),
  );
  if (result.mask !== null || result.companions.length > 0) lines.push('');
  for (const path of result.companions) lines.push(`Weights: ${visible(path)}`);
  if (result.mask !== null) lines.push(`Mask: ${visible(result.mask)}`);
  for (const cut of result.disconnected) {
    lines.push(...paragraph(visible(`the network is cut in two: ${cut}`), width, 'warning: '));
  }
  return `${lines.join('\n')}\n`;
}
