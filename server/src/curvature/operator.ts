import type { CurvatureKind } from '../../../protocol/analysis';
import { OutOfMemoryError, type CompiledGraph, type Engine } from '../engine/engine';
import type { Model } from '../graph/model';
import { splitGraph } from '../graph/passes/split';
import { elementCount } from '../graph/shapes';
import type { SymmetricOperator } from '../spectrum/operator';
import { rescaledBatches, type Batch } from './batches';
import type { ParameterLayout } from './parameters';
import { curvatureProgram, direction, isDirection, product, TARGETS } from './programs';

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

/** A network whose batches may become smaller while it is used, or be those of other samples. */
export interface NetworkSource {
  readonly network: BatchedNetwork;
  /** After `than` ran out of memory: whether it is worth another try with what is there then. */
  makeSmaller(than: BatchedNetwork, engine: Engine): Promise<boolean>;
}

/** Products in one pass over a batch, at most: more would share little more, and take memory in proportion. */
export const PROBES_PER_PASS = 4;

/** The program for a number of vectors. */
interface Compiled {
  readonly graph: CompiledGraph;
  /** Where its products of a batch are written, by their names. */
  readonly answers: ReadonlyMap<string, Float32Array>;
  /** Batches whose values that do not depend on the vectors are kept; 0 where the program computes them itself. */
  readonly kept: number;
}

/** Bytes of a float32. */
const FLOAT = 4;

/** Of `rescaled`: no powers of two, which would round nothing differently, and below 1, so that nothing overflows by them. */
const [VECTOR_SCALE, LOSS_SCALE] = [Math.fround(Math.sqrt(1 / 2)), Math.fround(Math.sqrt(1 / 3))];

/**
 * Hessian or Gauss–Newton matrix of the mean loss over all batches, in the
 * weights of the layout (all prunable ones, or a diagonal block of them), as a
 * symmetric operator. The network is compiled once per number of simultaneous
 * probes, with its weights fixed.
 *
 * The half that does not depend on the vectors (2 of 8 convolutions of a
 * Hessian product, 1 of 4 of a Gauss–Newton one) is computed once per batch and
 * kept, as far as `cacheBytes` reach.
 */
export class CurvatureOperator implements SymmetricOperator {
  readonly dimension: number;
  readonly positiveSemidefinite: boolean;
  /** Products over all samples so far, and the seconds they took. */
  products = 0;
  seconds = 0;
  private readonly compiled = new Map<number, Compiled>();
  /** What the programs write their products of one batch into, by name: they are run one at a time. */
  private readonly answers = new Map<string, Float32Array>();
  private fixedGraph: CompiledGraph | undefined;
  /** By batch, what the fixed part answered. */
  private readonly cache = new Map<Batch, ReadonlyMap<string, Float32Array>>();
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
    /** Bytes that values kept from product to product may take; 0 keeps none. */
    private readonly cacheBytes = 0,
  ) {
    this.network = source.network;
    this.dimension = layout.dimension;
    this.positiveSemidefinite = kind === 'ggn';
  }

  /** Sums over batches in float64; one batch's product is float32. */
  apply(vectors: readonly Float32Array[]): Promise<Float32Array[]> {
    return this.fitting(vectors, ({ batches }) => batches, true);
  }

  /**
   * The same products from vectors and a loss of another scale, in which they are
   * linear: what differs is what float32 rounds in every pass but the forward one. That
   * one is left alone, since it decides on which side of a ReLU's kink the network is.
   */
  async rescaled(vectors: readonly Float32Array[]): Promise<Float32Array[]> {
    const products = await this.fitting(
      vectors.map((vector) => vector.map((x) => VECTOR_SCALE * x)),
      ({ batches }) => rescaledBatches(batches, LOSS_SCALE),
      false,
    );
    return products.map((product) => product.map((x) => x / (VECTOR_SCALE * LOSS_SCALE)));
  }

  private async fitting(
    vectors: readonly Float32Array[],
    batches: (network: BatchedNetwork) => Iterable<Batch>,
    keep: boolean,
  ): Promise<Float32Array[]> {
    for (;;) {
      if (this.network !== this.source.network) {
        // Other samples alone need no other program.
        if (this.network.model !== this.source.network.model) await this.dispose();
        this.network = this.source.network;
      }
      try {
        return await this.multiply(vectors, batches(this.network), keep);
      } catch (error) {
        if (!(error instanceof OutOfMemoryError)) throw error;
        if (!(await this.source.makeSmaller(this.network, this.engine))) throw error;
      }
    }
  }

  /** @param keep whether these batches come again, so that what does not depend on the vectors may be kept */
  private async multiply(
    vectors: readonly Float32Array[],
    batches: Iterable<Batch>,
    keep: boolean,
  ): Promise<Float32Array[]> {
    const count = this.network.batches.length;
    const started = performance.now();
    // Of one batch there is nothing to sum.
    const sums = vectors.map(() => (count === 1 ? new Float32Array(this.dimension) : new Float64Array(this.dimension)));
    let index = 0;
    for (const batch of batches) {
      for (let first = 0; first < vectors.length; first += PROBES_PER_PASS) {
        const part = vectors.slice(first, first + PROBES_PER_PASS);
        await this.addProducts(part, batch, index, keep, sums.slice(first));
        await this.onProgress(part.length / count);
      }
      index++;
    }
    this.products += vectors.length;
    this.seconds += (performance.now() - started) / 1000;
    return sums.map((sum) => (sum instanceof Float32Array ? sum : new Float32Array(sum)));
  }

  /** One batch's share; what is kept is kept of the batches of the smallest `index`. */
  private async addProducts(
    vectors: readonly Float32Array[],
    batch: Batch,
    index: number,
    keep: boolean,
    sums: readonly (Float32Array | Float64Array)[],
  ): Promise<void> {
    const compiled = await this.graphsFor(vectors.length);
    const feeds = new Map<string, Float32Array>([
      [this.network.model.input.attributes.name, batch.inputs],
      [TARGETS, batch.targets],
    ]);
    for (const [name, value] of await this.fixedValues(compiled.kept, batch, keep ? index : Infinity, feeds))
      feeds.set(name, value);
    vectors.forEach((vector, probe) => {
      for (const { name, offset, length } of this.layout.layers) {
        feeds.set(direction(probe, name), vector.subarray(offset, offset + length));
      }
    });
    const results = await compiled.graph.run(feeds, compiled.answers);
    vectors.forEach((_, probe) => {
      const sum = sums[probe]!;
      for (const { name, offset, length } of this.layout.layers) {
        const part = results.get(product(probe, name))!;
        if (index === 0) sum.set(part, offset);
        else for (let i = 0; i < length; i++) sum[offset + i]! += part[i]!;
      }
    });
  }

  private async fixedValues(
    kept: number,
    batch: Batch,
    index: number,
    feeds: ReadonlyMap<string, Float32Array>,
  ): Promise<ReadonlyMap<string, Float32Array>> {
    if (kept === 0) return new Map();
    const known = this.cache.get(batch);
    if (known !== undefined) return known;
    const values = await this.fixedGraph!.run(feeds);
    if (index < kept) this.cache.set(batch, values);
    return values;
  }

  async dispose(): Promise<void> {
    for (const { graph } of this.compiled.values()) await graph.dispose();
    await this.fixedGraph?.dispose();
    this.fixedGraph = undefined;
    this.compiled.clear();
    this.answers.clear();
    this.cache.clear();
  }

  private async graphsFor(probes: number): Promise<Compiled> {
    let compiled = this.compiled.get(probes);
    if (compiled === undefined) this.compiled.set(probes, (compiled = await this.compile(probes)));
    return compiled;
  }

  private async compile(probes: number): Promise<Compiled> {
    const { model, batches } = this.network;
    const program = curvatureProgram(model, this.kind, probes, this.layout.layers);
    const options = { parameters: model.parameters };
    const answers = this.answersOf(probes);
    const { fixed, moving } = splitGraph(model.builder, program, isDirection);
    const bytes = FLOAT * fixed.outputs.reduce((sum, { node }) => sum + elementCount(node.shape), 0);
    const kept = Math.min(batches.length, Math.floor(this.cacheBytes / Math.max(1, bytes)));
    if (kept === 0) return { graph: await this.engine.compile(program, options), answers, kept };
    // The same for any number of vectors.
    this.fixedGraph ??= await this.engine.compile(fixed, options);
    return { graph: await this.engine.compile(moving, options), answers, kept };
  }

  private answersOf(probes: number): ReadonlyMap<string, Float32Array> {
    const names = Array.from({ length: probes }, (_, probe) =>
      this.layout.layers.map(({ name, length }) => [product(probe, name), length] as const),
    ).flat();
    return new Map(
      names.map(([name, length]) => {
        const array = this.answers.get(name) ?? new Float32Array(length);
        this.answers.set(name, array);
        return [name, array];
      }),
    );
  }
}
