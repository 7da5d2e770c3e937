import type { CurvatureKind, LayerLimits, OwnLimit } from '../../../protocol/analysis';
import { layersInARow, type LayerSlice, type ParameterLayout } from '../curvature/parameters';
import { Magnitudes } from '../limit/magnitudes';
import { Random } from '../random';
import { offDiagonalShare, type CouplingSample } from '../spectrum/off-diagonal';
import { squaredNorm } from '../spectrum/vector';
import type { DisposableOperator } from './journal';
import { LimitStudy, type StudyOptions } from './limit-study';
import { PROBES_PER_PASS } from './planner';

/** Probes from which the share of the blocks off the diagonal is estimated. */
const COUPLING_PROBES = 8;

export interface LayerStudyInput {
  readonly kind: CurvatureKind;
  readonly layout: ParameterLayout;
  /** The prunable weights, length D. */
  readonly weights: Float32Array;
  readonly epsilon: number;
  readonly seed: number;
  /** The operator of all layers; not disposed of. */
  readonly whole: DisposableOperator;
  /** That of a diagonal block. */
  readonly block: (layout: ParameterLayout) => DisposableOperator;
  /** For one layer of `dimension` weights, `left` of them to be studied yet, itself counted. */
  readonly study: (dimension: number, left: number) => Omit<StudyOptions, 'seed'>;
  /** What is being computed from now on. */
  readonly announce: (message: string) => void;
  /** Awaited after every layer. */
  readonly update: (limits: LayerLimits) => void | Promise<void>;
}

/**
 * How far every layer could be pruned if it were the only one: its limit from
 * its own diagonal block of the operator and its own magnitudes, at the same ε;
 * and how much of the operator those blocks leave out.
 *
 * @throws AnalysisError when a product is not finite
 */
export async function studyLayers(input: LayerStudyInput): Promise<LayerLimits> {
  const { kind, layout, epsilon, announce } = input;
  const coupling = new Coupling(layout.dimension, input.seed);
  announce('how the layers are coupled');
  await coupling.addWhole(input.whole);
  const layers: OwnLimit[] = [];
  for (const [i, layer] of layout.layers.entries()) {
    const place = `${layer.name}, ${i + 1} of ${layout.layers.length}`;
    announce(place);
    const own = layersInARow([layer]);
    const operator = input.block(own);
    try {
      await coupling.addBlock(operator, layer);
      const magnitudes = Magnitudes.of([input.weights.subarray(layer.offset, layer.offset + layer.length)]);
      const options = input.study(layer.length, layout.layers.length - i);
      let latest: OwnLimit | undefined;
      const seed = Random.stream(input.seed, `layer ${layer.name}`).uint32();
      const study = new LimitStudy(
        operator,
        own,
        magnitudes,
        epsilon,
        { ...options, seed },
        {
          announce: (message) => announce(`${place}: ${message}`),
          plan: () => undefined,
          update: ({ limit: { sparsity, interval, resolved } }) => {
            latest = { name: layer.name, sparsity, interval, resolved };
          },
        },
      );
      await study.run();
      layers.push(latest!);
    } finally {
      await operator.dispose();
    }
    await input.update({ operator: kind, coupling: null, layers });
  }
  return { operator: kind, coupling: coupling.share(), layers };
}

/** Products of the whole with some probes, from which those of the blocks are taken away as they come. */
class Coupling {
  private products: Float32Array[] = [];
  private whole: number[] = [];

  constructor(
    private readonly dimension: number,
    private readonly seed: number,
  ) {}

  async addWhole(operator: DisposableOperator): Promise<void> {
    this.products = await this.multiply(operator, 0, this.dimension);
    this.whole = this.products.map(squaredNorm);
  }

  async addBlock(operator: DisposableOperator, { offset, length }: LayerSlice): Promise<void> {
    (await this.multiply(operator, offset, length)).forEach((product, probe) => {
      const rest = this.products[probe]!.subarray(offset, offset + length);
      product.forEach((value, i) => (rest[i]! -= value));
    });
  }

  /** Once every block was added. */
  share(): LayerLimits['coupling'] {
    const samples = this.whole.map((whole, i): CouplingSample => ({ whole, coupled: squaredNorm(this.products[i]!) }));
    const { value, standardError } = offDiagonalShare(samples);
    return { share: value, standardError };
  }

  /** With a part of every probe. They are drawn anew, which is cheaper than to hold them. */
  private async multiply(operator: DisposableOperator, offset: number, length: number): Promise<Float32Array[]> {
    const products: Float32Array[] = [];
    for (let first = 0; first < COUPLING_PROBES; first += PROBES_PER_PASS) {
      const parts = Array.from({ length: Math.min(PROBES_PER_PASS, COUPLING_PROBES - first) }, (_, i) =>
        Random.stream(this.seed, `coupling ${first + i}`)
          .rademacher(this.dimension)
          .slice(offset, offset + length),
      );
      products.push(...(await operator.apply(parts)));
    }
    return products;
  }
}
