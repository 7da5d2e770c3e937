import { sampleStandardError } from '../../server/src/spectrum/estimate';
import type { SymmetricOperator } from '../../server/src/spectrum/operator';
import { inner } from '../../server/src/spectrum/testing';
import { combineTraces, traceSample } from '../../server/src/spectrum/traces';
import { Random } from '../../server/src/random';
import type { TraceEstimator } from './estimator';
import { inverse, product, type Matrix } from './matrices';

/** Hutchinson (1990), as it ships. */
export const hutchinson: TraceEstimator = {
  name: 'Hutchinson',
  async estimate(operator, products, seed) {
    const vectors = signs(operator.dimension, products, seed);
    const images = await operator.apply(vectors);
    return combineTraces(vectors.map((v, i) => traceSample(v, images[i]!))).trace;
  },
};

/** Hutch++ (Meyer, Musco, Musco, Woodruff 2021): a third each for a range, the trace over it, and probes of the rest. */
export const hutchPlusPlus: TraceEstimator = {
  name: 'Hutch++',
  async estimate(operator, products, seed) {
    const third = Math.floor(products / 3);
    const drawn = signs(operator.dimension, products - third, seed);
    const range = orthonormal(await operator.apply(drawn.slice(0, third)));
    const images = await applied(operator, range);
    const over = range.reduce((sum, q, i) => sum + inner(q, images[i]!), 0);
    const rest = drawn.slice(third).map((v) => {
      const w = Float64Array.from(v);
      for (const q of range) subtract(w, inner(q, w), q);
      return Float32Array.from(w);
    });
    const forms = (await operator.apply(rest)).map((image, i) => inner(rest[i]!, image));
    const mean = forms.reduce((sum, form) => sum + form, 0) / forms.length;
    return { value: over + mean, standardError: sampleStandardError(forms) };
  },
};

/** XTrace (Epperly, Tropp, Webber 2024): every probe is of the rest that the others leave, scaled to its size. */
export const xTrace: TraceEstimator = {
  name: 'XTrace',
  async estimate(operator, products, seed) {
    const n = operator.dimension;
    const m = Math.floor(products / 2);
    const drawn = Array.from({ length: m }, (_, i) => Random.stream(seed, `gaussian ${i}`).gaussianVector(n));
    const omega = drawn.map((v) => Float32Array.from(v));
    const y = await operator.apply(omega);
    const q = orthonormal(y);
    const aq = await applied(operator, q);
    const r: Matrix = q.map((column) => y.map((image) => inner(column, image)));
    const h: Matrix = q.map((column) => aq.map((image) => inner(column, image)));
    const whole = h.reduce((sum, row, i) => sum + row[i]!, 0);
    // Row i of R⁻¹, a column of R⁻ᵀ, spans what probe i alone brought to the range.
    const alone = inverse(r).map((row) => {
      const norm = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
      return row.map((x) => x / norm);
    });
    const estimates = omega.map((w, i) => {
      const s = alone[i]!;
      const a = q.map((column) => inner(column, w));
      const overlap = a.reduce((sum, x, k) => sum + x * s[k]!, 0);
      const others = a.map((x, k) => x - overlap * s[k]!);
      const ha = product(
        h,
        others.map((x) => [x]),
      );
      const cross = aq.reduce((sum, image, k) => sum + inner(w, image) * others[k]!, 0);
      const form = inner(w, y[i]!) - 2 * cross + others.reduce((sum, x, k) => sum + x * ha[k]![0]!, 0);
      const removed = product(
        h,
        s.map((x) => [x]),
      ).reduce((sum, [x], k) => sum + x! * s[k]!, 0);
      const left = inner(w, w) - others.reduce((sum, x) => sum + x * x, 0);
      return whole - removed + (form * (n - m + 1)) / left;
    });
    const mean = estimates.reduce((sum, x) => sum + x, 0) / m;
    return { value: mean, standardError: sampleStandardError(estimates) };
  },
};

function signs(dimension: number, count: number, seed: number): Float32Array[] {
  return Array.from({ length: count }, (_, i) => Random.stream(seed, `signs ${i}`).rademacher(dimension));
}

function applied(operator: SymmetricOperator, vectors: readonly Float64Array[]): Promise<Float32Array[]> {
  return operator.apply(vectors.map((v) => Float32Array.from(v)));
}

function subtract(w: Float64Array, factor: number, q: Float64Array): void {
  for (let i = 0; i < w.length; i++) w[i]! -= factor * q[i]!;
}

/** Gram–Schmidt twice. */
function orthonormal(vectors: readonly ArrayLike<number>[]): Float64Array[] {
  const basis: Float64Array[] = [];
  for (const vector of vectors) {
    const w = Float64Array.from(vector);
    for (const q of [...basis, ...basis]) subtract(w, inner(q, w), q);
    const norm = Math.sqrt(inner(w, w));
    basis.push(w.map((x) => x / norm));
  }
  return basis;
}
