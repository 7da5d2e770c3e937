import { ruleBounds, spectralMeasure } from '../../server/src/spectrum/estimate';
import { lanczos, LanczosRun } from '../../server/src/spectrum/lanczos';
import { modulusBounds } from '../../server/src/spectrum/modulus';
import type { SymmetricOperator } from '../../server/src/spectrum/operator';
import type { JacobiMatrix } from '../../server/src/spectrum/quadrature';
import { dot, scale, squaredNorm } from '../../server/src/spectrum/vector';
import { Random } from '../../server/src/random';
import { samplingError, type Estimated, type Estimator } from './estimator';

/** What ships: one probe after the other to `depth`, re-orthogonalised. */
export function reorthogonalised(depth: number): Estimator {
  return {
    name: `Lanczos, ${depth} steps`,
    async estimate(operator, products, seed) {
      const runs = Array.from({ length: Math.max(1, Math.floor(products / depth)) }, (_, i) =>
        LanczosRun.from(Random.stream(seed, `probe ${i}`).rademacher(operator.dimension)),
      );
      for await (const { steps } of lanczos(operator, runs)) if (steps >= Math.min(depth, products)) break;
      return estimated(
        operator,
        runs.map(({ jacobi }) => jacobi),
      );
    },
  };
}

/** The three-term recurrence alone: three vectors of memory, and Ritz values that come back as ghosts. */
export function unorthogonalised(depth: number): Estimator {
  return {
    name: `without re-orthogonalisation, ${depth} steps`,
    async estimate(operator, products, seed) {
      const jacobis: JacobiMatrix[] = [];
      for (let i = 0; i < Math.max(1, Math.floor(products / depth)); i++) {
        const probe = Random.stream(seed, `probe ${i}`).rademacher(operator.dimension);
        const run = new ThreeTermRun(probe);
        while (run.alpha.length < Math.min(depth, products)) run.absorb((await operator.apply([run.next]))[0]!);
        jacobis.push(run.jacobi);
      }
      return estimated(operator, jacobis);
    },
  };
}

export class ThreeTermRun {
  readonly alpha: number[] = [];
  readonly beta: number[] = [];
  private previous: Float32Array | undefined;
  next: Float32Array;

  constructor(probe: Float32Array) {
    this.next = Float32Array.from(probe);
    scale(1 / Math.sqrt(squaredNorm(probe)), this.next);
  }

  get jacobi(): JacobiMatrix {
    return { alpha: Float64Array.from(this.alpha), beta: Float64Array.from(this.beta) };
  }

  absorb(product: Float32Array): void {
    const alpha = dot(product, this.next);
    const coupling = this.beta.at(-1) ?? 0;
    let square = 0;
    product.forEach((value, i) => {
      const rest = value - alpha * this.next[i]! - coupling * (this.previous?.[i] ?? 0);
      square += rest * rest;
      product[i] = rest;
    });
    const beta = Math.sqrt(square);
    this.alpha.push(alpha);
    this.beta.push(beta);
    if (beta > 0) scale(1 / beta, product);
    this.previous = this.next;
    this.next = product;
  }
}

/** Products, bracket and sampling error of scalar runs, as the product has them. */
function estimated({ dimension, positiveSemidefinite }: SymmetricOperator, jacobis: JacobiMatrix[]): Estimated {
  const measure = spectralMeasure(dimension, jacobis);
  return {
    products: jacobis.reduce((sum, { alpha }) => sum + alpha.length, 0),
    bounds: positiveSemidefinite ? ruleBounds(measure) : modulusBounds(jacobis),
    standardError: samplingError(measure),
  };
}
