import type { CurvatureKind } from '../../../protocol/analysis';
import { OutOfMemoryError, type CompiledGraph, type Engine } from '../engine/engine';
import type { Model } from '../graph/model';
import type { SymmetricOperator } from '../spectrum/operator';
import type { Batch } from './batches';
import type { ParameterLayout } from './parameters';
import { curvatureProgram, direction, product, TARGETS } from './programs';

export interface ProductProgress {
  /** Called after every batch of every product; `share` of one product over all samples. */
  (share: number): void | Promise<void>;
}

/** A network bound to a batch size, and its samples in batches of that size. */
export interface BatchedNetwork {
  readonly model: Model;
  readonly batches: readonly Batch[];
}

/** The network as it is, whatever happens. */
function fixed(model: Model, batches: readonly Batch[]): NetworkSource {
  return { network: { model, batches }, makeSmaller: () => Promise.resolve(false) };
}

/** A network whose batches may become smaller while it is used. */
export interface NetworkSource {
  readonly network: BatchedNetwork;
  /** After `than` ran out of memory: whether it is worth another try with what is there then. */
  makeSmaller(than: BatchedNetwork, engine: Engine): Promise<boolean>;
}

/**
 * Hessian or Gauss–Newton matrix of the mean loss over all batches, in the
 * weights of the layout (all prunable ones, or a diagonal block of them), as a
 * symmetric operator. The network is compiled once per number of simultaneous
 * probes, with its weights fixed.
 */
export class CurvatureOperator implements SymmetricOperator {
  readonly dimension: number;
  readonly positiveSemidefinite: boolean;
  /** Products over all samples so far, and the seconds they took. */
  products = 0;
  seconds = 0;
  private readonly compiled = new Map<number, CompiledGraph>();
  /** What `compiled` was compiled for. */
  private network: BatchedNetwork;

  constructor(
    private readonly engine: Engine,
    model: Model,
    private readonly layout: ParameterLayout,
    readonly kind: CurvatureKind,
    batches: readonly Batch[],
    private readonly onProgress: ProductProgress = () => undefined,
    /** Where model and batches come from, if they may be replaced by smaller ones. */
    private readonly source: NetworkSource = fixed(model, batches),
  ) {
    this.network = source.network;
    this.dimension = layout.dimension;
    this.positiveSemidefinite = kind === 'ggn';
  }

  /** Sums over batches in float64; one batch's product is float32. */
  async apply(vectors: readonly Float32Array[]): Promise<Float32Array[]> {
    for (;;) {
      if (this.network !== this.source.network) {
        await this.dispose();
        this.network = this.source.network;
      }
      try {
        return await this.multiply(vectors);
      } catch (error) {
        if (!(error instanceof OutOfMemoryError)) throw error;
        if (!(await this.source.makeSmaller(this.network, this.engine))) throw error;
      }
    }
  }

  private async multiply(vectors: readonly Float32Array[]): Promise<Float32Array[]> {
    const { model, batches } = this.network;
    const graph = await this.graphFor(vectors.length);
    const started = performance.now();
    const sums = vectors.map(() => new Float64Array(this.dimension));
    const feeds = new Map<string, Float32Array>();
    vectors.forEach((vector, probe) => {
      for (const { name, offset, length } of this.layout.layers) {
        feeds.set(direction(probe, name), vector.subarray(offset, offset + length));
      }
    });
    for (const batch of batches) {
      feeds.set(model.input.attributes.name, batch.inputs).set(TARGETS, batch.targets);
      const results = await graph.run(feeds);
      sums.forEach((sum, probe) => {
        for (const { name, offset, length } of this.layout.layers) {
          const part = results.get(product(probe, name))!;
          for (let i = 0; i < length; i++) sum[offset + i]! += part[i]!;
        }
      });
      await this.onProgress(vectors.length / batches.length);
    }
    this.products += vectors.length;
    this.seconds += (performance.now() - started) / 1000;
    return sums.map((sum) => Float32Array.from(sum));
  }

  async dispose(): Promise<void> {
    for (const graph of this.compiled.values()) await graph.dispose();
    this.compiled.clear();
  }

  private async graphFor(probes: number): Promise<CompiledGraph> {
    const known = this.compiled.get(probes);
    if (known !== undefined) return known;
    const { model } = this.network;
    const program = curvatureProgram(model, this.kind, probes, this.layout.layers);
    const graph = await this.engine.compile(program, { parameters: model.parameters });
    this.compiled.set(probes, graph);
    return graph;
  }
}
