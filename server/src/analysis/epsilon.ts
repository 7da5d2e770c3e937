import type { EpsilonRule } from '../../../protocol/analysis';
import { InputError } from '../errors';

/** Mini-batch of the paper's rule. */
const PAPER_BATCH = 128;

/**
 * The loss tolerance ε, in nats.
 *
 * The paper's rule, the standard deviation of the loss of a mini-batch of 128,
 * is σ/√128 with σ the deviation of the loss over samples. The formula is used
 * rather than a sample of mini-batches, of which 2,000 samples give 15: their
 * own deviation would be uncertain by a fifth (docs/method.md has both).
 */
export function lossTolerance(rule: EpsilonRule, losses: Float64Array, loss: number): number {
  if (rule.kind === 'absolute') return rule.value;
  if (rule.kind === 'relative') return rule.value * loss;
  const squares = losses.reduce((sum, x) => sum + (x - loss) ** 2, 0);
  return Math.sqrt(squares / Math.max(1, losses.length - 1) / PAPER_BATCH);
}

/**
 * Without any tolerance nothing may be pruned, and the limit would say so in
 * many digits.
 *
 * @throws InputError when ε is 0
 */
export function checkTolerance(epsilon: number, rule: EpsilonRule, samples: number): void {
  // Equal losses deviate by their rounding.
  if (epsilon > (rule.kind === 'batch-std' ? 1e-12 : 0)) return;
  const why =
    rule.kind === 'relative'
      ? 'the loss of these samples is 0'
      : samples === 1
        ? 'one sample has no deviation'
        : 'all samples have the same loss';
  throw new InputError(
    `loss tolerance is 0: ${why}; choose more samples, or give a tolerance with --epsilon abs:X, such as abs:0.01`,
  );
}

/** The rule as the report words it. */
export function describeEpsilon(rule: EpsilonRule): string {
  switch (rule.kind) {
    case 'absolute':
      return `absolute ${rule.value}`;
    case 'relative':
      return `${rule.value} of the loss`;
    case 'batch-std':
      return `standard deviation of the loss over mini-batches of ${PAPER_BATCH}`;
  }
}
