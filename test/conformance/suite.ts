import type { CurvatureKind } from '../../protocol/analysis';
import { MemoryGuard } from '../../server/src/analysis/memory';
import { openSubject } from '../../server/src/analysis/subject';
import { makeBatches } from '../../server/src/curvature/batches';
import { CurvatureOperator } from '../../server/src/curvature/operator';
import { curvatureProgram, direction, gradient, gradientProgram, TARGETS } from '../../server/src/curvature/programs';
import type { Engine } from '../../server/src/engine/engine';
import { GraphBuilder } from '../../server/src/graph/builder';
import type { AnyNode, Shape } from '../../server/src/graph/ir';
import { elementCount } from '../../server/src/graph/shapes';
import { Random } from '../../server/src/random';
import { goldenCases, goldenInputs, type GoldenCase } from '../golden/cases';
import { compareWithGolden, readGolden, type ProductGolden } from '../golden/golden';
import { oracleRequest } from '../golden/oracles';
import { computingOps, opCases, randomValues, testRandom } from '../reference/cases';
import { evaluate } from '../reference/interpreter';

/**
 * What an engine is held to, whatever it runs on: every op against its
 * definition in float64, convolutions on both sides of every threshold by which
 * a formulation is chosen, and gradients and curvature products of networks
 * against PyTorch's in float64.
 */
export interface ConformanceCase {
  readonly section: 'operators' | 'convolutions' | 'networks' | 'large values' | 'limits';
  readonly name: string;
  /** Why it cannot be run here, or false. */
  readonly skip: string | false;
  /** 0 takes seconds wherever it is run, 1 minutes in plain JavaScript, 2 minutes on a GPU in software, 3 gigabytes. */
  readonly weight: 0 | 1 | 2 | 3;
  readonly tolerance: number;
  /**
   * The largest relative error. Throws where the engine fails.
   *
   * @param cases of every op, at most
   */
  error(engine: Engine, cases?: number): Promise<number>;
}

/** Relative to the largest value, as float32 sums are. */
const VALUE_TOLERANCE = 2e-6;
/** ‖error‖/‖product‖ that float32 products may have (test/golden). */
const PRODUCT_TOLERANCE = 2e-5;
const CASES_PER_OP = 25;

/** Largest error of the engine's values, relative to the largest value of each output or 1. */
async function valueError(
  engine: Engine,
  outputs: readonly AnyNode[],
  feeds: ReadonlyMap<string, Float64Array>,
): Promise<number> {
  // What float32 cannot hold is not what is compared.
  const rounded = new Map([...feeds].map(([name, value]) => [name, Float32Array.from(value)]));
  const expected = evaluate(outputs, rounded);
  const compiled = await engine.compile({ outputs: outputs.map((node, i) => ({ name: `y${i}`, node })) });
  const actual = await compiled.run(rounded);
  await compiled.dispose();
  let worst = 0;
  outputs.forEach((_, i) => {
    const [got, want] = [actual.get(`y${i}`)!, expected[i]!];
    if (got.length !== want.length) throw new Error(`${got.length} values for ${want.length}`);
    const scale = want.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
    want.forEach((x, j) => {
      const error = Math.abs(got[j]! - x) / scale;
      worst = Math.max(worst, Number.isNaN(error) ? Infinity : error);
    });
  });
  return worst;
}

const operatorCases: ConformanceCase[] = computingOps.map((op) => ({
  section: 'operators',
  name: op,
  skip: false,
  weight: 0,
  tolerance: VALUE_TOLERANCE,
  error: async (engine, cases = CASES_PER_OP) => {
    let worst = 0;
    for (const { output, feeds, label } of opCases(op, cases)) {
      const error = await valueError(engine, [output], feeds).catch((reason: Error) => {
        throw new Error(`${label}: ${reason.message}`);
      });
      if (error > VALUE_TOLERANCE) throw new Error(`${label}: relative error ${error.toExponential(1)}`);
      worst = Math.max(worst, error);
    }
    return worst;
  },
}));

/** Shapes on both sides of every threshold by which a formulation is chosen. */
const convolutions: readonly {
  readonly x: Shape;
  readonly w: Shape;
  readonly strides: Shape;
  readonly pads: Shape;
  readonly dilations?: Shape;
  readonly group: number;
}[] = [
  { x: [2, 8, 24, 24], w: [16, 8, 3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 1 },
  { x: [2, 8, 24, 24], w: [72, 8, 3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 1 },
  { x: [3, 130, 6, 6], w: [130, 130, 3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 1 },
  { x: [2, 6, 4, 4], w: [8, 6, 3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 1 },
  { x: [2, 8, 9, 9], w: [15, 8, 3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 1 },
  { x: [2, 9, 9, 9], w: [64, 9, 3, 3], strides: [2, 2], pads: [1, 1, 1, 1], group: 1 },
  { x: [2, 260, 4, 4], w: [260, 260, 1, 1], strides: [1, 1], pads: [0, 0, 0, 0], group: 1 },
  { x: [2, 16, 9, 9], w: [32, 16, 3, 3], strides: [2, 2], pads: [1, 1, 1, 1], group: 1 },
  { x: [2, 16, 8, 8], w: [32, 16, 1, 1], strides: [2, 2], pads: [0, 0, 0, 0], group: 1 },
  { x: [2, 12, 10, 10], w: [12, 1, 3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 12 },
  { x: [2, 12, 10, 10], w: [12, 1, 3, 3], strides: [2, 2], pads: [1, 1, 1, 1], group: 12 },
  { x: [2, 4, 9, 9], w: [8, 1, 3, 3], strides: [2, 2], pads: [1, 1, 1, 1], group: 4 },
  { x: [2, 3, 32, 32], w: [64, 3, 7, 7], strides: [2, 2], pads: [3, 3, 3, 3], group: 1 },
  // Whole blocks of samples and channels, for layouts in blocks.
  { x: [16, 16, 7, 6], w: [32, 16, 3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 1 },
  { x: [32, 48, 4, 4], w: [16, 48, 3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 1 },
  { x: [16, 16, 8, 6], w: [32, 16, 3, 3], strides: [2, 2], pads: [1, 1, 1, 1], group: 1 },
  { x: [16, 32, 8, 8], w: [16, 32, 1, 1], strides: [2, 2], pads: [0, 0, 0, 0], group: 1 },
  { x: [16, 16, 9, 9], w: [16, 16, 3, 3], strides: [2, 2], pads: [0, 0, 0, 0], group: 1 },
  { x: [16, 16, 12, 9], w: [16, 16, 5, 3], strides: [3, 1], pads: [2, 0, 1, 2], group: 1 },
  { x: [16, 16, 9, 9], w: [16, 16, 3, 3], strides: [1, 1], pads: [2, 2, 2, 2], dilations: [2, 2], group: 1 },
  // Narrow images.
  { x: [16, 64, 4, 4], w: [64, 64, 3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 1 },
  { x: [16, 64, 5, 8], w: [64, 64, 3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 1 },
  { x: [12, 64, 5, 3], w: [64, 64, 3, 3], strides: [1, 1], pads: [1, 0, 1, 2], group: 1 },
  { x: [16, 64, 3, 4], w: [64, 64, 3, 3], strides: [2, 1], pads: [1, 1, 1, 1], group: 1 },
  // Columns of the kernel side by side in the weight gradient, or in images of their own; rows that no kernel meets.
  { x: [16, 64, 9, 10], w: [64, 64, 3, 3], strides: [2, 2], pads: [0, 1, 0, 1], group: 1 },
  { x: [16, 96, 5, 7], w: [80, 96, 2, 3], strides: [1, 1], pads: [0, 2, 1, 0], dilations: [1, 2], group: 1 },
  { x: [16, 3, 9, 8], w: [16, 3, 3, 3], strides: [1, 1], pads: [1, 1, 1, 1], group: 1 },
  { x: [16, 3, 16, 16], w: [64, 3, 7, 7], strides: [2, 2], pads: [3, 3, 3, 3], group: 1 },
];

const convolutionCases: ConformanceCase[] = convolutions.map(({ x, w, strides, pads, dilations = [1, 1], group }) => ({
  section: 'convolutions',
  name: `[${x}] with [${w}], stride ${strides[0]}${dilations[0] === 1 ? '' : `, dilation ${dilations[0]}`}${group > 1 ? `, ${group} groups` : ''}, and its adjoints`,
  skip: false,
  weight: w[0]! * w[1]! > 1000 ? 1 : 0,
  tolerance: VALUE_TOLERANCE,
  error: (engine) => {
    const b = new GraphBuilder();
    const attributes = { strides, pads, group, dilations };
    const [xNode, wNode] = [b.input('x', x), b.input('w', w)];
    const y = b.conv(xNode, wNode, attributes);
    const g = b.input('g', y.shape);
    const random = testRandom(5);
    const feeds = new Map(
      [xNode, wNode, g].map((node) => [node.attributes.name, randomValues(node.shape, random)] as const),
    );
    const adjoints = [
      b.convInputGrad(g, wNode, attributes, x.slice(2)),
      b.convWeightGrad(xNode, g, attributes, w.slice(2)),
    ];
    return valueError(engine, [y, ...adjoints], feeds);
  },
}));

const CHANNELS = 16;

/** What may become one pass over memory, in layouts in blocks too: every op between convolutions, and sums of sums. */
const chains: {
  readonly [name: string]: (b: GraphBuilder, y: AnyNode, z: AnyNode, c: AnyNode, x: AnyNode) => AnyNode[];
} = {
  'a bias, twice': (b, y, z, c) => [b.add(b.add(y, c), c), b.add(c, z)],
  'a shortcut, rectified': (b, y, z) => [b.relu(b.add(y, z)), b.relu(b.add(z, y))],
  'a shortcut and a bias in both orders': (b, y, z, c) => [b.relu(b.add(b.add(y, c), z)), b.add(b.add(y, z), c)],
  'a second product, a shortcut and a bias': (b, y, z, c, x) => [b.relu(b.add(b.add(b.add(y, z), x), c))],
  'a second product with a bias, and a shortcut': (b, y, z, c, x) => [b.add(x, b.add(y, b.add(z, c)))],
  'a scaled shortcut and a second product': (b, y, z, c, x) => [b.relu(b.add(b.add(y, b.mul(x, c)), z))],
  'a value added to itself': (b, y, z) => [b.add(y, y), b.mul(z, z), b.add(b.add(y, z), z)],
  'scales and shifts': (b, y, z, c) => [b.mul(b.sub(b.mul(y, c), c), c), b.div(b.add(z, c), c), b.neg(b.mul(z, c))],
  'scaled values multiplied': (b, y, z, c) => [b.mul(b.mul(y, c), b.mul(z, c)), b.mul(b.mul(y, c), b.add(z, c))],
  'a sum scaled': (b, y, z, c) => [b.mul(b.add(y, z), c), b.mul(b.add(b.mul(y, c), z), c)],
  'an affine map used twice': (b, y, z, c) => {
    const map = b.add(b.mul(y, c), c);
    return [b.relu(map), b.add(map, z), b.mul(map, z)];
  },
  'constants and functions': (b, y, z) => [b.mul(b.tanh(y), b.scalar(3)), b.sub(b.scalar(1), z), b.step(b.relu(z))],
  'sums of pixels and of samples': (b, y, z, c) => [
    b.reduceSum(y, [2, 3]),
    b.reduceSum(b.mul(z, c), [0, 2, 3]),
    b.reduceSum(z, [1]),
  ],
  normalised: (b, y, z, c) => {
    const moments = [b.channelMean(y), b.variance(y)];
    return [b.relu(b.add(b.mul(b.standardize(y, 1e-5), c), c)), b.standardizeGrad(y, b.mul(z, c), 1e-5), ...moments];
  },
  'a gradient of a normalisation, added': (b, y, z, c) => [
    b.add(b.standardizeGrad(y, z, 1e-5), z),
    b.reduceSum(b.mul(z, b.standardize(y, 1e-5)), [0, 2, 3]),
    b.mul(b.standardizeGrad(y, b.add(z, c), 1e-5), c),
  ],
  'pixels left out and put back': (b, y) => {
    const [samples, channels, height, width] = y.shape as readonly [number, number, number, number];
    const part = b.slice(y, [0, 0, 0, 0], [1, 1, 2, 2], [samples, channels, height / 2, width / 2]);
    return [
      part,
      b.embed(part, [0, 0, 0, 0], [1, 1, 2, 2], y.shape),
      b.embed(part, [0, channels, 1, 0], [1, 1, 1, 1], [samples, 3 * channels, height, width]),
      b.embed(part, [0, 4, 0, 0], [1, 1, 2, 2], [samples, channels + 8, height, width]),
      b.slice(
        b.embed(y, [0, channels, 0, 0], [1, 1, 1, 1], [samples, 2 * channels, height, width]),
        [0, channels, 0, 0],
        [1, 1, 1, 1],
        y.shape,
      ),
    ];
  },
};

const chainCases: readonly ConformanceCase[] = [
  ...Object.entries(chains).map(([name, make]) => chainCase(`followed by ${name}`, [2, CHANNELS, 4, 6], make)),
  chainCase('of narrow images, followed by a shortcut, rectified', [8, 64, 2, 2], (b, y, z, c) => [
    b.relu(b.add(y, z)),
    b.relu(b.add(y, c)),
    b.relu(b.add(b.add(z, c), y)),
  ]),
  chainCase('of narrow images, followed by a second product and a shortcut', [8, 64, 3, 8], (b, y, z, c, x) => [
    b.relu(b.add(b.add(b.add(y, c), z), x)),
  ]),
  chainCase('of narrow images, followed by a second product that is used twice', [8, 64, 2, 4], (b, y, z, _, x) => [
    b.add(y, z),
    b.mul(z, x),
  ]),
];

function chainCase(name: string, shape: Shape, make: (typeof chains)[string]): ConformanceCase {
  return {
    section: 'convolutions',
    name,
    skip: false,
    weight: 0,
    tolerance: VALUE_TOLERANCE,
    error: (engine) => {
      const b = new GraphBuilder();
      const attributes = { strides: [1, 1], pads: [1, 1, 1, 1], group: 1, dilations: [1, 1] };
      const channels = shape[1]!;
      const kernel = [channels, channels, 3, 3];
      const [x, v, w] = [b.input('x', shape), b.input('v', kernel), b.input('w', kernel)];
      const c = b.input('c', [channels]);
      const [y, z] = [b.conv(x, v, attributes), b.conv(x, w, attributes)];
      const random = testRandom(7);
      const feeds = new Map([x, v, w].map((node) => [node.attributes.name, randomValues(node.shape, random)] as const));
      feeds.set('c', randomValues(c.shape, random, 0.5, 2));
      return valueError(engine, make(b, y, z, b.reshape(c, [1, channels, 1, 1]), x), feeds);
    },
  };
}

/** The gradient and both products of a network, as vectors. */
const vectors = ['gradient', 'hessian', 'ggn'] as const;

async function networkVector(engine: Engine, golden: GoldenCase, which: (typeof vectors)[number]) {
  const inputs = await goldenInputs(golden);
  const { model, layout, samples } = inputs;
  const batches = makeBatches(samples, golden.batch, model.logits.shape[1]!);
  if (which !== 'gradient') {
    const operator = new CurvatureOperator(engine, model, layout, which satisfies CurvatureKind, batches);
    const [product] = await operator.apply([inputs.direction]);
    await operator.dispose();
    return { inputs, vector: product! };
  }
  const compiled = await engine.compile(gradientProgram(model), { parameters: model.parameters });
  const vector = new Float64Array(layout.dimension);
  for (const batch of batches) {
    const feeds = new Map([
      [model.input.attributes.name, batch.inputs],
      [TARGETS, batch.targets],
    ]);
    const results = await compiled.run(feeds);
    for (const { name, offset } of layout.layers) {
      results.get(gradient(name))!.forEach((x, i) => (vector[offset + i]! += x));
    }
  }
  await compiled.dispose();
  return { inputs, vector };
}

const networkCases: ConformanceCase[] = goldenCases.flatMap((golden) =>
  vectors.map((which) => ({
    section: 'networks' as const,
    name: `${golden.name}, ${which === 'gradient' ? which : `product with ${which}`}`,
    skip: golden.skip,
    weight: golden.name === 'resnet18' ? 2 : 1,
    tolerance: PRODUCT_TOLERANCE,
    error: async (engine: Engine) => {
      const expected = readGolden<ProductGolden>(golden.name);
      const { inputs, vector } = await networkVector(engine, golden, which);
      if (inputs.fingerprint !== expected.fingerprint) throw new Error('the inputs are not those of the golden values');
      const { whole, sampled, norms } = compareWithGolden(
        vector,
        expected[which],
        expected.indices,
        inputs.layout.layers,
      );
      return Math.max(2 * whole, sampled, norms);
    },
  })),
);

/** Samples of the small network: few enough for the definition, which is slow. */
const SMALL = 12;

/** A network that is kept with the tests, against its definition in float64. */
const smallNetworkCases: ConformanceCase[] = vectors.map((which) => ({
  section: 'networks',
  name: `oracle-cnn, ${which === 'gradient' ? which : `product with ${which}`}`,
  skip: false,
  weight: 0,
  tolerance: PRODUCT_TOLERANCE,
  error: async (engine) => {
    const { model, batches } = await openSubject(oracleRequest('oracle-cnn', { batch: SMALL }), new MemoryGuard(0));
    const program = which === 'gradient' ? gradientProgram(model) : curvatureProgram(model, which, 1);
    const feeds = new Map<string, Float32Array>([...model.parameters].map(([name, { value }]) => [name, value]));
    feeds.set(model.input.attributes.name, batches[0]!.inputs).set(TARGETS, batches[0]!.targets);
    for (const { name, shape } of model.layers) {
      feeds.set(direction(0, name), Random.stream(1, name).rademacher(elementCount(shape)));
    }
    const expected = evaluate(
      program.outputs.map(({ node }) => node),
      feeds,
    );
    const compiled = await engine.compile(program, { parameters: model.parameters });
    const actual = await compiled.run(feeds);
    await compiled.dispose();
    let [difference, size] = [0, 0];
    program.outputs.forEach(({ name }, i) => {
      expected[i]!.forEach((x, j) => {
        difference += (actual.get(name)![j]! - x) ** 2;
        size += x * x;
      });
    });
    return Math.sqrt(difference / size);
  },
}));

export const conformanceCases: readonly ConformanceCase[] = [
  ...operatorCases,
  ...convolutionCases,
  ...chainCases,
  ...smallNetworkCases,
  ...networkCases,
];
