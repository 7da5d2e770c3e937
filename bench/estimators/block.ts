import type { SpectralBounds } from '../../server/src/spectrum/estimate';
import { averagedOverScales } from '../../server/src/spectrum/modulus';
import type { QuadratureRule } from '../../server/src/spectrum/quadrature';
import { basisProducts, dot, scale, squaredNorm, subtractCombination } from '../../server/src/spectrum/vector';
import { naiveEigen } from '../../server/src/spectrum/testing';
import { Random } from '../../server/src/random';
import { samplingError, type Estimator } from './estimator';
import {
  complex,
  identity,
  imaginaryPart,
  inverse,
  product,
  scaled,
  sum,
  trace,
  transposed,
  type Matrix,
} from './matrices';

/** Block Lanczos (Golub & Underwood 1977): `width` probes that share one Krylov space. */
export function block(width: number): Estimator {
  return {
    name: `block Lanczos, ${width} probes`,
    async estimate(operator, products, seed) {
      const run = BlockRun.from(probes(operator.dimension, width, seed));
      while (run.products + width <= products) run.absorb(await operator.apply(run.next));
      const rule = run.rule();
      return {
        products: run.products,
        bounds: run.bounds(),
        // As of so many independent probes, which share a rule here.
        standardError: samplingError({
          dimension: operator.dimension,
          probes: Array.from({ length: width }, () => ({ gauss: rule, radau: rule })),
        }),
      };
    },
  };
}

export function probes(dimension: number, count: number, seed: number): Float32Array[] {
  return Array.from({ length: count }, (_, i) => Random.stream(seed, `probe ${i}`).rademacher(dimension));
}

export class BlockRun {
  /** Orthonormal; a block more than steps. */
  readonly basis: Float32Array[] = [];
  /** Of the block tridiagonal matrix: its diagonal, and the blocks below it, the last of which is the residual's. */
  readonly diagonal: Matrix[] = [];
  readonly below: Matrix[] = [];

  private constructor(
    readonly width: number,
    /** The probes are the first block times this. */
    private readonly start: Matrix,
  ) {}

  static from(vectors: readonly Float32Array[]): BlockRun {
    const block = vectors.map((v) => Float32Array.from(v));
    const run = new BlockRun(vectors.length, orthonormalise(block));
    run.basis.push(...block);
    return run;
  }

  get products(): number {
    return this.width * this.diagonal.length;
  }

  get next(): Float32Array[] {
    return this.basis.slice(-this.width);
  }

  absorb(products: Float32Array[]): void {
    const { basis, width } = this;
    const a = products.map((w) => {
      const h = new Float64Array(basis.length);
      const own = new Float64Array(width);
      // Twice, which is enough (Kahan and Parlett).
      for (let pass = 0; pass < 2; pass++) {
        basisProducts(basis, w, h);
        for (let i = 0; i < width; i++) own[i]! += h[h.length - width + i]!;
        subtractCombination(basis, h, w);
      }
      return [...own];
    });
    this.diagonal.push(scaled(sum(a, transposed(a)), 0.5));
    this.below.push(orthonormalise(products));
    basis.push(...products);
  }

  /** T without the residual. */
  matrix(): Matrix {
    const { width } = this;
    const n = this.products;
    const t = Array.from({ length: n }, () => new Array<number>(n).fill(0));
    this.diagonal.forEach((a, k) =>
      a.forEach((row, i) => row.forEach((v, j) => (t[k * width + i]![k * width + j] = v))),
    );
    this.below.slice(0, -1).forEach((b, k) =>
      b.forEach((row, i) =>
        row.forEach((v, j) => {
          t[(k + 1) * width + i]![k * width + j] = v;
          t[k * width + j]![(k + 1) * width + i] = v;
        }),
      ),
    );
    return t;
  }

  /** Block Gauss quadrature, the mean over the probes. */
  rule(): QuadratureRule {
    const { values, vectors } = naiveEigen(this.matrix());
    const square = this.start.flat().reduce((total, value) => total + value * value, 0);
    const weight = (vector: readonly number[]) =>
      transposed(this.start).reduce((total, probe) => total + probe.reduce((x, r, i) => x + r * vector[i]!, 0) ** 2, 0);
    return {
      nodes: Float64Array.from(values),
      weights: Float64Array.from(vectors, (vector) => weight(vector) / square),
    };
  }

  /** Those of `modulusBounds` with Weyl's matrix disks. */
  bounds(): SpectralBounds {
    const norms = [...this.diagonal, ...this.below].map((m) => Math.sqrt(squares(m)));
    const norm = 3 * Math.max(...norms);
    const relative = (m: Matrix) => scaled(m, 1 / norm);
    const [diagonal, below] = [this.diagonal.map(relative), this.below.map(relative)];
    return averagedOverScales(norm, [(s) => flatShare(this.start, diagonal, below, s)]);
  }
}

/**
 * The mean over the probes of φ(s), as `flatShare` in modulus.ts but with blocks
 * for numbers. With F the last block of the diagonal of (T − is)⁻¹, E the one of
 * its first row and last column, both times the residual, and h = s + Im(B F Bᵀ):
 *
 *     φ(s) = s·Im tr(G_k + E·Y·Eᵀ),  Y = h^−½ (i + U)/2 h^−½,  ‖U‖ ≤ 1.
 */
function flatShare(start: Matrix, diagonal: readonly Matrix[], below: readonly Matrix[], s: number): [number, number] {
  const p = start.length;
  const none = scaled(identity(p), 0);
  const real = (m: Matrix) => complex(m, none);
  const shift = complex(none, scaled(identity(p), s));
  let first = scaled(identity(2 * p), 0);
  // The last block row of (T − is)⁻¹: in the first column, and on the diagonal.
  let corner: Matrix | undefined;
  let last: Matrix | undefined;
  diagonal.forEach((a, k) => {
    let pivot = sum(real(a), shift, -1);
    let coupled: Matrix | undefined;
    if (corner && last) {
      const b = real(below[k - 1]!);
      pivot = sum(pivot, product(product(b, last), transposed(b)), -1);
      coupled = product(b, corner);
    }
    last = inverse(pivot);
    if (coupled) {
      first = sum(first, product(product(plainTransposed(coupled), last), coupled));
      corner = scaled(product(last, coupled), -1);
    } else {
      first = last;
      corner = last;
    }
  });
  const b = below.at(-1)!;
  const e = product(product(real(b), corner!), real(start));
  const h = sum(scaled(identity(p), s), imaginaryPart(product(product(real(b), last!), real(transposed(b)))));
  const root = inverseRoot(h);
  const m = product(product(real(root), product(e, plainTransposed(e))), real(root));
  const whole = squares(start);
  const centre =
    trace(imaginaryPart(product(product(real(transposed(start)), first), real(start)))) +
    trace(product(inverse(h), realPart(product(e, plainTransposed(e))))) / 2;
  const radius = nuclearNorm(m) / 4;
  return [Math.max(0, (s * (centre - radius)) / whole), Math.min(1, (s * (centre + radius)) / whole)];
}

function realPart(a: Matrix): Matrix {
  return a.slice(0, a.length / 2).map((row) => row.slice(0, row.length / 2));
}

/** Of a complex matrix, without conjugation. */
function plainTransposed(a: Matrix): Matrix {
  return complex(transposed(realPart(a)), transposed(imaginaryPart(a)));
}

function inverseRoot(h: Matrix): Matrix {
  const { values, vectors } = naiveEigen(h);
  return h.map((_, i) =>
    h.map((__, j) => vectors.reduce((total, v, k) => total + (v[i]! * v[j]!) / Math.sqrt(values[k]!), 0)),
  );
}

/** Of the real form, twice that of the complex matrix. */
function nuclearNorm(m: Matrix): number {
  return naiveEigen(product(transposed(m), m)).values.reduce(
    (total, value) => total + Math.sqrt(Math.max(0, value)),
    0,
  );
}

function squares(m: Matrix): number {
  return m.flat().reduce((total, value) => total + value * value, 0);
}

/** Gram–Schmidt twice, in place; returns R with old = new·R. */
function orthonormalise(block: readonly Float32Array[]): Matrix {
  const r = scaled(identity(block.length), 0);
  block.forEach((w, j) => {
    for (let pass = 0; pass < 2; pass++) {
      for (let i = 0; i < j; i++) {
        const h = dot(block[i]!, w);
        r[i]![j]! += h;
        block[i]!.forEach((q, at) => (w[at]! -= h * q));
      }
    }
    const norm = Math.sqrt(squaredNorm(w));
    r[j]![j] = norm;
    scale(1 / norm, w);
  });
  return r;
}
