import type { CurvatureKind } from '../../../protocol/analysis';
import { CurvatureOperator, type NetworkSource, type ProductProgress } from '../curvature/operator';
import type { ParameterLayout } from '../curvature/parameters';
import type { Engine } from '../engine/engine';
import { RecalledOperator, type AnalysisClock, type Journal } from './journal';
import type { Progress } from './progress';
import { SampleParts } from './sample-parts';
import type { Subject } from './subject';

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
    return this.make(kind, layout, 0, JSON.stringify(names));
  }

  /** Of parts of the samples of `subject`, which the caller disposes of. */
  parts(kind: CurvatureKind, subject: Subject): SampleParts {
    const create = (source: NetworkSource, work: ProductProgress) => {
      const { model, batches } = source.network;
      return new CurvatureOperator(this.engine, model, subject.layout, kind, batches, work, source);
    };
    return new SampleParts(subject, create, this.journal, this.clock, this.progress);
  }

  private make(kind: CurvatureKind, layout: ParameterLayout, cacheBytes: number, part?: string): RecalledOperator {
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
      part,
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
