// Ten epochs of 784-300-100-10 on MNIST, ours and PyTorch's with several seeds:
// `node out/test/outside/train-mnist.script.cjs FOLDER [SEEDS]`, FOLDER with the idx files.
// Prints the correct test images, and whether the means differ by more than the seeds explain.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTrain } from '../../server/src/cli/train-arguments';
import { train } from '../../server/src/lomp/train';
import { projectRoot } from '../outside';

const EPOCHS = 10;
const PYTHON = process.env.TEST_PYTHON ?? '/usr/bin/python3';

async function ours(data: string, seed: number, folder: string): Promise<number> {
  const options = ['--epochs', `${EPOCHS}`, '--threads', '1', '--seed', `${seed}`];
  const place = ['--data', data, '-o', join(folder, `${seed}.onnx`)];
  const { request } = parseTrain(['--architecture', 'fc-300-100', ...place, ...options])!;
  return (await train(request, () => undefined)).epochs.at(-1)!.score!.correct;
}

function theirs(data: string, seed: number): number {
  const script = join(projectRoot(), 'test/outside/train_mnist.py');
  return Number(execFileSync(PYTHON, [script, data, `${EPOCHS}`, `${seed}`], { encoding: 'utf8' }));
}

function summary(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  return { mean, deviation: Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (values.length - 1)) };
}

async function main(data: string, seeds: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'train-mnist-'));
  const results: Record<'ours' | 'PyTorch', number[]> = { ours: [], PyTorch: [] };
  for (let seed = 1; seed <= seeds; seed++) {
    results.ours.push(await ours(data, seed, folder));
    results.PyTorch.push(theirs(data, seed));
    console.log(`seed ${seed}: ours ${results.ours.at(-1)}, PyTorch ${results.PyTorch.at(-1)} of 10,000 correct`);
  }
  rmSync(folder, { recursive: true });
  const [a, b] = [summary(results.ours), summary(results.PyTorch)];
  const error = Math.sqrt((a.deviation ** 2 + b.deviation ** 2) / seeds);
  for (const [name, { mean, deviation }] of [['ours', a] as const, ['PyTorch', b] as const]) {
    console.log(`${name}: ${mean.toFixed(1)} ± ${deviation.toFixed(1)}`);
  }
  console.log(`difference ${(a.mean - b.mean).toFixed(1)}, standard error ${error.toFixed(1)}`);
}

const [data, seeds = '3'] = process.argv.slice(2);
if (data === undefined) {
  console.error('usage: train-mnist.script.cjs FOLDER [SEEDS]');
  process.exitCode = 2;
} else {
  void main(data, Number(seeds));
}
