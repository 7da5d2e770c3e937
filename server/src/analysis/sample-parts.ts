import type { BatchedNetwork, CurvatureOperator, NetworkSource, ProductProgress } from '../curvature/operator';
import type { Engine } from '../engine/engine';
import { Batching } from './batching';
import { RecalledOperator, type AnalysisClock, type Journal } from './journal';
import type { Progress } from './progress';
import type { Subject } from './subject';

/**
 * A curvature operator on one part of the samples after another. The network is
 * compiled once for all of them: only what it is fed changes.
 */
export class SampleParts implements NetworkSource {
  private batching: Batching;
  private readonly operator: CurvatureOperator;

  constructor(
    private subject: Subject,
    create: (source: NetworkSource, work: ProductProgress) => CurvatureOperator,
    private readonly journal: Journal,
    private readonly clock: AnalysisClock,
    private readonly progress: Pick<Progress, 'work'>,
  ) {
    // Said already, of all samples.
    this.batching = new Batching(subject, () => undefined);
    this.operator = create(this, (share) => this.progress.work(share * this.share));
  }

  get network(): BatchedNetwork {
    return this.batching.network;
  }

  makeSmaller(than: BatchedNetwork, engine: Engine): Promise<boolean> {
    return this.batching.makeSmaller(than, engine);
  }

  /**
   * That of the samples from `first` up to `end`, without it, in the order in which
   * they were chosen; to be used until the next call and no longer.
   */
  async of(first: number, end: number): Promise<RecalledOperator> {
    const { batch } = this.batching.network;
    // Memory that ran out once would do so again.
    if (batch < this.subject.batch) this.subject = await this.subject.withBatch(batch);
    this.batching = new Batching(this.subject.part(first, end), () => undefined);
    const { share } = this;
    const work = (products: number) => this.progress.work(products * share);
    return new RecalledOperator(this.operator, this.journal, this.clock, work, `samples ${first} to ${end}`);
  }

  /** Of all samples, those of the part. */
  private get share(): number {
    return this.batching.network.samples / this.subject.samples;
  }

  dispose(): Promise<void> {
    return this.operator.dispose();
  }
}
