// Measures Hessian-vector products on every provider that works on this
// machine, beside PyTorch on the same device, and prints one table. Built-in
// modules alone: scripts/bench-gpu.mjs starts it, and so does a packed copy on
// a machine that has nothing else.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';

export const USAGE = `Usage: npm run bench:gpu -- [--networks resnet18:64,resnet18:512,resnet50:32,vgg16:32]
  [--providers webgpu,cuda,tfjs,cpu] [--peers eager,compiled] [--python COMMAND]
  [--image PIXELS] [--runs N] [--threads N] [--seconds PER_MEASUREMENT] [--modules DIR]
  [--out out/bench-gpu.json] [--pack FILE.tar.xz]`;

export const OPTIONS = {
  networks: { type: 'string', default: 'resnet18:64,resnet18:512,resnet50:32,vgg16:32' },
  providers: { type: 'string', default: 'webgpu,cuda,tfjs,cpu' },
  peers: { type: 'string', default: 'eager,compiled' },
  python: { type: 'string', default: '' },
  image: { type: 'string', default: '' },
  runs: { type: 'string', default: '5' },
  threads: { type: 'string', default: '' },
  seconds: { type: 'string', default: '240' },
  modules: { type: 'string', default: '' },
  out: { type: 'string', default: 'out/bench-gpu.json' },
  pack: { type: 'string', default: '' },
};

/** Float32 lanes of a multiprocessor, by CUDA capability; 128 where it is not listed. */
const LANES = { '7.0': 64, 7.2: 64, 7.5: 64, '8.0': 64 };

/**
 * @param {Record<string, string>} values of OPTIONS
 * @param {{products: string, peer: string, engine: string, variables: Record<string, string>, note: string}} parts
 *   scripts, and the environment in which WebGPU finds its device
 */
export function benchmark(values, parts) {
  const limit = Number(values.seconds) * 1000;
  // float32, not TF32, as the engine process has it.
  const env = { ...process.env, ...parts.variables, NVIDIA_TF32_OVERRIDE: '0' };
  const python = [values.python, 'python3', '/usr/bin/python3'].find(
    (command) => command !== '' && spawnSync(command, ['-c', 'import torch.func'], { stdio: 'ignore' }).status === 0,
  );
  const device = describeDevice(python, parts, env);
  const report = { device, processor: `${cpus()[0].model}, ${availableParallelism()} processors`, rows: [] };
  console.log(`${report.processor}, Node ${process.versions.node}`);
  console.log(`${device.text}\n${parts.note}\n`);
  line('network', 'batch', 'by', 'median', 'products/s', 'TFLOP/s', 'of peak', 'of sgemm', 'first', '');
  const save = () => {
    mkdirSync(dirname(values.out), { recursive: true });
    writeFileSync(values.out, `${JSON.stringify(report, null, 1)}\n`);
  };
  for (const spec of values.networks.split(',')) {
    const [network, batch] = spec.split(':');
    const image = values.image || (network === 'resnet18' ? '32' : '224');
    let flops;
    const add = (by, command, args) => {
      const row = { network, batch: Number(batch), image: Number(image), by, ...run(command, args, env, limit) };
      flops ??= row.flops;
      report.rows.push(row);
      print(row, flops, device);
      save();
    };
    const threads = values.threads || String(availableParallelism());
    for (const provider of values.providers.split(',').filter(Boolean)) {
      const args = [
        parts.products,
        network,
        batch,
        image,
        threads,
        values.runs,
        provider,
        parts.engine,
        values.modules,
      ];
      add(provider, process.execPath, args);
    }
    for (const peer of values.peers.split(',').filter(Boolean)) {
      if (python === undefined) report.rows.push(missing(network, Number(batch), peer));
      else add(`PyTorch ${peer}`, python, [parts.peer, network, batch, image, values.runs, peer]);
    }
  }
  save();
  const ratios = compare(report.rows);
  if (ratios.length > 0) console.log(`\n${ratios.join('\n')}`);
  console.log(`\nwritten: ${values.out}`);
  return report.rows.some(({ seconds }) => seconds !== undefined) ? 0 : 1;
}

function missing(network, batch, peer) {
  const row = { network, batch, by: `PyTorch ${peer}`, failure: 'python3 has no PyTorch 2 (import torch.func)' };
  print(row, undefined, {});
  return row;
}

function run(command, args, env, timeout) {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args.map(String), {
    encoding: 'utf8',
    env,
    timeout,
    maxBuffer: 2 ** 26,
  });
  if (error?.code === 'ETIMEDOUT') return { failure: `not done within ${timeout / 1000} s` };
  if (status !== 0) return { failure: reason(stderr ?? '', signal ?? `exit status ${status}`) };
  return JSON.parse(stdout.slice(stdout.lastIndexOf('{"')));
}

function reason(stderr, fallback) {
  const lines = stderr.trim().split('\n');
  return (lines.findLast((text) => /^[\w.]*(Error|Exception)\b/.test(text)) ?? fallback).trim().slice(0, 300);
}

/** Name, driver and float32 peak, as far as the driver's tool and PyTorch say. */
function describeDevice(python, { peer }, env) {
  const query = ['--query-gpu=name,driver_version,clocks.max.sm,memory.total', '--format=csv,noheader,nounits'];
  const smi = spawnSync('nvidia-smi', query, { encoding: 'utf8' });
  if (smi.status !== 0) return { text: 'no NVIDIA driver' };
  const [name, driver, clock, memory] = smi.stdout.split('\n')[0].split(', ');
  const torch = python === undefined ? {} : run(python, [peer, 'device'], env, 120_000);
  const device = { name, driver, clockMHz: Number(clock), memoryMiB: Number(memory), torch };
  if (torch.multiprocessors !== undefined) {
    const lanes = LANES[torch.capability.join('.')] ?? 128;
    device.peakTflops = (torch.multiprocessors * lanes * 2 * device.clockMHz) / 1e6;
  }
  const peak =
    device.peakTflops === undefined
      ? 'float32 peak unknown without PyTorch'
      : `float32 peak ${device.peakTflops.toFixed(1)} TFLOP/s (${torch.multiprocessors} multiprocessors at ${clock} MHz), PyTorch's sgemm ${torch.sgemmTflops.toFixed(1)}`;
  return { ...device, text: `${name}, driver ${driver}, ${memory} MiB: ${peak}` };
}

function print(row, flops, device) {
  const head = [row.network, row.batch, row.by];
  if (row.failure !== undefined) return line(...head, row.failure);
  const median = medianOf(row.seconds);
  // The peer does the same products; its library does not count them.
  const rate = flops === undefined ? undefined : flops / median / 1e12;
  const share = (of) => (rate === undefined || of === undefined ? '' : `${((100 * rate) / of).toFixed(1)} %`);
  line(
    ...head,
    `${(1000 * median).toFixed(1)} ms`,
    (1 / median).toFixed(2),
    rate?.toPrecision(3) ?? '',
    share(device.peakTflops),
    share(device.torch?.sgemmTflops),
    `${row.firstSeconds.toFixed(1)} s`,
    row.engine,
  );
}

/** How many times as fast as each peer each provider was, per network. */
function compare(rows) {
  const done = rows.filter(({ seconds }) => seconds !== undefined);
  const peers = done.filter(({ by }) => by.startsWith('PyTorch'));
  return done
    .filter(({ by }) => !by.startsWith('PyTorch'))
    .flatMap((row) =>
      peers
        .filter(({ network, batch }) => network === row.network && batch === row.batch)
        .map((peer) => {
          const ratio = medianOf(peer.seconds) / medianOf(row.seconds);
          return `${row.network}, batch ${row.batch}: ${row.by} is ${ratio.toPrecision(2)} times as fast as ${peer.by}`;
        }),
    );
}

function medianOf(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function line(...cells) {
  const widths = [10, 7, 18, 12, 12, 9, 9, 10, 9];
  console.log(
    cells
      .map((cell, i) => String(cell).padEnd(widths[i] ?? 0))
      .join('')
      .trimEnd(),
  );
}

/** @returns the values of OPTIONS, or undefined after the usage was printed */
export function parseOptions(args) {
  try {
    return parseArgs({ args, options: OPTIONS }).values;
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    return undefined;
  }
}
