import { tridiagonalEigen } from './tridiagonal';

/**
 * Quadrature rules from the tridiagonal matrix of the Lanczos process (Golub &
 * Meurant 1994; 2010, chapter 6). For a probe of norm 1 they approximate
 *
 *     vᵀ f(A) v ≈ Σ weights[i] · f(nodes[i]).
 */
export interface QuadratureRule {
  /** Ascending. */
  readonly nodes: Float64Array;
  /** Not negative; they sum to 1. */
  readonly weights: Float64Array;
}

/** T of m Lanczos steps: diagonal α, and β whose last entry is the norm of the residual. */
export interface JacobiMatrix {
  readonly alpha: Float64Array;
  readonly beta: Float64Array;
}

/** `jacobi` as it was after its first `depth` steps. */
export function truncate(jacobi: JacobiMatrix, depth: number): JacobiMatrix {
  return { alpha: jacobi.alpha.subarray(0, depth), beta: jacobi.beta.subarray(0, depth) };
}

/**
 * Gauss quadrature: nodes are the Ritz values, weights the squared first
 * components of T's eigenvectors. Exact for polynomials of degree 2m − 1; for
 * completely monotone f on a positive semidefinite operator a lower bound.
 */
export function gaussRule(jacobi: JacobiMatrix): QuadratureRule {
  const { values, first } = tridiagonalEigen(jacobi.alpha, jacobi.beta);
  return { nodes: values, weights: first.map((component) => component * component) };
}

/**
 * Most that the entry which pins the node may exceed ‖T‖ by. Beyond, the rule
 * is that of the previous depth (see `radauRule`).
 */
const LARGEST_EXTENSION = 1e6;

/**
 * Gauss–Radau quadrature with one node at 0 and m free ones, without another
 * product: T is extended by one row whose diagonal entry makes it singular
 * (Golub 1973). For completely monotone f, as c/(λ + c), on a positive
 * semidefinite operator it is an upper bound that falls with every step. For an
 * indefinite operator it is no bound, only a second opinion.
 *
 * The entry is β_m² / d_m, with d_m the last pivot of T. Where that fails:
 *
 * 1. T itself has an eigenvalue near 0, so that d_m ≈ 0 and the entry is
 *    infinite: the extension decouples and the rule degenerates to Gauss, which
 *    would close the bracket by accident. The rule of the previous depth, which
 *    cannot be degenerate at the same time, is still a bound and is used instead.
 * 2. β_m = 0: the Gauss rule is exact, and is the answer.
 *
 * Float32 products leave Ritz values at −10⁻⁸ ‖T‖ where 0 was meant. The bound
 * is then wrong by that over c, as everything is; pinning the node further left
 * was tried and made it worse.
 */
export function radauRule(jacobi: JacobiMatrix): QuadratureRule {
  const { alpha, beta } = jacobi;
  const m = alpha.length;
  if (m > 0 && beta[m - 1] === 0) return gaussRule(jacobi);
  const norm = rowSumNorm(jacobi);

  // Pivots of T, and with them the deepest extension that is not degenerate.
  let depth = 0;
  let entry = 0;
  let pivot = 1;
  for (let j = 0; j < m; j++) {
    const coupling = j > 0 ? beta[j - 1]! * beta[j - 1]! : 0;
    pivot = alpha[j]! - coupling / pivot;
    if (pivot === 0) pivot = Number.EPSILON * norm;
    const extension = (beta[j]! * beta[j]!) / pivot;
    if (Math.abs(extension) > LARGEST_EXTENSION * norm) continue;
    depth = j + 1;
    entry = extension;
  }

  const diagonal = new Float64Array(depth + 1);
  diagonal.set(alpha.subarray(0, depth));
  diagonal[depth] = entry;
  const { values, first } = tridiagonalEigen(diagonal, beta.subarray(0, depth));
  values[nearestToZero(values)] = 0;
  return { nodes: values, weights: first.map((component) => component * component) };
}

/** Σ weights[i] · f(|nodes[i]|): what the paper takes of an indefinite spectrum. */
export function integrate(rule: QuadratureRule, f: (modulus: number) => number): number {
  let sum = 0;
  for (let i = 0; i < rule.nodes.length; i++) sum += rule.weights[i]! * f(Math.abs(rule.nodes[i]!));
  return sum;
}

/** Gershgorin: an upper bound of ‖T‖, with the residual counted in. */
export function rowSumNorm({ alpha, beta }: JacobiMatrix): number {
  let norm = 0;
  for (let j = 0; j < alpha.length; j++) {
    norm = Math.max(norm, Math.abs(alpha[j]!) + Math.abs(beta[j]!) + (j > 0 ? Math.abs(beta[j - 1]!) : 0));
  }
  return norm;
}

function nearestToZero(values: Float64Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (Math.abs(values[i]!) < Math.abs(values[best]!)) best = i;
  return best;
}
