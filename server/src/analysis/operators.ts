import type { CurvatureKind } from '../../../protocol/analysis';
import { CurvatureOperator, type NetworkSource } from '../curvature/operator';
import type { ParameterLayout } from '../curvature/parameters';
import type { Engine } from '../engine/engine';
import { RecalledOperator, type AnalysisClock, type Journal } from './journal';
import type { Progress } from './progress';

/** The operators of one analysis and what they have cost. Every product is recalled from the journal where it is there. */
export class Operators {
  private readonly whole = new Map<CurvatureKind, RecalledOperator>();

  constructor(
    private readonly engine: Engine,
    private readonly batching: NetworkSource & { readonly network: { readonly layout: ParameterLayout } },
    private readonly journal: Journal,
    private readonly clock: AnalysisClock,
    private readonly progress: Pick<Progress, 'work'>,
    /** Bytes that each operator of all weights may keep from product to product. */
    private readonly cacheBytes: number,
  ) {}

  /** Of all prunable weights; made at the first call. */
  of(kind: CurvatureKind): RecalledOperator {
    const known = this.whole.get(kind);
    if (known !== undefined) return known;
    const operator = this.make(kind, this.batching.network.layout, this.cacheBytes);
    this.whole.set(kind, operator);
    return operator;
  }

  /** Of a diagonal block, which the caller disposes of. */
  block(kind: CurvatureKind, layout: ParameterLayout): RecalledOperator {
    const names = layout.layers.map(({ name }) => name);
    return this.make(kind, layout, 0, names);
  }

  private make(
    kind: CurvatureKind,
    layout: ParameterLayout,
    cacheBytes: number,
    block?: readonly string[],
  ): RecalledOperator {
    const { model, batches } = this.batching.network;
    return new RecalledOperator(
      new CurvatureOperator(
        this.engine,
        model,
        layout,
        kind,
        batches,
        (share) => this.progress.work(share),
        this.batching,
        cacheBytes,
      ),
      this.journal,
      this.clock,
      (products) => this.progress.work(products),
      block,
    );
  }

  /** Products with all prunable weights, and the seconds they took. */
  get spent(): { readonly products: number; readonly seconds: number } {
    let [products, seconds] = [0, 0];
    for (const operator of this.whole.values()) {
      products += operator.products;
      seconds += operator.seconds;
    }
    return { products, seconds };
  }

  async dispose(): Promise<void> {
    for (const operator of this.whole.values()) await operator.dispose();
  }
}
