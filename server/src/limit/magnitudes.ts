import { InputError } from '../errors';

/** Weights between two stored prefix sums: 512 keep R(s) fast and cost 1/64 of a full table. */
const BLOCK = 512;

/**
 * The magnitudes of all prunable weights, sorted once, for everything magnitude
 * pruning asks of them: R(s), thresholds, masks. Sparsity is global over the
 * layers, as in the paper.
 *
 * Memory is 4 bytes per weight beside the weights themselves (which are
 * referenced, not copied): 400 MB at D = 10⁸.
 */
export class Magnitudes {
  private constructor(
    /** One flat array of weights per layer, in the order of all results here. */
    readonly layers: readonly Float32Array[],
    /** |w| of all layers, ascending. */
    private readonly sorted: Float32Array,
    /** Sum of the squares of the first i·BLOCK magnitudes. */
    private readonly blockSums: Float64Array,
    /** How many weights are exactly 0. */
    readonly zeros: number,
  ) {}

  /** Throws InputError when there are no weights, or some that are not finite. */
  static of(layers: readonly Float32Array[]): Magnitudes {
    const count = layers.reduce((sum, layer) => sum + layer.length, 0);
    if (count === 0) throw new InputError('no prunable weights');
    const sorted = new Float32Array(count);
    let at = 0;
    let invalid = 0;
    for (const layer of layers) {
      for (let i = 0; i < layer.length; i++) {
        const magnitude = Math.abs(layer[i]!);
        if (!Number.isFinite(magnitude)) invalid++;
        sorted[at++] = magnitude;
      }
    }
    if (invalid > 0) throw new InputError(`weights not finite: ${invalid} of ${count}`);
    sorted.sort();

    const blockSums = new Float64Array(Math.floor(count / BLOCK) + 1);
    let sum = 0;
    for (let i = 0; i < count; i++) {
      if (i % BLOCK === 0) blockSums[i / BLOCK] = sum;
      sum += sorted[i]! * sorted[i]!;
    }
    if (count % BLOCK === 0) blockSums[count / BLOCK] = sum;
    return new Magnitudes(layers, sorted, blockSums, firstAbove(sorted, 0));
  }

  /** D. */
  get count(): number {
    return this.sorted.length;
  }

  /**
   * R(s)² = ‖w* − wᵏ‖²: the sum of the s·D smallest squared magnitudes. Between
   * integer counts the next square counts in proportion, which makes R²
   * continuous, convex and non-decreasing in s. `sparsity` is clamped to [0, 1].
   */
  squaredRadius(sparsity: number): number {
    const pruned = Math.min(1, Math.max(0, sparsity)) * this.count;
    const whole = Math.floor(pruned);
    const block = Math.floor(whole / BLOCK);
    let sum = this.blockSums[block]!;
    for (let i = block * BLOCK; i < whole; i++) sum += this.sorted[i]! * this.sorted[i]!;
    const next = this.sorted[whole] ?? 0;
    return sum + (pruned - whole) * next * next;
  }

  /** R(s). */
  radius(sparsity: number): number {
    return Math.sqrt(this.squaredRadius(sparsity));
  }

  /**
   * k at this sparsity: the ⌊s·D⌋ smallest weights go and no more, so that the
   * network is never sparser than asked.
   */
  keptCount(sparsity: number): number {
    const pruned = Math.min(1, Math.max(0, sparsity)) * this.count;
    // 0.29 · 100 is 28.999999999999996: a sparsity that means a count gets it.
    return this.count - Math.floor(pruned + 1e-7 + 4 * Number.EPSILON * this.count);
  }

  /**
   * The smallest kept magnitude when `kept` weights stay, and how many weights
   * of exactly that magnitude are among them. Infinity and 0 when none stays.
   */
  threshold(kept: number): { readonly magnitude: number; readonly ties: number } {
    this.checkKept(kept);
    if (kept === 0) return { magnitude: Infinity, ties: 0 };
    const magnitude = this.sorted[this.count - kept]!;
    return { magnitude, ties: kept - (this.count - firstAbove(this.sorted, magnitude)) };
  }

  /** How many of the `kept` largest weights each layer has; they add up to `kept`. */
  keptPerLayer(kept: number): number[] {
    const counts = this.layers.map(() => 0);
    this.visitKept(kept, (layer) => counts[layer]!++);
    return counts;
  }

  /** Per layer 1 where a weight is among the `kept` largest, else 0. */
  masks(kept: number): Uint8Array[] {
    const masks = this.layers.map((layer) => new Uint8Array(layer.length));
    this.visitKept(kept, (layer, index) => (masks[layer]![index] = 1));
    return masks;
  }

  /** wᵏ: copies of the layers with all but the `kept` largest weights zero. */
  prunedWeights(kept: number): Float32Array[] {
    const pruned = this.layers.map((layer) => new Float32Array(layer.length));
    this.visitKept(kept, (layer, index) => (pruned[layer]![index] = this.layers[layer]![index]!));
    return pruned;
  }

  /**
   * Visits exactly `kept` weights, by layer and index. Of equal magnitudes at
   * the threshold the earlier stay, so that the choice is the same every time.
   */
  private visitKept(kept: number, visit: (layer: number, index: number) => void): void {
    const threshold = this.threshold(kept);
    let ties = threshold.ties;
    this.layers.forEach((weights, layer) => {
      for (let i = 0; i < weights.length; i++) {
        const magnitude = Math.abs(weights[i]!);
        if (magnitude > threshold.magnitude) visit(layer, i);
        else if (magnitude === threshold.magnitude && ties > 0) {
          ties--;
          visit(layer, i);
        }
      }
    });
  }

  private checkKept(kept: number): void {
    if (!(Number.isInteger(kept) && kept >= 0 && kept <= this.count)) {
      throw new RangeError(`kept weights out of range: ${kept} (0 to ${this.count})`);
    }
  }
}

/** Index of the first entry of ascending `sorted` above `value`. */
function firstAbove(sorted: Float32Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
