/** A real symmetric linear operator, known only by its products with vectors. */
export interface SymmetricOperator {
  readonly dimension: number;
  /** No negative eigenvalues, so that quadrature brackets are bounds. */
  readonly positiveSemidefinite: boolean;
  /**
   * Products with each of `vectors` (all of length `dimension`), in one pass
   * over the data. The results are fresh arrays the caller may keep or change.
   */
  apply(vectors: readonly Float32Array[]): Promise<Float32Array[]>;
}
