// npm run bench [-- ROUNDS]: our Hessian-vector product beside PyTorch's double
// backward, and steps of training, in turn, on this machine. Ratios are what to quote: the machine's
// speed drifts, and both see the same drift.
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { root, fail, setUp } from './setup.mjs';

setUp();
const { buildTests } = await import('./build.mjs');
await buildTests();

const BATCH = 64;
const THREADS = 2;
const RUNS = 3;
const rounds = Number(process.argv[2] ?? 3);

const python = ['python3', '/usr/bin/python3'].find(
  (command) => spawnSync(command, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0,
);

const ours = [];
const peers = [];
for (let round = 0; round < rounds; round++) {
  ours.push(measure('hvp', BATCH, THREADS, RUNS));
  if (python !== undefined) peers.push(runJson(python, ['bench/peer.py', BATCH, THREADS, RUNS]));
}
const gemm = measure('gemm', 2048, THREADS, 5);

const product = median(ours.flatMap(({ seconds }) => seconds));
const peak = Math.max(...ours.map(({ peakMiB }) => peakMiB));
const roofline = gemm.flops / Math.min(...gemm.seconds) / 1e9;
const achieved = ours[0].flops / product / 1e9;
console.log(`${cpus()[0].model}, ${cpus().length} cores, Node ${process.versions.node}, ${THREADS} threads`);
console.log(`\nHessian-vector product, ResNet-18 (${(ours[0].dimension / 1e6).toFixed(2)} M weights), batch ${BATCH}`);
row('ours', `${product.toFixed(2)} s`, spread(ours.flatMap(({ seconds }) => seconds)), `peak ${peak.toFixed(0)} MiB`);
row(
  '',
  `${achieved.toFixed(0)} GFLOP/s`,
  `${((100 * achieved) / roofline).toFixed(0)} % of sgemm's ${roofline.toFixed(0)}`,
);
if (peers.length === 0) {
  console.log('  PyTorch is not installed here (python3 -c "import torch" fails): no ratio');
} else {
  const peerPeak = Math.max(...peers.map(({ peakMiB }) => peakMiB));
  for (const [kind, label] of [
    ['fresh', 'double backward'],
    ['retained', 'gradient graph kept'],
  ]) {
    const seconds = peers.flatMap((peer) => peer[kind]);
    row(`PyTorch ${peers[0].version}`, `${median(seconds).toFixed(2)} s`, spread(seconds), label);
    const ratios = ours.map((our, i) => median(peers[i][kind]) / median(our.seconds));
    row('', `${median(ratios).toFixed(2)} times as fast`, spread(ratios, ''), 'round by round');
  }
  row('', `peak ${peerPeak.toFixed(0)} MiB`, `ours is ${((100 * peak) / peerPeak).toFixed(0)} % of it`);
}

const TRAINING_BATCH = 128;
console.log(`\nTraining, images of 3 × 32 × 32, batch ${TRAINING_BATCH}: images per second`);
for (const network of ['fc5', 'resnet20']) {
  const mine = [];
  const theirs = [];
  for (let round = 0; round < rounds; round++) {
    mine.push(measure('train', network, TRAINING_BATCH, THREADS, 4 * RUNS));
    if (python !== undefined) {
      theirs.push(runJson(python, ['bench/train_peer.py', network, TRAINING_BATCH, THREADS, 4 * RUNS]));
    }
  }
  const rate = (steps) => `${(TRAINING_BATCH / median(steps.flatMap(({ seconds }) => seconds))).toFixed(0)}`;
  row(network, `ours ${rate(mine)}`);
  if (theirs.length === 0) continue;
  const ratios = (of) => mine.map((our, i) => median(theirs[i][of]) / median(our[of]));
  row('', `PyTorch ${theirs[0].version} ${rate(theirs)}`);
  row('', `${median(ratios('seconds')).toFixed(2)} times as fast`, spread(ratios('seconds'), ''), 'round by round');
  // On a machine that others use too, this drifts less.
  row('', `${median(ratios('processor')).toFixed(2)} in processor time`, spread(ratios('processor'), ''));
}

console.log('\nLanczos, per step without the product');
for (const [dimension, steps] of [
  [266_200, 128],
  [ours[0].dimension, 32],
]) {
  const { seconds } = measure('lanczos', dimension, steps);
  const mean = seconds.reduce((sum, x) => sum + x, 0) / steps;
  const share = dimension === ours[0].dimension ? `${((100 * mean) / product).toFixed(0)} % of the product above` : '';
  row(`D = ${dimension}`, `${(1000 * mean).toFixed(1)} ms`, `mean of ${steps} steps`, share);
}

function measure(...args) {
  return runJson(process.execPath, ['out/bench/measure.script.cjs', ...args]);
}

function runJson(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args.map(String), { cwd: root, encoding: 'utf8' });
  if (status !== 0) fail(`${command} ${args.join(' ')} failed:\n${stderr}`);
  return JSON.parse(stdout);
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function spread(values, unit = ' s') {
  return `${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)}${unit}`;
}

function row(name, ...cells) {
  console.log(`  ${name.padEnd(18)}${cells.map((cell) => cell.padEnd(24)).join('')}`.trimEnd());
}
