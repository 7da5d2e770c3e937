/** What came back, and what did not, in weights kept: the limit lies between. */
export interface KeptBracket {
  /** The fewest that came back. */
  readonly reached: number;
  /** The most below them that did not; 0 at the beginning, for without weights nothing comes back. */
  readonly missed: number;
}

/** A bracket is not narrowed below this share of the weights kept, … */
const FINE_KEEP = 0.05;
/** … and what has come back is halved until something does not. */
const DESCENT = 2;

/**
 * How many weights to keep next, or null when the bracket is narrow enough:
 * half of what came back while nothing has failed, then the geometric mean of
 * both ends.
 *
 * @param weights all there are
 * @param tolerance wished width, as a fraction of them
 */
export function nextKept({ reached, missed }: KeptBracket, weights: number, tolerance: number): number | null {
  if (reached - missed <= 1) return null;
  if (missed === 0) return Math.floor(reached / DESCENT);
  const width = reached - missed;
  if (width <= tolerance * weights || width <= FINE_KEEP * reached) return null;
  return Math.min(reached - 1, Math.max(missed + 1, Math.round(Math.sqrt(reached * missed))));
}

/** The bracket after a trial within it. */
export function narrowed({ reached, missed }: KeptBracket, kept: number, cameBack: boolean): KeptBracket {
  return cameBack ? { reached: kept, missed } : { reached, missed: kept };
}
