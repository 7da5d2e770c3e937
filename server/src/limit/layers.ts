import type { Magnitudes } from './magnitudes';

/** One layer under global magnitude pruning at some sparsity. */
export interface LayerSparsity {
  readonly weights: number;
  /** Weights of the layer that are exactly 0 in the dense network. */
  readonly zeros: number;
  /** Weights other than 0 that are left; with none the layer's output no longer depends on its input. */
  readonly kept: number;
  /** 1 − kept/weights. */
  readonly sparsity: number;
}

/**
 * What global magnitude pruning at `sparsity` leaves of each layer, in the
 * order of `magnitudes.layers`. The kept counts add up to
 * `magnitudes.keptCount(sparsity)`, or to less where fewer are not 0 already. A
 * layer without weights has sparsity 0.
 */
export function layerSparsities(magnitudes: Magnitudes, sparsity: number): LayerSparsity[] {
  const kept = magnitudes.keptPerLayer(magnitudes.keptCount(sparsity));
  return magnitudes.layers.map((layer, index) => {
    let zeros = 0;
    for (let i = 0; i < layer.length; i++) if (layer[i] === 0) zeros++;
    // The largest stay first, so kept zeros mean that every other weight is kept.
    const keptNonzero = Math.min(kept[index]!, layer.length - zeros);
    return {
      weights: layer.length,
      zeros,
      kept: keptNonzero,
      sparsity: layer.length === 0 ? 0 : 1 - keptNonzero / layer.length,
    };
  });
}
