import type { LimitEnd } from '../../protocol/analysis';

const REASONS: Readonly<Record<LimitEnd, string>> = {
  resolved: 'The bracket is as narrow as was asked.',
  steps: 'All Lanczos steps were taken before the bracket closed: allow more "steps".',
  time: 'The time was spent before the bracket closed: allow more "minutes", or take fewer samples.',
  memory:
    'More Lanczos steps did not fit into the memory: grant more (--memory, or "pruningLimit.memory" in the editor).',
  float32:
    'Float32 blurs the eigenvalues that count, so more steps would not help: a larger "epsilon" rests on larger ones.',
  exhausted: 'Neither steps nor probes narrowed it further: be content with a wider "tolerance".',
};

/**
 * Why a limit is not resolved, and what can be done.
 *
 * @param end of its study; undefined where it did not come to one
 */
export function whyOpen(end: LimitEnd | undefined, running: boolean): string {
  if (end !== undefined) return REASONS[end];
  return running ? 'The bracket narrows with every Lanczos step.' : 'The analysis ended before the bracket closed.';
}
