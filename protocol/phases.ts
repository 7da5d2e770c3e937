import { t } from '@vscode/l10n';
import type { AnalysisEvent, Phase } from './analysis';

/** What a job is doing, in front of the message that says more. */
export const PHASES: Readonly<Record<Phase, string>> = {
  reading: t('reading'),
  'loading-data': t('loading data'),
  compiling: t('compiling'),
  evaluating: t('evaluating'),
  trace: t('trace'),
  hessian: 'Hessian',
  ggn: 'Gauss–Newton',
  path: t('path'),
  layers: t('layers by themselves'),
  sizes: t('fewer samples'),
  measuring: t('measured curve'),
  reporting: t('reporting'),
  pruning: t('pruning'),
};

/** `Hessian: step 12`. */
export function progressText({ phase, message }: AnalysisEvent & { kind: 'progress' }): string {
  const text = PHASES[phase] + (message === '' ? '' : `: ${message}`);
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
