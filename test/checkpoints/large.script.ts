/**
 * npm run inspect-large
 *
 * Time and memory of listing a checkpoint: files of ten gigabytes, which take no
 * room on the disk, and an ONNX file with 100 MB of weights inside, whose zeros
 * are counted. Every file is listed by a process of its own, which has loaded its
 * code already; the start of a process is a line of the table.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Long from 'long';
import { inspectCheckpoint } from '../../server/src/checkpoint/inspect';
import { modelBytes, node, ramp } from '../onnx-models';
import { largeFiles } from './large';

const RUNS = 5;
const MIB = 2 ** 20;

interface Measured {
  /** Milliseconds on the clock and of the processor. */
  readonly wall: number;
  readonly cpu: number;
  /** Bytes: peak, and how much of it was there before. */
  readonly peak: number;
  readonly before: number;
}

/** Lists a file; without one, does nothing. */
async function child(path: string | undefined): Promise<void> {
  const before = process.memoryUsage.rss();
  const cpu = process.cpuUsage();
  const start = performance.now();
  if (path !== undefined) await inspectCheckpoint(path);
  const wall = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  const peak = 1024 * process.resourceUsage().maxRSS;
  console.log(JSON.stringify({ wall, cpu: (user + system) / 1000, peak, before } satisfies Measured));
}

function measure(path?: string): { start: number; best: Measured } {
  const runs = Array.from({ length: RUNS }, () => {
    const started = performance.now();
    const { stdout, status } = spawnSync(
      process.execPath,
      [__filename, '--child', ...(path === undefined ? [] : [path])],
      {
        encoding: 'utf8',
      },
    );
    if (status !== 0) throw new Error(`listing failed: ${path}`);
    return { start: performance.now() - started, measured: JSON.parse(stdout) as Measured };
  });
  const [best] = runs.sort((a, b) => a.measured.wall - b.measured.wall);
  return { start: Math.min(...runs.map(({ start }) => start)), best: best!.measured };
}

/** 25 million weights in ten layers. */
function inline(folder: string): string {
  const path = join(folder, 'inline.onnx');
  const names = Array.from({ length: 10 }, (_, i) => `w${i}`);
  const values = new Float32Array(2_500_000).map((_, i) => Math.sin(i));
  const tensors = names.map((name) => ({
    ...ramp(name, [0]),
    dims: [Long.fromNumber(1250), Long.fromNumber(2000)],
    floatData: [],
    rawData: new Uint8Array(values.buffer),
  }));
  const nodes = names.map((name, i) => node('MatMul', [i === 0 ? 'x' : `h${i}`, name], [`h${i + 1}`]));
  writeFileSync(path, modelBytes({ inputs: [['x', ['N', 1250]]], outputs: ['h10'], nodes, tensors }));
  return path;
}

function main(): void {
  const folder = mkdtempSync(join(tmpdir(), 'pruning-limit-large-'));
  const row = (name: string, cells: readonly number[]): void =>
    console.log(name.padEnd(24) + cells.map((cell) => cell.toFixed(0).padStart(10)).join(''));
  console.log('file                          ms    CPU ms  MiB more  MiB peak');
  const { start, best } = measure();
  row('start of the process', [start, best.cpu, 0, best.peak / MIB]);
  try {
    for (const [name, make] of Object.entries({ ...largeFiles, 'ONNX, 100 MB inline': inline })) {
      const { best: listed } = measure(make(folder));
      row(name, [listed.wall, listed.cpu, (listed.peak - listed.before) / MIB, listed.peak / MIB]);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[2] === '--child') void child(process.argv[3]);
else main();
