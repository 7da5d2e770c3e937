import type { PruneMethod } from '../../../protocol/prune';
import type { Shape } from '../graph/ir';
import { elementCount } from '../graph/shapes';
import { traceBound } from '../limit/limit';
import { Magnitudes } from '../limit/magnitudes';

/** What a criterion may know of a layer. */
export interface LayerWeights {
  readonly op: 'Conv' | 'ConvTranspose' | 'Gemm' | 'MatMul';
  readonly shape: Shape;
  /** Row-major. */
  readonly weights: Float32Array;
  /** Share of the layer in the trace of the curvature; only the method `layers` asks. */
  readonly curvatureShare?: number;
}

/**
 * Masks, per layer and row-major, 1 where a weight stays, at a sparsity of all
 * layers together. Within a layer the largest magnitudes stay, of equal ones
 * the earlier. No method prunes more weights than ⌊s·D⌋.
 *
 * - `global`: one threshold for all layers (the paper's magnitude pruning).
 * - `uniform`: ⌊s·n⌋ weights of every layer.
 * - `erk`: densities ∝ Erdős–Rényi kernel, see `erkDensities`.
 * - `layers`: every layer to its own limit, see `curvatureDensities`.
 *
 * @throws RangeError when the sparsity is not in [0, 1], or a curvature share is missing
 */
export function pruneMasks(method: PruneMethod, layers: readonly LayerWeights[], sparsity: number): Uint8Array[] {
  if (!(sparsity >= 0 && sparsity <= 1)) throw new RangeError(`sparsity out of range: ${sparsity}`);
  const magnitudes = layers.map(({ weights }) => weights);
  if (method === 'global') {
    const all = Magnitudes.of(magnitudes);
    return all.masks(all.keptCount(sparsity));
  }
  const kept =
    method === 'uniform'
      ? layers.map(({ weights }) => Magnitudes.of([weights]).keptCount(sparsity))
      : keptCounts(layers, densitiesOf(method, layers, sparsity), sparsity);
  return magnitudes.map((weights, i) => Magnitudes.of([weights]).masks(kept[i]!)[0]!);
}

function densitiesOf(method: 'erk' | 'layers', layers: readonly LayerWeights[], sparsity: number): number[] {
  return method === 'erk' ? erkDensities(layers, 1 - sparsity) : curvatureDensities(layers, 1 - sparsity);
}

/**
 * Kept fractions ∝ (n_in + n_out + Σ kernel)/(n_in · n_out · Π kernel), all of
 * a layer at most, `density` of all weights together: Erdős–Rényi (Mocanu et
 * al. 2018, Sparse Evolutionary Training) with the kernel's sizes counted
 * (Evci et al. 2020, RigL).
 */
export function erkDensities(layers: readonly Omit<LayerWeights, 'weights'>[], density: number): number[] {
  const scores = layers.map(({ shape }) => shape.reduce((sum, size) => sum + size, 0) / elementCount(shape));
  const counts = layers.map(({ shape }) => elementCount(shape));
  const total = counts.reduce((sum, count) => sum + count, 0);
  // Layers that would be denser than dense are dense; the others share the rest, until none is.
  const full = new Set<number>();
  for (;;) {
    let budget = density * total;
    let weighted = 0;
    counts.forEach((count, i) => {
      if (full.has(i)) budget -= count;
      else weighted += scores[i]! * count;
    });
    const scale = weighted > 0 ? Math.max(0, budget) / weighted : 0;
    const tooDense = scores.flatMap((score, i) => (!full.has(i) && scale * score > 1 ? [i] : []));
    if (tooDense.length === 0) return scores.map((score, i) => (full.has(i) ? 1 : scale * score));
    tooDense.forEach((i) => full.add(i));
  }
}

/**
 * Kept fractions of layers that are each pruned to the limit of its own that
 * its trace gives (`traceBound`), at one loss tolerance for all of them: the one
 * at which all together keep `density`. Only ratios of traces matter, so that
 * shares will do. A layer without curvature may go entirely.
 *
 * @throws RangeError when a share is missing
 */
export function curvatureDensities(layers: readonly LayerWeights[], density: number): number[] {
  const magnitudes = layers.map(({ weights }) => Magnitudes.of([weights]));
  const total = magnitudes.reduce((sum, { count }) => sum + count, 0);
  const densities = (tolerance: number): number[] =>
    layers.map(({ curvatureShare }, i) => {
      if (curvatureShare === undefined) throw new RangeError(`curvature unknown: layer ${i}`);
      const own = magnitudes[i]!;
      return 1 - traceBound(curvatureShare / own.count, tolerance, (s) => own.squaredRadius(s));
    });
  const kept = (tolerance: number): number =>
    densities(tolerance).reduce((sum, share, i) => sum + share * magnitudes[i]!.count, 0) / total;
  // What is kept falls in the tolerance: bisection in its logarithm, over all that float32 weights can ask for.
  let [low, high] = [-200, 200];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (kept(Math.exp(middle)) > density) low = middle;
    else high = middle;
  }
  return densities(Math.exp(low));
}

/**
 * Whole numbers of weights for fractions, as many together as global pruning
 * keeps: rounded down, and one more for those that lost most (largest
 * remainders).
 */
function keptCounts(layers: readonly LayerWeights[], densities: readonly number[], sparsity: number): number[] {
  const counts = layers.map(({ weights }) => weights.length);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const wanted = total - Math.floor(sparsity * total + 1e-7);
  const exact = counts.map((count, i) => Math.min(1, Math.max(0, densities[i]!)) * count);
  const kept = exact.map(Math.floor);
  let missing = wanted - kept.reduce((sum, count) => sum + count, 0);
  const order = exact.map((_, i) => i).sort((a, b) => exact[b]! - kept[b]! - (exact[a]! - kept[a]!));
  for (let round = 0; missing > 0 && round < total; round++) {
    const open = order.filter((i) => kept[i]! < counts[i]!);
    if (open.length === 0) break;
    for (const i of open) {
      if (missing === 0) break;
      kept[i]! += 1;
      missing--;
    }
  }
  return kept;
}
