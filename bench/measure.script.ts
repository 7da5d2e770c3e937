/**
 * One measurement in a process of its own, so that its peak memory is its own:
 *
 *     measure hvp BATCH THREADS RUNS   Hessian-vector products of ResNet-18
 *     measure gemm SIZE THREADS RUNS   square float32 matrix products
 *     measure lanczos DIMENSION STEPS  re-orthogonalisation, products left out
 *
 * Prints one JSON object; times in seconds.
 */
import { CurvatureOperator } from '../server/src/curvature/operator';
import { parameterLayout } from '../server/src/curvature/parameters';
import { curvatureProgram } from '../server/src/curvature/programs';
import { createOrtEngine } from '../server/src/engine/ort';
import { GraphBuilder } from '../server/src/graph/builder';
import { Random } from '../server/src/random';
import { LanczosRun } from '../server/src/spectrum/lanczos';
import { resnet18 } from '../test/models/resnet18';
import { productFlops } from './flops';

const CLASSES = 10;
const SAMPLE = 3 * 32 * 32;

async function hvp(batch: number, threads: number, runs: number): Promise<object> {
  const model = resnet18(batch);
  const random = Random.stream(1, 'bench');
  const inputs = Float32Array.from({ length: batch * SAMPLE }, () => 2 * random.uniform() - 1);
  const labels = Int32Array.from({ length: batch }, (_, i) => i % CLASSES);
  const targets = new Float32Array(batch * CLASSES);
  labels.forEach((label, row) => (targets[row * CLASSES + label] = 1 / batch));
  const layout = parameterLayout(model);
  const engine = await createOrtEngine(threads);
  const batches = [{ inputs, labels, targets, count: batch }];
  const operator = new CurvatureOperator(engine, model, layout, 'hessian', batches);
  const v = random.rademacher(layout.dimension);
  await operator.apply([v]);
  const seconds = await timed(runs, () => operator.apply([v]));
  return { seconds, flops: productFlops(curvatureProgram(model, 'hessian', 1)), dimension: layout.dimension };
}

async function gemm(size: number, threads: number, runs: number): Promise<object> {
  const b = new GraphBuilder();
  const graph = { outputs: [{ name: 'y', node: b.matmul(b.input('a', [size, size]), b.input('b', [size, size])) }] };
  const compiled = await (await createOrtEngine(threads)).compile(graph);
  const random = Random.stream(1, 'bench');
  const feeds = new Map(['a', 'b'].map((name) => [name, random.gaussianVector(size * size)] as const));
  await compiled.run(feeds);
  return { seconds: await timed(runs, () => compiled.run(feeds)), flops: 2 * size ** 3 };
}

/** A run whose products are noise: what is timed is everything but the product. */
async function lanczos(dimension: number, steps: number): Promise<object> {
  const random = Random.stream(1, 'bench');
  const run = LanczosRun.from(random.rademacher(dimension));
  const products = Array.from({ length: steps }, () => random.rademacher(dimension));
  let step = 0;
  return { seconds: await timed(steps, async () => run.absorb(products[step++]!)) };
}

async function timed(runs: number, action: () => Promise<unknown>): Promise<number[]> {
  const seconds: number[] = [];
  for (let i = 0; i < runs; i++) {
    const started = performance.now();
    await action();
    seconds.push((performance.now() - started) / 1000);
  }
  return seconds;
}

async function main(): Promise<void> {
  const [what, ...numbers] = process.argv.slice(2);
  const [a, b, c] = numbers.map(Number) as [number, number, number];
  const measurements = { hvp: () => hvp(a, b, c), gemm: () => gemm(a, b, c), lanczos: () => lanczos(a, b) };
  const measurement = measurements[what as keyof typeof measurements];
  if (measurement === undefined) throw new Error(`unknown measurement: ${what}`);
  const result = await measurement();
  // maxRSS is in KiB.
  console.log(JSON.stringify({ ...result, peakMiB: process.resourceUsage().maxRSS / 1024 }));
}

void main();
