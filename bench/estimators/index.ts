import { block } from './block';
import { deflated } from './deflation';
import type { Estimator, TraceEstimator } from './estimator';
import { reorthogonalised, unorthogonalised } from './lanczos';
import { hutchinson, hutchPlusPlus, xTrace } from './traces';

/** All that were compared; the first of either kind ships. */
export const estimators: readonly Estimator[] = [
  reorthogonalised(64),
  unorthogonalised(64),
  block(2),
  block(4),
  deflated,
];

export const traceEstimators: readonly TraceEstimator[] = [hutchinson, hutchPlusPlus, xTrace];
