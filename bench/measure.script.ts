/**
 * One measurement in a process of its own, so that its peak memory is its own:
 *
 *     measure hvp BATCH THREADS RUNS   Hessian-vector products of ResNet-18
 *     measure probes BATCH THREADS PROBES CACHE   a pass of PROBES products, CACHE 1 with the
 *                                                 half kept that does not depend on the vectors
 *     measure train fc5|resnet20 BATCH THREADS RUNS MU   steps of SGD, with an L1 penalty of factor MU
 *     measure gemm SIZE THREADS RUNS   square float32 matrix products
 *     measure lanczos DIMENSION STEPS  re-orthogonalisation, products left out
 *
 * Prints one JSON object; times in seconds, of the wall and of the processors.
 */
import { CurvatureOperator } from '../server/src/curvature/operator';
import { importForTraining } from '../server/src/checkpoint/onnx/classifier';
import { decodeModel } from '../server/src/checkpoint/onnx/reader';
import { parameterLayout } from '../server/src/curvature/parameters';
import { curvatureProgram } from '../server/src/curvature/programs';
import { createOrtEngine } from '../server/src/engine/ort';
import { GraphBuilder } from '../server/src/graph/builder';
import { freshNetwork } from '../server/src/lomp/architectures/architectures';
import { SgdTrainer } from '../server/src/lomp/sgd';
import { Random } from '../server/src/random';
import { LanczosRun } from '../server/src/spectrum/lanczos';
import { resnet18 } from '../test/models/resnet18';
import { productFlops } from '../server/src/engine/cost';

const CLASSES = 10;
const SAMPLE = 3 * 32 * 32;

interface Timing {
  readonly seconds: number[];
  readonly processor: number[];
}

async function hvp(batch: number, threads: number, runs: number): Promise<object> {
  const { model, operator, vectors } = await problem(batch, threads, 1);
  await operator.apply(vectors);
  const timing = await timed(runs, () => operator.apply(vectors));
  const program = curvatureProgram(model, 'hessian', 1);
  return { ...timing, flops: productFlops(program), dimension: operator.dimension };
}

async function probes(batch: number, threads: number, count: number, cached: boolean): Promise<object> {
  const { operator, vectors } = await problem(batch, threads, count, cached ? Infinity : 0);
  // Compiles, and fills the cache.
  await operator.apply(vectors.slice(0, 4));
  return { ...(await timed(count > 4 ? 1 : 3, () => operator.apply(vectors))), probes: count, cached };
}

async function problem(batch: number, threads: number, probes: number, cacheBytes = 0) {
  const model = resnet18(batch);
  const random = Random.stream(1, 'bench');
  const inputs = Float32Array.from({ length: batch * SAMPLE }, () => 2 * random.uniform() - 1);
  const labels = Int32Array.from({ length: batch }, (_, i) => i % CLASSES);
  const targets = new Float32Array(batch * CLASSES);
  labels.forEach((label, row) => (targets[row * CLASSES + label] = 1 / batch));
  const layout = parameterLayout(model);
  const engine = await createOrtEngine(threads);
  const batches = [{ inputs, labels, targets, count: batch }];
  const operator = new CurvatureOperator(engine, model, layout, 'hessian', batches, undefined, undefined, cacheBytes);
  const vectors = Array.from({ length: probes }, () => random.rademacher(layout.dimension));
  return { model, operator, vectors };
}

async function train(name: string, batch: number, threads: number, runs: number, l1: number): Promise<object> {
  const network = decodeModel(freshNetwork(name, [3, 32, 32], CLASSES, 1), name);
  const trainer = await SgdTrainer.create(await createOrtEngine(threads), [importForTraining(network, { batch })], {
    momentum: 0.9,
    l1,
  });
  const random = Random.stream(1, 'bench');
  const inputs = Float32Array.from({ length: batch * SAMPLE }, () => 2 * random.uniform() - 1);
  const targets = Float32Array.from({ length: batch * CLASSES }, (_, i) =>
    i % CLASSES === Math.floor(i / CLASSES) % CLASSES ? 1 / batch : 0,
  );
  const { seconds, processor } = await timed(runs + 2, () => trainer.step(inputs, targets, 0.01));
  return { seconds: seconds.slice(2), processor: processor.slice(2) };
}

async function gemm(size: number, threads: number, runs: number): Promise<object> {
  const b = new GraphBuilder();
  const graph = { outputs: [{ name: 'y', node: b.matmul(b.input('a', [size, size]), b.input('b', [size, size])) }] };
  const compiled = await (await createOrtEngine(threads)).compile(graph);
  const random = Random.stream(1, 'bench');
  const feeds = new Map(['a', 'b'].map((name) => [name, random.gaussianVector(size * size)] as const));
  await compiled.run(feeds);
  return { ...(await timed(runs, () => compiled.run(feeds))), flops: 2 * size ** 3 };
}

/** A run whose products are noise: what is timed is everything but the product. */
async function lanczos(dimension: number, steps: number): Promise<object> {
  const random = Random.stream(1, 'bench');
  const run = LanczosRun.from(random.rademacher(dimension));
  const products = Array.from({ length: steps }, () => random.rademacher(dimension));
  let step = 0;
  return timed(steps, async () => run.absorb(products[step++]!));
}

async function timed(runs: number, action: () => Promise<unknown>): Promise<Timing> {
  const timing: Timing = { seconds: [], processor: [] };
  for (let i = 0; i < runs; i++) {
    const [started, before] = [performance.now(), process.cpuUsage()];
    await action();
    timing.seconds.push((performance.now() - started) / 1000);
    const { user, system } = process.cpuUsage(before);
    timing.processor.push((user + system) / 1e6);
  }
  return timing;
}

async function main(): Promise<void> {
  const [what, ...rest] = process.argv.slice(2);
  const [network, ...numbers] = what === 'train' ? rest : ['', ...rest];
  const [a, b, c, mu = 0] = numbers.map(Number) as [number, number, number, number?];
  const measurements = {
    hvp: () => hvp(a, b, c),
    probes: () => probes(a, b, c, rest[3] === '1'),
    train: () => train(network!, a, b, c, mu),
    gemm: () => gemm(a, b, c),
    lanczos: () => lanczos(a, b),
  };
  const measurement = measurements[what as keyof typeof measurements];
  if (measurement === undefined) throw new Error(`unknown measurement: ${what}`);
  const result = await measurement();
  // maxRSS is in KiB.
  console.log(JSON.stringify({ ...result, peakMiB: process.resourceUsage().maxRSS / 1024 }));
}

void main();
