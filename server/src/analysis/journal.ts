import type { CurvatureKind } from '../../../protocol/analysis';
import type { StudiedOperator } from './limit-study';

/** Whose products they are: the kind, of a diagonal block its layers, of a part of the samples which, and at which scale. */
export type JournalledOperator = `${CurvatureKind}${'' | ` of ${string}`}${'' | ' rescaled'}`;

/** Products of one `apply`, as they were computed. */
export interface JournalEntry {
  readonly products: readonly Float32Array[];
  /** Seconds that they took. */
  readonly seconds: number;
  /** When they were there, in milliseconds on the analysis' own clock. */
  readonly at: number;
}

/**
 * Remembers the products of an analysis, so that another process can go on
 * where one was killed. An entry is found by the operator and the very bits of
 * the vectors: everything between two products is computed again, and comes out
 * the same, so an analysis that goes on has the result of one that was never
 * interrupted, bit for bit.
 */
export interface Journal {
  /** Null when these products were not kept. */
  recall(operator: JournalledOperator, vectors: readonly Float32Array[]): JournalEntry | null;
  keep(operator: JournalledOperator, vectors: readonly Float32Array[], entry: JournalEntry): void;
}

/** Without a journal nothing is kept and nothing recalled. */
export const NO_JOURNAL: Journal = { recall: () => null, keep: () => undefined };

/**
 * Milliseconds that an analysis has been at work. What it did before it was
 * interrupted counts and the interruption does not, so that the budget is spent
 * once, and ends in the same place.
 */
export class AnalysisClock {
  private passed = 0;
  private since: number;

  constructor(private readonly time: () => number = () => performance.now()) {
    this.since = time();
  }

  readonly now = (): number => this.passed + this.time() - this.since;

  /** It is at least this late: recalled work was done then. */
  advance(at: number): void {
    if (at <= this.now()) return;
    this.passed = at;
    this.since = this.time();
  }
}

export interface DisposableOperator extends StudiedOperator {
  dispose(): Promise<void>;
}

/** An operator whose products are recalled where a journal has them, and kept there where it has not. */
export class RecalledOperator implements DisposableOperator {
  products = 0;
  seconds = 0;

  constructor(
    private readonly operator: DisposableOperator,
    private readonly journal: Journal,
    private readonly clock: AnalysisClock,
    /** Told of recalled products; the operator itself tells of those it makes. */
    private readonly onRecalled: (products: number) => void | Promise<void> = () => undefined,
    /** Which part of the whole it is, if it is one: the products of one are not those of another, though the vectors may be the same. */
    private readonly part?: string,
  ) {}

  get kind(): CurvatureKind {
    return this.operator.kind;
  }

  get dimension(): number {
    return this.operator.dimension;
  }

  get positiveSemidefinite(): boolean {
    return this.operator.positiveSemidefinite;
  }

  apply(vectors: readonly Float32Array[]): Promise<Float32Array[]> {
    return this.recalled(this.name, vectors, () => this.operator.apply(vectors));
  }

  rescaled(vectors: readonly Float32Array[]): Promise<Float32Array[]> {
    return this.recalled(`${this.name} rescaled`, vectors, () => this.operator.rescaled(vectors));
  }

  private get name(): CurvatureKind | `${CurvatureKind} of ${string}` {
    return this.part === undefined ? this.kind : `${this.kind} of ${this.part}`;
  }

  private async recalled(
    operator: JournalledOperator,
    vectors: readonly Float32Array[],
    multiply: () => Promise<Float32Array[]>,
  ): Promise<Float32Array[]> {
    const known = this.journal.recall(operator, vectors);
    if (known) {
      this.clock.advance(known.at);
      this.count(vectors.length, known.seconds);
      await this.onRecalled(vectors.length);
      return [...known.products];
    }
    const before = this.operator.seconds;
    const products = await multiply();
    const seconds = this.operator.seconds - before;
    this.count(vectors.length, seconds);
    this.journal.keep(operator, vectors, { products, seconds, at: this.clock.now() });
    return products;
  }

  dispose(): Promise<void> {
    return this.operator.dispose();
  }

  private count(products: number, seconds: number): void {
    this.products += products;
    this.seconds += seconds;
  }
}
