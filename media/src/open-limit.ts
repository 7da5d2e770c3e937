import { t } from '@vscode/l10n';
import type { LimitEnd } from '../../protocol/analysis';

const REASONS: Readonly<Record<LimitEnd, string>> = {
  resolved: t('The bracket is as narrow as was asked.'),
  steps: t('All Lanczos steps were taken before the bracket closed: allow more "steps".'),
  time: t('The time was spent before the bracket closed: allow more "minutes", or take fewer samples.'),
  memory: t(
    'More Lanczos steps did not fit into the memory: grant more (--memory, or "pruningLimit.memory" in the editor).',
  ),
  float32: t(
    'Float32 blurs the eigenvalues that count, so more steps would not help: a larger "epsilon" rests on larger ones.',
  ),
  exhausted: t('Neither steps nor probes narrowed it further: be content with a wider "tolerance".'),
};

/**
 * Why a limit is not resolved, and what can be done.
 *
 * @param end of its study; undefined where it did not come to one
 */
export function whyOpen(end: LimitEnd | undefined, running: boolean): string {
  if (end !== undefined) return REASONS[end];
  return running
    ? t('The bracket narrows with every Lanczos step.')
    : t('The analysis ended before the bracket closed.');
}
