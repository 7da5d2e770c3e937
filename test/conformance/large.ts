import { createEngine } from '../../server/src/engine/create';
import type { Engine } from '../../server/src/engine/engine';
import { GraphBuilder } from '../../server/src/graph/builder';
import type { AnyNode } from '../../server/src/graph/ir';
import { elementCount } from '../../server/src/graph/shapes';
import { testRandom } from '../reference/cases';
import type { ConformanceCase } from './suite';

/**
 * Values of 168 MiB: more than the 128 MiB that WebGPU promises of one binding,
 * so that a runtime has to bind them in parts. The definition in float64 would
 * take an hour; what they are compared with is the CPU's engine, which is held
 * to it by the other cases.
 */
const IMAGE = [42, 64, 128, 128];
const TOLERANCE = 1e-5;

const unit = { strides: [1, 1], dilations: [1, 1], group: 1 };
const around = (pad: number): { pads: number[] } => ({ pads: [pad, pad, pad, pad] });
const pooling = { kernel: [2, 2], strides: [2, 2], dilations: [1, 1], ...around(0), ceil: false };

const graphs: Readonly<Record<string, (b: GraphBuilder) => AnyNode>> = {
  'a product with a weight': (b) => b.matmul(b.input('x', [2, 1024]), b.input('w', [1024, 43_008])),
  'a product with a transposed weight': (b) =>
    b.matmul(b.input('x', [2, 1024]), b.input('w', [43_008, 1024]), false, true),
  'the gradient of a weight': (b) => b.matmul(b.input('g', [2, 43_008]), b.input('x', [2, 1024]), true, false),
  'sums and products': (b) => {
    const [x, y] = [b.input('x', IMAGE), b.input('y', [1, 64, 1, 1])];
    return b.sub(b.mul(b.relu(x), b.step(b.add(x, y))), b.tanh(x));
  },
  'reduceSum and expand': (b) => {
    const x = b.input('x', IMAGE);
    return b.mul(x, b.expand(b.reduceSum(x, [2, 3]), IMAGE));
  },
  'slice and embed': (b) => {
    const inner = [42, 64, 126, 126];
    const ones = [1, 1, 1, 1];
    return b.embed(b.slice(b.input('x', IMAGE), [0, 0, 1, 1], ones, inner), [0, 0, 2, 0], ones, IMAGE);
  },
  'transpose and gather': (b) =>
    b.gather(
      b.transpose(b.input('x', IMAGE), [1, 0, 3, 2]),
      0,
      Int32Array.from({ length: 64 }, (_, i) => 63 - i),
    ),
  concat: (b) => b.concat([b.input('x', [42, 32, 128, 128]), b.input('y', [42, 32, 128, 128])], 1),
  'a convolution': (b) => b.conv(b.input('x', IMAGE), b.input('w', [8, 64, 3, 3]), { ...unit, ...around(1) }),
  'its input gradient': (b) =>
    b.convInputGrad(
      b.input('g', [42, 8, 128, 128]),
      b.input('w', [8, 64, 3, 3]),
      { ...unit, ...around(1) },
      [128, 128],
    ),
  'its input gradient with a stride': (b) =>
    b.convInputGrad(
      b.input('g', [42, 8, 64, 64]),
      b.input('w', [8, 64, 3, 3]),
      { ...unit, strides: [2, 2], ...around(1) },
      [128, 128],
    ),
  'its weight gradient': (b) =>
    b.convWeightGrad(b.input('x', IMAGE), b.input('g', [42, 8, 128, 128]), { ...unit, ...around(1) }, [3, 3]),
  'max pooling and its adjoints': (b) => {
    const x = b.input('x', IMAGE);
    const y = b.maxPool(x, pooling);
    return b.maxPoolScatter(x, b.mul(y, b.maxPoolGather(x, b.neg(x), pooling)), pooling);
  },
  softmax: (b) => b.softmax(b.input('x', [688_128, 64]), 1),
};

async function difference(engine: Engine, output: AnyNode, inputs: readonly AnyNode[]): Promise<number> {
  const random = testRandom(7);
  const feeds = new Map(
    inputs.map((node) => {
      const value = new Float32Array(elementCount(node.shape));
      // Enough different values that no element can stand for another.
      for (let i = 0; i < value.length; i++) value[i] = 2 * random() - 1;
      return [node.op === 'input' ? node.attributes.name : '', value] as const;
    }),
  );
  const graph = { outputs: [{ name: 'result', node: output }] };
  const values = async (runner: Engine): Promise<Float32Array> => {
    const compiled = await runner.compile(graph);
    const result = (await compiled.run(feeds)).get('result')!;
    await compiled.dispose();
    return result;
  };
  const cpu = await createEngine('cpu', 0);
  const expected = await values(cpu);
  await cpu.dispose();
  const actual = await values(engine);
  let [worst, largest] = [0, 1];
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    if (!(error <= worst)) worst = Number.isNaN(error) ? Infinity : error;
    if (Math.abs(expected[i]!) > largest) largest = Math.abs(expected[i]!);
  }
  return worst / largest;
}

export const largeCases: readonly ConformanceCase[] = Object.entries(graphs).map(([name, make]) => ({
  section: 'large values',
  name,
  skip: false,
  weight: 3,
  tolerance: TOLERANCE,
  error: (engine) => {
    const b = new GraphBuilder();
    const output = make(b);
    const inputs = new Set<AnyNode>();
    const visit = (node: AnyNode): void => {
      if (node.op === 'input') inputs.add(node);
      node.inputs.forEach(visit);
    };
    visit(output);
    return difference(engine, output, [...inputs]);
  },
}));
