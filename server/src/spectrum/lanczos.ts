import type { SymmetricOperator } from './operator';
import type { JacobiMatrix } from './quadrature';
import { basisProducts, scale, squaredNorm, subtractCombination } from './vector';

/**
 * The Lanczos process (Lanczos 1950) with full re-orthogonalisation, one step
 * at a time: the caller looks at the tridiagonal matrix after every step and
 * decides whether another product is worth its time.
 *
 * A `LanczosRun` is the state of one probe and knows no operator; it takes
 * products from whoever makes them. `lanczos` drives several runs with one
 * pass over the data per step.
 *
 * Differs from the textbook in:
 * 1. The basis is float32 (m·D·4 bytes are what limits depth), α and β float64.
 * 2. After the three-term recurrence every product is orthogonalised against
 *    the whole basis, and again as long as a pass removes more than half of
 *    ‖w‖² (Daniel, Gragg, Kaufman & Stewart 1976: what survives such a pass is
 *    orthogonal to rounding). Usually that is two passes, the first of which
 *    touches only the two vectors that exact arithmetic would need.
 * 3. Breakdown is an outcome. `β` of the last step stays what was measured and
 *    is not set to zero, so that quadrature sees how nearly invariant the
 *    subspace is.
 */
export type LanczosStatus =
  /** Another step is possible. */
  | 'running'
  /** The subspace is invariant to float32 accuracy: its quadrature is exact, more steps are noise. */
  | 'invariant'
  /** The last product was not finite; the state is that before it. */
  | 'non-finite';

/** Everything a run is: to keep it and go on later, in another process if need be. */
export interface LanczosState {
  readonly dimension: number;
  readonly status: LanczosStatus;
  /** Diagonal of T, one entry per step. */
  readonly alpha: Float64Array;
  /** `beta[j]` couples steps j and j + 1; the last is the residual norm, so the lengths are equal. */
  readonly beta: Float64Array;
  /** Orthonormal; one vector more than steps while running. Shared with the run, not copied. */
  readonly basis: readonly Float32Array[];
}

/**
 * β at or below this fraction of ‖T‖ is a breakdown: products stored in
 * float32 leave about 2^-25 of their norm as noise. Noisier products leave
 * more; then the run goes on in directions that are noise, which costs time
 * but moves the spectrum no further than the products' own error does.
 */
const BREAKDOWN = 2 ** -22;

/** Of ‖w‖² that has to survive a pass for it to be the last. */
const ENOUGH = 0.5;
const MAX_PASSES = 5;

export class LanczosRun {
  private readonly alpha: number[] = [];
  private readonly beta: number[] = [];
  private readonly basis: Float32Array[] = [];
  private outcome: LanczosStatus = 'running';
  /** Largest ‖A·q‖ seen: a lower bound of ‖A‖. */
  private norm = 0;

  private constructor(readonly dimension: number) {}

  /** A run from `probe`, which is copied and normalised. Throws RangeError for a zero or non-finite probe. */
  static from(probe: Float32Array): LanczosRun {
    const norm = Math.sqrt(squaredNorm(probe));
    if (!(norm > 0 && Number.isFinite(norm))) throw new RangeError(`probe has no direction: norm ${norm}`);
    const run = new LanczosRun(probe.length);
    const q = Float32Array.from(probe);
    scale(1 / norm, q);
    run.basis.push(q);
    return run;
  }

  /** The run that `state` was taken from; steps from here on are the same as they would have been there. */
  static restore(state: LanczosState): LanczosRun {
    const run = new LanczosRun(state.dimension);
    const vectors = state.alpha.length + (state.status === 'invariant' ? 0 : 1);
    if (state.beta.length !== state.alpha.length || state.basis.length !== vectors) {
      throw new RangeError(
        `Lanczos state inconsistent: ${state.alpha.length} alpha, ${state.beta.length} beta, ${state.basis.length} vectors`,
      );
    }
    if (state.basis.some((q) => q.length !== state.dimension)) {
      throw new RangeError(`Lanczos state inconsistent: a basis vector is not of length ${state.dimension}`);
    }
    run.alpha.push(...state.alpha);
    run.beta.push(...state.beta);
    run.basis.push(...state.basis);
    run.outcome = state.status;
    for (let j = 0; j < run.alpha.length; j++) run.norm = Math.max(run.norm, run.rowNorm(j));
    return run;
  }

  get steps(): number {
    return this.alpha.length;
  }

  get status(): LanczosStatus {
    return this.outcome;
  }

  /** The vector whose product the next step needs, of norm 1; null when there is no next step. Not to be changed. */
  get next(): Float32Array | null {
    return this.outcome === 'running' ? this.basis[this.alpha.length]! : null;
  }

  /** T and the residual, as quadrature takes them. */
  get jacobi(): JacobiMatrix {
    return { alpha: Float64Array.from(this.alpha), beta: Float64Array.from(this.beta) };
  }

  get state(): LanczosState {
    return { dimension: this.dimension, status: this.outcome, ...this.jacobi, basis: [...this.basis] };
  }

  /**
   * One step, given the product of the operator with `next`. The run takes the
   * array over: it becomes the next basis vector. Returns the new status.
   */
  absorb(product: Float32Array): LanczosStatus {
    const q = this.next;
    if (q === null) throw new RangeError(`Lanczos run has ended: ${this.outcome}`);
    if (product.length !== this.dimension) {
      throw new RangeError(`product of wrong length: ${product.length}, not ${this.dimension}`);
    }
    const raw = squaredNorm(product);
    if (!Number.isFinite(raw)) return (this.outcome = 'non-finite');
    const w = product;
    const step = this.alpha.length;

    // 1. Three-term recurrence: w ← A·q_j − α_j·q_j − β_{j−1}·q_{j−1}.
    const nearest = Math.max(0, step - 1);
    const h = new Float64Array(step + 1);
    basisProducts(this.basis, w, h, nearest);
    const alpha = h[step - nearest]!;
    let before = subtractCombination(this.basis, h, w, nearest);

    // 2. Whole-basis passes, until one removes little.
    let after = before;
    for (let pass = 0; pass < MAX_PASSES; pass++) {
      basisProducts(this.basis, w, h);
      after = subtractCombination(this.basis, h, w);
      if (after >= ENOUGH * before) break;
      before = after;
    }

    // 3. The residual is the next basis vector unless it is noise.
    const beta = Math.sqrt(after);
    this.alpha.push(alpha);
    this.beta.push(beta);
    this.norm = Math.max(this.norm, this.rowNorm(step));
    if (beta <= BREAKDOWN * this.norm || this.alpha.length === this.dimension) return (this.outcome = 'invariant');
    scale(1 / beta, w);
    this.basis.push(w);
    return 'running';
  }

  /** ‖A·q_j‖, from the entries of row j. */
  private rowNorm(j: number): number {
    return Math.hypot(j > 0 ? this.beta[j - 1]! : 0, this.alpha[j]!, this.beta[j]!);
  }
}

/** What one round of products brought. */
export interface LanczosProgress {
  /** Steps of the deepest run. */
  readonly steps: number;
  /** Products made in this round: one per run that was still running. */
  readonly products: number;
  readonly status: readonly LanczosStatus[];
}

/** Sees every round's vectors and products before the runs take them over. */
export type ProductObserver = (vectors: readonly Float32Array[], products: readonly Float32Array[]) => void;

/**
 * Steps all `runs` together, one `apply` per round, and yields after each. Stop
 * by leaving the loop; call again with the same runs to go on. Ends when no run
 * is running.
 *
 * `observe` lets block traces be read off the first round (`traceSample`)
 * without products of their own.
 */
export async function* lanczos(
  operator: SymmetricOperator,
  runs: readonly LanczosRun[],
  observe?: ProductObserver,
): AsyncGenerator<LanczosProgress, void, void> {
  for (const run of runs) {
    if (run.dimension !== operator.dimension) {
      throw new RangeError(`probe of wrong length: ${run.dimension}, not ${operator.dimension}`);
    }
  }
  for (;;) {
    const active = runs.filter((run) => run.next !== null);
    if (active.length === 0) return;
    const vectors = active.map((run) => run.next!);
    const products = await operator.apply(vectors);
    observe?.(vectors, products);
    active.forEach((run, i) => run.absorb(products[i]!));
    yield {
      steps: Math.max(...runs.map((run) => run.steps)),
      products: active.length,
      status: runs.map((run) => run.status),
    };
  }
}
