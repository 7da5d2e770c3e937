import { t } from '@vscode/l10n';
import type { CurvatureKind, Interval } from '../../../protocol/analysis';
import { operatorName, percent, percentRange } from '../../../protocol/numbers';

export interface TargetVerdict {
  readonly severity: 'error' | 'warning' | 'note';
  readonly message: string;
}

interface Limit {
  readonly operator: CurvatureKind;
  readonly interval: Interval;
}

/**
 * What the limits say of a sparsity that is wished for; null when it is below
 * all of them. Above the Gauss–Newton limit nothing keeps the loss, above the
 * Hessian's pruning at once does not, and inside an interval nobody knows.
 *
 * @param target fraction of the prunable weights that are to be zero
 */
export function judgeTarget(target: number, limits: readonly Limit[]): TargetVerdict | null {
  const of = (operator: CurvatureKind) => limits.find((limit) => limit.operator === operator);
  const [hessian, ggn] = [of('hessian'), of('ggn')];
  const wished = percent(target, 2).replace(/\.?0+ %$/, ' %');
  const stated = (limit: Limit): [string, string] => [operatorName[limit.operator], percentRange(limit.interval)];
  if (ggn && target > ggn.interval[1]) {
    return {
      severity: 'error',
      message: t(
        '{0} is above the {1} limit, {2}: no subnetwork of these weights keeps the loss; lower the target',
        wished,
        ...stated(ggn),
      ),
    };
  }
  if (hessian && target > hessian.interval[1]) {
    return {
      severity: 'warning',
      message: t(
        '{0} is above the {1} limit, {2}: pruning at once will not reach it, retraining may',
        wished,
        ...stated(hessian),
      ),
    };
  }
  const around = [hessian, ggn].find((limit) => limit && target >= limit.interval[0] && target <= limit.interval[1]);
  if (!around) return null;
  return {
    severity: 'note',
    message: t(
      '{0} is inside the bracket of the {1} limit, {2}: whether it can be reached is open; a deeper run narrows the bracket',
      wished,
      ...stated(around),
    ),
  };
}
