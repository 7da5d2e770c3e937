import type { SpectralBounds } from './estimate';
import type { SymmetricOperator } from './operator';
import type { IndexRange } from './traces';

/**
 * Coordinates whose row is zero, such as the weights of a pixel that is black in
 * every sample or of a unit that never fires: those where every one of the
 * products with random `probes` is exactly 0. A row that is not zero would have
 * to cancel to the last bit in each of them.
 *
 * Returns the others, ascending: what is left of the operator.
 */
export function liveCoordinates(products: readonly Float32Array[]): Int32Array {
  const dimension = products[0]?.length ?? 0;
  const live = new Int32Array(dimension);
  let count = 0;
  for (let i = 0; i < dimension; i++) {
    if (products.some((product) => product[i] !== 0)) live[count++] = i;
  }
  return live.slice(0, count);
}

/**
 * The rows and columns of `operator` that `coordinates` names, ascending. Where
 * all others are zero, its spectrum lacks nothing but as many zeros.
 */
export function restricted(operator: SymmetricOperator, coordinates: Int32Array): SymmetricOperator {
  const { dimension, positiveSemidefinite } = operator;
  return {
    dimension: coordinates.length,
    positiveSemidefinite,
    async apply(vectors) {
      const whole = vectors.map((vector) => {
        const spread = new Float32Array(dimension);
        coordinates.forEach((at, i) => (spread[at] = vector[i]!));
        return spread;
      });
      return (await operator.apply(whole)).map((product) => Float32Array.from(coordinates, (at) => product[at]!));
    },
  };
}

/** Where the entries of `ranges` that are among `coordinates` lie in them. */
export function restrictedRanges(ranges: readonly IndexRange[], coordinates: Int32Array): IndexRange[] {
  const below = (end: number): number => {
    let [low, high] = [0, coordinates.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (coordinates[middle]! < end) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return ranges.map(({ offset, length }) => ({
    offset: below(offset),
    length: below(offset + length) - below(offset),
  }));
}

/** `bounds` of what is left, where a share of all directions is flat: f(0) = 1. */
export function withFlatShare(bounds: SpectralBounds, share: number): SpectralBounds {
  if (share === 0) return bounds;
  return {
    low: (c) => share + (1 - share) * bounds.low(c),
    high: (c) => share + (1 - share) * bounds.high(c),
  };
}
