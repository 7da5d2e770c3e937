/**
 * Hessian-vector products of one network with one provider, as a job does
 * them: the engine in a process of its own unless it is the CPU's.
 *
 *     products resnet18|resnet50|vgg16 BATCH IMAGE THREADS RUNS PROVIDER [ENGINE_PROCESS [MODULES]]
 *
 * ENGINE_PROCESS is the script of the engine process, MODULES the folder of
 * TensorFlow.js. Prints one JSON object: `seconds` of each product after the
 * first, `firstSeconds` of that one with its compilation, `flops` of a product.
 */
import { PROVIDERS } from '../protocol/analysis';
import { CurvatureOperator } from '../server/src/curvature/operator';
import { parameterLayout } from '../server/src/curvature/parameters';
import { curvatureProgram } from '../server/src/curvature/programs';
import { largestBytes, peakBytes, productFlops } from '../server/src/engine/cost';
import { createEngine } from '../server/src/engine/create';
import { remoteEngines } from '../server/src/engine/remote';
import type { Model } from '../server/src/graph/model';
import { elementCount } from '../server/src/graph/shapes';
import { Random } from '../server/src/random';
import { resnet50, vgg16 } from '../test/models/image-net';
import { resnet18 } from '../test/models/resnet18';

const NETWORKS: Readonly<Record<string, (batch: number, seed: number, image: number) => Model>> = {
  resnet18,
  resnet50,
  vgg16,
};

async function main(): Promise<void> {
  const [name, ...rest] = process.argv.slice(2);
  const [batch, image, threads, runs] = rest.slice(0, 4).map(Number) as [number, number, number, number];
  const [provider, entry, modules] = [PROVIDERS.find((known) => known === rest[4]), rest[5], rest[6]];
  const make = NETWORKS[name ?? ''];
  if (make === undefined || provider === undefined) throw new Error(`unknown: ${name} with ${rest[4]}`);
  const model = make(batch, 1, image);
  const random = Random.stream(1, 'bench');
  const inputs = Float32Array.from({ length: elementCount(model.input.shape) }, () => 2 * random.uniform() - 1);
  const classes = model.logits.shape[1]!;
  const labels = Int32Array.from({ length: batch }, (_, i) => i % classes);
  const targets = new Float32Array(batch * classes);
  labels.forEach((label, row) => (targets[row * classes + label] = 1 / batch));
  const layout = parameterLayout(model);
  const create = entry && provider !== 'cpu' ? remoteEngines(entry) : createEngine;
  const engine = await create(provider, threads, modules ? [modules] : []);
  const operator = new CurvatureOperator(engine, model, layout, 'hessian', [{ inputs, labels, targets, count: batch }]);
  const v = random.rademacher(layout.dimension);
  const [firstSeconds, ...seconds] = await timed(runs + 1, () => operator.apply([v]));
  const program = curvatureProgram(model, 'hessian', 1);
  console.log(
    JSON.stringify({
      seconds,
      firstSeconds,
      flops: productFlops(program),
      dimension: layout.dimension,
      estimatedBytes: peakBytes(program),
      largestBytes: largestBytes(program),
      engine: `${engine.description.name} ${engine.description.version}`,
    }),
  );
  await engine.dispose();
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

main().catch((error: Error) => {
  console.error(`Error: ${error.message}`);
  process.exit(1);
});
