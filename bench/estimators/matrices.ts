/** Small dense matrices in float64, row by row, written to be checked by eye. */
export type Matrix = number[][];

export function product(a: Matrix, b: Matrix): Matrix {
  return a.map((row) => b[0]!.map((_, j) => row.reduce((sum, value, k) => sum + value * b[k]![j]!, 0)));
}

export function transposed(a: Matrix): Matrix {
  return a[0]!.map((_, j) => a.map((row) => row[j]!));
}

/** a + factor·b. */
export function sum(a: Matrix, b: Matrix, factor = 1): Matrix {
  return a.map((row, i) => row.map((value, j) => value + factor * b[i]![j]!));
}

export function scaled(a: Matrix, factor: number): Matrix {
  return a.map((row) => row.map((value) => factor * value));
}

export function identity(n: number): Matrix {
  return Array.from({ length: n }, (_, i) => Array.from({ length: n }, (__, j) => Number(i === j)));
}

export function trace(a: Matrix): number {
  return a.reduce((total, row, i) => total + row[i]!, 0);
}

/** Gauss–Jordan with partial pivoting. */
export function inverse(a: Matrix): Matrix {
  const n = a.length;
  const rows = a.map((row, i) => [...row, ...identity(n)[i]!]);
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(rows[i]![k]!) > Math.abs(rows[pivot]![k]!)) pivot = i;
    [rows[k], rows[pivot]] = [rows[pivot]!, rows[k]!];
    const head = rows[k]!;
    for (let i = 0; i < n; i++) {
      const factor = rows[i]![k]! / head[k]!;
      if (i !== k && factor !== 0) rows[i] = rows[i]!.map((value, j) => value - factor * head[j]!);
    }
  }
  return rows.map((row, i) => row.slice(n).map((value) => value / row[i]!));
}

/**
 * A complex matrix X + iY as the real [[X, −Y], [Y, X]]: sums, products and
 * inverses are those of the complex one, its transpose is the conjugate's.
 */
export function complex(real: Matrix, imaginary: Matrix): Matrix {
  return [
    ...real.map((row, i) => [...row, ...imaginary[i]!.map((value) => -value)]),
    ...imaginary.map((row, i) => [...row, ...real[i]!]),
  ];
}

export function imaginaryPart(a: Matrix): Matrix {
  const [rows, columns] = [a.length / 2, a[0]!.length / 2];
  return a.slice(rows).map((row) => row.slice(0, columns));
}
