import type { AnalysisEvent, Phase } from './analysis';

/** What a job is doing, in front of the message that says more. */
export const PHASES: Readonly<Record<Phase, string>> = {
  reading: 'reading',
  'loading-data': 'loading data',
  compiling: 'compiling',
  evaluating: 'evaluating',
  trace: 'trace',
  hessian: 'Hessian',
  ggn: 'Gauss–Newton',
  path: 'path',
  layers: 'layers by themselves',
  measuring: 'measured curve',
  reporting: 'reporting',
  pruning: 'pruning',
};

/** `Hessian: step 12`. */
export function progressText({ phase, message }: AnalysisEvent & { kind: 'progress' }): string {
  const text = PHASES[phase] + (message === '' ? '' : `: ${message}`);
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
