// npm run bench:gpu [-- --batches 64,512 --runs 5 --providers webgpu,cuda,tfjs]
// Hessian-vector products of ResNet-18 on every provider that works here, with
// the CPU last: one table for docs/gpu.md. Asks nothing; what does not work is
// a row that says why.
import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { root, setUp } from './setup.mjs';
import { softwareVulkan } from './vulkan.mjs';

const { values } = parseArgs({
  options: {
    batches: { type: 'string', default: '64,512' },
    runs: { type: 'string', default: '5' },
    providers: { type: 'string', default: 'webgpu,cuda,tfjs,cpu' },
  },
});

setUp();
const { buildTests } = await import('./build.mjs');
await buildTests();

const smi = spawnSync('nvidia-smi', ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'], {
  encoding: 'utf8',
});
const vulkan = softwareVulkan();
console.log(`${cpus()[0].model}, ${availableParallelism()} processors, Node ${process.versions.node}`);
console.log(smi.status === 0 ? smi.stdout.trim() : 'no NVIDIA driver');
console.log(`${vulkan.note}\n`);
row('provider', 'batch', 'median', 'products/s', 'TFLOP/s', 'estimated peak', 'engine');

for (const provider of values.providers.split(',')) {
  for (const batch of values.batches.split(',').map(Number)) {
    const args = ['out/bench/measure.script.cjs', 'hvp', batch, availableParallelism(), values.runs, provider];
    const { status, stdout, stderr } = spawnSync(process.execPath, args.map(String), {
      cwd: root,
      encoding: 'utf8',
      // As the engine process has it: float32, not TF32.
      env: { ...process.env, ...vulkan.variables, NVIDIA_TF32_OVERRIDE: '0' },
      timeout: 10 * 60_000,
    });
    if (status !== 0) {
      row(provider, batch, reason(stderr));
      continue;
    }
    const { seconds, flops, estimatedBytes, engine } = JSON.parse(stdout.slice(stdout.indexOf('{"seconds"')));
    const median = seconds.sort((a, b) => a - b)[seconds.length >> 1];
    const figures = [`${median.toFixed(3)} s`, (1 / median).toFixed(2), (flops / median / 1e12).toFixed(2)];
    row(provider, batch, ...figures, `${(estimatedBytes / 2 ** 20).toFixed(0)} MiB`, engine);
  }
}

function reason(stderr) {
  const line = stderr.split('\n').find((text) => /^\w*Error\b/.test(text)) ?? stderr.trim().split('\n').at(-1);
  return (line ?? 'failed').trim().slice(0, 150);
}

function row(...cells) {
  console.log(
    cells
      .map((cell, i) => String(cell).padEnd([10, 7, 12, 12, 9, 16][i] ?? 0))
      .join('')
      .trimEnd(),
  );
}
