import type { PathPoint } from '../../../protocol/analysis';
import type { SymmetricOperator } from '../spectrum/operator';
import type { Magnitudes } from '../limit/magnitudes';
import type { Evaluator } from './evaluator';
import type { Subject } from './subject';

/** Points whose quadratic terms share one pass over the data. */
const POINTS_PER_PASS = 4;

/**
 * The path from the dense network to the pruned one: at each sparsity the
 * measured loss and accuracy of wᵏ and, with d = wᵏ − w*, the terms of
 *
 *     L(w* + d) − L(w*) ≈ gᵀd + ½ dᵀHd.
 *
 * With an L1 penalty μ its change μ(‖wᵏ‖₁ − ‖w*‖₁), which is linear in d along
 * the path, is part of the linear term (method.md §2).
 *
 * @param onPoint awaited after every point, with all points so far
 */
export async function measurePath(
  subject: Subject,
  magnitudes: Magnitudes,
  evaluator: Evaluator,
  operator: SymmetricOperator,
  gradient: Float64Array,
  sparsities: readonly number[],
  l1: number,
  onPoint: (points: readonly PathPoint[]) => void | Promise<void>,
): Promise<PathPoint[]> {
  const { weights, samples } = subject;
  const points: PathPoint[] = [];
  for (let first = 0; first < sparsities.length; first += POINTS_PER_PASS) {
    const group = sparsities.slice(first, first + POINTS_PER_PASS);
    const measured: Omit<PathPoint, 'quadratic'>[] = [];
    const displacements: Float32Array[] = [];
    for (const sparsity of group) {
      const pruned = prunedWeights(subject, magnitudes, sparsity);
      const { loss, correct } = await evaluator.evaluate(pruned);
      const displacement = pruned.map((x, i) => x - weights[i]!);
      displacements.push(displacement);
      // Pruning only moves weights to zero.
      const penalty = -l1 * absoluteSum(displacement);
      measured.push({
        sparsity,
        R: norm(displacement),
        loss,
        accuracy: correct / samples,
        linear: dot(gradient, displacement) + penalty,
        ...(l1 > 0 && { penalty }),
      });
    }
    const products = await operator.apply(displacements);
    measured.forEach((point, i) => {
      const whole = { ...point, quadratic: dot(products[i]!, displacements[i]!) / 2 };
      // What overflows float32 was not measured.
      if (Object.values(whole).every(Number.isFinite)) points.push(whole);
    });
    await onPoint(points);
  }
  return points;
}

/** wᵏ at a sparsity, as one vector. */
export function prunedWeights(
  { layout }: Pick<Subject, 'layout'>,
  magnitudes: Magnitudes,
  sparsity: number,
): Float32Array {
  const pruned = new Float32Array(layout.dimension);
  magnitudes
    .prunedWeights(magnitudes.keptCount(sparsity))
    .forEach((layer, i) => pruned.set(layer, layout.layers[i]!.offset));
  return pruned;
}

function dot(a: Float64Array | Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < b.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function norm(a: Float32Array): number {
  return Math.sqrt(dot(a, a));
}

function absoluteSum(a: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i]!);
  return sum;
}
