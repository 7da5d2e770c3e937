import type { LimitEnd, LimitResult } from '../../../protocol/analysis';
import { duration, grouped, percent } from '../../../protocol/numbers';
import { NORMAL_95 } from '../limit/limit';

/**
 * How a study of one operator goes on, from what it asks, what it may spend and
 * what it has seen. Nothing is computed here: a plan is made anew after every
 * round of products, which costs microseconds.
 */

/** What is known when a plan is made. */
export interface Situation {
  /** Directions that are not known to be flat. */
  readonly dimension: number;
  /** Wished width of the interval. */
  readonly tolerance: number;
  /** Most Lanczos steps. */
  readonly steps: number;
  /** Basis vectors that fit into memory together. */
  readonly vectors: number;
  /** Most probes; absent where as many may be taken as are worth it. */
  readonly probes?: number;
  /** Of one product, by those made so far. */
  readonly secondsPerProduct: number;
  readonly secondsLeft: number;
  /** Width of the first probe's bracket after each of its steps. */
  readonly widths: readonly number[];
  /** Whether that probe's run has not ended by itself. */
  readonly running: boolean;
  /** The latest; null before the first step. */
  readonly limit: Pick<LimitResult, 'bracket' | 'interval' | 'standardError' | 'resolved' | 'curvature'> | null;
}

/** Why a study ended; how many steps fit into the memory is decided before it. */
export type StudyEnd = Exclude<LimitEnd, 'memory'>;

export interface Cost {
  readonly products: number;
  readonly seconds: number;
}

export type Plan =
  /** The first probe's run, one step; it is expected to end at `depth` after `rest`. */
  | { readonly kind: 'deepen'; readonly depth: number; readonly predicted: boolean; readonly rest: Cost }
  /** Further probes, side by side, to the first one's depth. */
  | { readonly kind: 'probes'; readonly count: number; readonly depth: number; readonly rest: Cost }
  /** All columns, and with them every eigenvalue. */
  | { readonly kind: 'matrix'; readonly rest: Cost }
  | { readonly kind: 'end'; readonly end: StudyEnd };

/** Probes that share one pass over the data: the part of the network that does not depend on them is computed once. */
export const PROBES_PER_PASS = 4;
const MOST_PROBES = 512;
/** Order of the largest matrix that is computed in whole: 72 MB, and half a minute for its eigenvalues. */
const LARGEST_MATRIX = 3000;
/** Operations per second of the eigenvalues, at least; there are 4/3·D³. */
const EIGENVALUE_RATE = 5e8;
/** Operations per second of re-orthogonalisation, at least; a step with m vectors takes about 6·m·D. */
const ORTHOGONALISATION_RATE = 1e9;
/** Of the tolerance that the quadrature may use; the rest is left to the sampling error. */
const QUADRATURE_SHARE = 0.6;
/** A bracket can be narrow by accident while the spectrum is hardly known. */
const MINIMUM_STEPS = 12;
/** Of the eigenvalues that count, what float32 may blur without being what keeps the interval wide. */
const BLURRED = 0.02;

/** @returns the next round of products, or why there is none */
export function plan(situation: Situation): Plan {
  const { limit, running, steps, widths, secondsLeft, vectors, secondsPerProduct } = situation;
  const depth = widths.length;
  if (limit === null) return deepen(situation, steps, false);
  const { curvature } = limit;
  if (curvature.exact)
    return { kind: 'end', end: limit.resolved ? 'resolved' : isBlurred(limit) ? 'float32' : 'exhausted' };
  const isAccident = depth < MINIMUM_STEPS && running;
  if (limit.resolved && !isAccident) return { kind: 'end', end: 'resolved' };

  // 1. As deep as the bracket demands, which is what one probe is good for.
  const isNarrow = bracketWidth(limit) <= QUADRATURE_SHARE * situation.tolerance;
  if (!isNarrow || isAccident) {
    if (depth >= steps && curvature.probes === 1) return { kind: 'end', end: 'steps' };
    if (secondsLeft <= 0) return { kind: 'end', end: 'time' };
    // Several probes together may be wider than the first, whose depth they share.
    if (!running || curvature.probes > 1) return { kind: 'end', end: 'exhausted' };
    const expected = expectedDepth(widths, QUADRATURE_SHARE * situation.tolerance);
    if (expected !== null && isMatrixCheaper(situation, limit, expected)) return matrix(situation);
    return deepen(situation, Math.min(steps, expected ?? steps), expected !== null);
  }

  // 2. Then as many probes as the sampling error demands, or every eigenvalue.
  if (isBlurred(limit)) return { kind: 'end', end: 'float32' };
  if (isMatrixCheaper(situation, limit, depth)) return matrix(situation);
  if (curvature.probes >= (situation.probes ?? MOST_PROBES)) return { kind: 'end', end: 'exhausted' };
  const count = Math.max(1, Math.min(PROBES_PER_PASS, Math.floor(vectors / (depth + 1))));
  const rest = { products: count * depth, seconds: count * runSeconds(situation, 0, depth) };
  // Shallower ones would be of no use: their quadrature is another.
  if (secondsLeft < secondsPerProduct * rest.products) return { kind: 'end', end: 'time' };
  return { kind: 'probes', count, depth, rest };
}

function isBlurred({ curvature }: Pick<LimitResult, 'curvature'>): boolean {
  return curvature.blur > BLURRED * curvature.scale;
}

function bracketWidth({ bracket: [low, high] }: Pick<LimitResult, 'bracket'>): number {
  return high - low;
}

function deepen(situation: Situation, depth: number, predicted: boolean): Plan {
  const done = situation.widths.length;
  const rest = { products: Math.max(1, depth - done), seconds: runSeconds(situation, done, depth) };
  return { kind: 'deepen', depth, predicted, rest };
}

/** Of steps `from` to `to` of one run: its products, and the re-orthogonalisation that grows with every step. */
function runSeconds({ dimension, secondsPerProduct }: Situation, from: number, to: number): number {
  const orthogonalisation = (3 * dimension * (to * to - from * from)) / ORTHOGONALISATION_RATE;
  return secondsPerProduct * Math.max(1, to - from) + Math.max(0, orthogonalisation);
}

/** That all eigenvalues of a matrix take at most. */
export function eigenvalueSeconds(dimension: number): number {
  return (4 / 3) * (dimension ** 3 / EIGENVALUE_RATE);
}

function matrix({ dimension, secondsPerProduct }: Situation): Plan {
  return {
    kind: 'matrix',
    rest: { products: dimension, seconds: dimension * secondsPerProduct + eigenvalueSeconds(dimension) },
  };
}

/** Whether all columns are fewer products than what probes to `depth` would still take, and end in time. */
function isMatrixCheaper(situation: Situation, limit: NonNullable<Situation['limit']>, depth: number): boolean {
  const { dimension, tolerance, secondsPerProduct, secondsLeft, widths } = situation;
  if (dimension > LARGEST_MATRIX) return false;
  const width = Math.min(bracketWidth(limit), QUADRATURE_SHARE * tolerance);
  const wished = (tolerance - width) / (2 * NORMAL_95);
  const missing = limit.curvature.probes * ((limit.standardError / wished) ** 2 - 1);
  const probes = Math.ceil(Math.max(0, missing) / PROBES_PER_PASS) * PROBES_PER_PASS;
  if (dimension > probes * depth + Math.max(0, depth - widths.length)) return false;
  return dimension * secondsPerProduct + eigenvalueSeconds(dimension) < secondsLeft;
}

/** Steps whose widths tell how the bracket shrinks, at least. */
const STEPS_TO_JUDGE = 8;

/**
 * The depth at which the bracket is as narrow as `wished`, were it to go on
 * shrinking by the factor per step of the second half of its steps (least
 * squares of the logarithm); null when that half is too short, or did not shrink.
 */
export function expectedDepth(widths: readonly number[], wished: number): number | null {
  const first = widths.length >> 1;
  const count = widths.length - first;
  if (count < STEPS_TO_JUDGE) return null;
  const logs = widths.slice(first).map((width) => Math.log(Math.max(width, Number.MIN_VALUE)));
  const centre = (count - 1) / 2;
  let covariance = 0;
  logs.forEach((log, i) => (covariance += (i - centre) * log));
  const slope = covariance / ((count * (count * count - 1)) / 12);
  if (!(slope < 0)) return null;
  const missing = (Math.log(wished) - logs.at(-1)!) / slope;
  return widths.length + Math.max(1, Math.ceil(missing));
}

/** What is being computed from now on, for the progress. */
export function announcement(next: Plan, steps: number, probes: number): string {
  switch (next.kind) {
    case 'deepen': {
      const about = next.predicted ? 'about' : 'at most';
      return `step ${steps + 1} of ${about} ${next.depth}, ${about} ${duration(next.rest.seconds)} to go`;
    }
    case 'probes':
      return `more probes, ${probes + 1} to ${probes + next.count}, ${next.depth} steps each, about ${duration(next.rest.seconds)}`;
    case 'matrix':
      return `whole matrix, ${grouped(next.rest.products)} columns, about ${duration(next.rest.seconds)}`;
    case 'end':
      return 'ended';
  }
}

/**
 * One sentence for the report: what was computed, and why that.
 *
 * @param bound products expected at most, before the first step
 * @param spent products so far
 */
export function explain(
  { curvature, bracket }: Pick<LimitResult, 'curvature' | 'bracket'>,
  next: Plan,
  { bound, spent, flatShare }: { readonly bound: number; readonly spent: number; readonly flatShare: number },
): string {
  const flat = flatShare > 0 ? `, without the ${percent(flatShare)} of the weights whose row is zero` : '';
  const cost = `${grouped(spent)} products, and the first plan had at most ${grouped(bound)}`;
  if (curvature.exact) {
    return `every eigenvalue from all ${grouped(curvature.steps)} columns${flat}, because the probes that the sampling error asked for would have been more products; ${cost}`;
  }
  const { steps, probes } = curvature;
  const what = `${probes === 1 ? 'one probe' : `${probes} probes`} to Lanczos step ${steps}${flat}`;
  return `${what}, ${because(next, percent(bracket[1] - bracket[0], 2), probes)}; ${cost}`;
}

function because(next: Plan, width: string, probes: number): string {
  switch (next.kind) {
    case 'deepen':
      return next.predicted
        ? `because the bracket, ${width} now, shrinks to what is asked by about step ${next.depth}`
        : `because it is not known yet how deep the bracket asks for`;
    case 'probes':
      return `because at this depth the bracket is ${width} and the sampling error decides`;
    case 'matrix':
      return `because every eigenvalue takes fewer products than the probes that are missing, and is next`;
    case 'end':
      break;
  }
  switch (next.end) {
    case 'resolved':
      return `because there the bracket is ${width}${probes > 1 ? ' and so many keep the sampling error within what is asked' : ' and the sampling error within what is asked'}`;
    case 'steps':
      return `because more steps were not granted, which leaves a bracket of ${width}`;
    case 'time':
      return `because the time was spent, which leaves a bracket of ${width}`;
    case 'float32':
      return `because float32 blurs what is left, a bracket of ${width}`;
    case 'exhausted':
      return `because neither steps nor probes would narrow the bracket of ${width}`;
  }
}
