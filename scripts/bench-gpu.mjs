// npm run bench:gpu [-- OPTION ...]: Hessian-vector products of several
// networks on every provider that works here, beside PyTorch on the same device
// (bench/gpu-runner.mjs has the options). What does not work is a row that says
// why. With --pack FILE.tar.xz nothing is measured: all that the benchmark and
// the conformance suite need is packed for a machine without a network.
import { join } from 'node:path';
import { root, setUp } from './setup.mjs';
import { softwareVulkan } from './vulkan.mjs';
import { benchmark, parseOptions } from '../bench/gpu-runner.mjs';

const values = parseOptions(process.argv.slice(2));
if (values === undefined) process.exit(2);
setUp();
const { buildProduct, buildTests } = await import('./build.mjs');
process.chdir(root);
await buildProduct();
if (values.pack !== '') {
  const { packBench } = await import('./pack-bench.mjs');
  await packBench(values.pack);
} else {
  await buildTests();
  const { variables, note } = softwareVulkan();
  process.exitCode = benchmark(values, {
    products: join(root, 'out/bench/products.script.cjs'),
    peer: join(root, 'bench/products_peer.py'),
    engine: join(root, 'dist/engine-process.js'),
    variables: variables ?? {},
    note,
  });
}
