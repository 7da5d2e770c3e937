import type { WarningCode } from './analysis';

/** Warnings ask for something to be done; information explains the numbers. */
export const SEVERITY: Readonly<Record<WarningCode, 'warning' | 'information'>> = {
  'layer-vanishes': 'warning',
  'unresolved-bracket': 'warning',
  'non-finite-weights': 'warning',
  'constant-weights': 'warning',
  'beyond-validity': 'warning',
  'not-stationary': 'warning',
  'curvature-share': 'information',
  'already-sparse': 'information',
  'few-samples': 'information',
  'float32-floor': 'information',
  'provider-left': 'warning',
  'batch-halved': 'information',
  'inputs-changed': 'warning',
  'sizes-missing': 'warning',
};
