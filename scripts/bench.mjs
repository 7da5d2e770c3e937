// npm run bench [-- ROUNDS]: our Hessian-vector products and steps of training
// beside PyTorch's, in turn, on this machine. Ratios are what to quote: the
// machine's speed drifts, and both see the same drift. On a machine that others
// use too, processor time drifts less than that of the wall.
//
// BENCH_PYTHON names the interpreters whose PyTorch is measured, with commas
// between; the first of python3 and /usr/bin/python3 that has one when unset.
// How a PyTorch was built matters: the current one of PyPI has MKL and oneDNN,
// Debian's the BLAS that libblas.so.3 stands for. GLIBC_TUNABLES, where set, is for both.
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { root, fail, setUp } from './setup.mjs';

setUp();
const { buildTests } = await import('./build.mjs');
await buildTests();

const BATCH = 64;
const THREADS = 2;
const TRAINING_BATCH = 128;
const TRAINING_STEPS = 12;
const rounds = Number(process.argv[2] ?? 2);

const hasTorch = (command) => spawnSync(command, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0;
const named = process.env.BENCH_PYTHON?.split(',');
const pythons = named ?? ['python3', '/usr/bin/python3'].filter(hasTorch).slice(0, 1);
const missing = pythons.find((command) => !hasTorch(command));
if (missing !== undefined) fail(`${missing} has no PyTorch: "import torch" fails; set BENCH_PYTHON to one that has`);

console.log(`${cpus()[0].model}, ${cpus().length} cores, Node ${process.versions.node}, ${THREADS} threads`);
if (pythons.length === 0) console.log('PyTorch is not installed here (python3 -c "import torch" fails): no ratios');
compareProducts();
for (const network of ['fc5', 'resnet20']) for (const mu of [0, 5e-5]) compareTraining(network, mu);
measureLanczos();

function compareProducts() {
  const kinds = [1, 4, 16].flatMap((probes) => [0, 1].map((cached) => ({ probes, cached, runs: [] })));
  const single = [];
  const peers = pythons.map(() => []);
  for (let round = 0; round < rounds; round++) {
    single.push(measure('hvp', BATCH, THREADS, 2));
    const products = ({ probes, cached, runs }) => runs.push(measure('probes', BATCH, THREADS, probes, cached));
    kinds.filter(({ probes }) => probes <= 4).forEach(products);
    // In the middle, so that none of ours is far from it.
    pythons.forEach((python, i) => peers[i].push(runJson(python, ['bench/peer.py', BATCH, THREADS, 3])));
    kinds.filter(({ probes }) => probes > 4).forEach(products);
  }
  const gemm = measure('gemm', 2048, THREADS, 5);
  const [{ flops, dimension }] = single;
  console.log(`\nHessian-vector products, ResNet-18 (${(dimension / 1e6).toFixed(2)} M weights), batch ${BATCH}`);
  const one = median(single.flatMap(({ seconds }) => seconds));
  const roofline = gemm.flops / Math.min(...gemm.seconds) / 1e9;
  row('one at a time', time(single), `${(flops / one / 1e9).toFixed(0)} GFLOP/s, sgemm ${roofline.toFixed(0)}`);
  row('', `peak ${peak(single)} MiB`);
  peers.forEach((runs) => {
    row(`PyTorch ${runs[0].build}`);
    for (const [kind, label] of [
      ['fresh', 'double backward'],
      ['retained', 'gradient graph kept'],
    ]) {
      row(`  ${label}`, time(runs.map((run) => run[kind])));
    }
    row('', `peak ${peak(runs)} MiB`);
  });
  console.log('\nThe same, per product; "kept": what does not depend on the vectors is computed once');
  for (const { probes, cached, runs } of kinds) {
    const per = runs.map(({ seconds, processor }) => ({
      seconds: seconds.map((x) => x / probes),
      processor: processor.map((x) => x / probes),
    }));
    const rate = 1 / median(per.flatMap(({ seconds }) => seconds));
    row(
      `${probes} probe${probes > 1 ? 's' : ''}${cached ? ', kept' : ''}`,
      time(per),
      `${rate.toFixed(2)} products/s, peak ${peak(runs)} MiB`,
    );
    peers.forEach((peer) => {
      const version = peer[0].build.split(' ')[0];
      compare(
        `  double backward ${version}`,
        per,
        peer.map(({ fresh }) => fresh),
      );
      compare(
        `  graph kept ${version}`,
        per,
        peer.map(({ retained }) => retained),
      );
    });
  }
}

function compareTraining(network, mu) {
  const ours = [];
  const peers = pythons.map(() => []);
  for (let round = 0; round < rounds; round++) {
    const args = [network, TRAINING_BATCH, THREADS, TRAINING_STEPS, mu];
    ours.push(measure('train', ...args));
    pythons.forEach((python, i) => peers[i].push(runJson(python, ['bench/train_peer.py', ...args])));
  }
  const rate = (runs) => `${(TRAINING_BATCH / median(runs.flatMap(({ seconds }) => seconds))).toFixed(0)} images/s`;
  console.log(
    `\nTraining ${network}${mu > 0 ? `, L1 penalty ${mu}` : ''}, images of 3 × 32 × 32, batch ${TRAINING_BATCH}`,
  );
  row('ours', time(ours), rate(ours));
  peers.forEach((runs) => {
    row(`PyTorch ${runs[0].build}`, time(runs), rate(runs));
    compare('', ours, runs);
  });
}

function measureLanczos() {
  console.log('\nLanczos, per step without the product');
  for (const [dimension, steps] of [
    [266_200, 200],
    [11_164_352, 32],
  ]) {
    const { seconds, processor } = measure('lanczos', dimension, steps);
    const mean = (values) => `${((1000 * values.reduce((sum, x) => sum + x, 0)) / steps).toFixed(1)} ms`;
    row(`D = ${dimension}`, mean(seconds), `${mean(processor)} of processor time, mean of ${steps} steps`);
  }
}

/** Ratios of round to round: how many times as fast `ours` is. */
function compare(label, ours, theirs) {
  const ratios = (of) => ours.map((our, i) => median(theirs[i][of]) / median(our[of]));
  const wall = ratios('seconds');
  const text = `${median(wall).toFixed(2)} times as fast (${spread(wall)})`;
  row(label, text, `${median(ratios('processor')).toFixed(2)} in processor time`);
}

function time(runs) {
  const all = runs.flatMap(({ seconds }) => seconds);
  return `${duration(median(all))} (${duration(Math.min(...all))} to ${duration(Math.max(...all))})`;
}

function duration(seconds) {
  return seconds < 1 ? `${(1000 * seconds).toFixed(seconds < 0.1 ? 1 : 0)} ms` : `${seconds.toFixed(2)} s`;
}

function peak(runs) {
  return Math.max(...runs.map(({ peakMiB }) => peakMiB)).toFixed(0);
}

/** With huge pages, which a compute process asks for (`allocation` in server/src/jobs/compute-process.ts). */
function measure(...args) {
  const own = process.env.GLIBC_TUNABLES;
  const tunables = [...(own === undefined ? [] : [own]), 'glibc.malloc.hugetlb=1'].join(':');
  return runJson(process.execPath, ['out/bench/measure.script.cjs', ...args], {
    ...process.env,
    GLIBC_TUNABLES: tunables,
  });
}

function runJson(command, args, env = process.env) {
  const { status, stdout, stderr } = spawnSync(command, args.map(String), { cwd: root, encoding: 'utf8', env });
  if (status !== 0) fail(`${command} ${args.join(' ')} failed:\n${stderr}`);
  return JSON.parse(stdout);
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function spread(values) {
  return `${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)}`;
}

function row(name, ...cells) {
  console.log(`  ${name.padEnd(26)}${cells.map((cell) => cell.padEnd(32)).join('')}`.trimEnd());
}
