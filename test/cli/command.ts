import assert from 'node:assert/strict';
import { spawn, type ChildProcessWithoutNullStreams, type SpawnOptionsWithoutStdio } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../outside';

/** The real command, as it is installed. */
export const COMMAND = join(projectRoot(), 'bin', 'pruning-limit');
/** The compute process that it starts. */
export const COMPUTE = join(projectRoot(), 'dist', 'compute.js');

export interface Finished {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly process: ChildProcessWithoutNullStreams;
  readonly finished: Promise<Finished>;
  /** Standard error so far. */
  readonly stderr: () => string;
}

/** Starts the command, or another program that runs it. */
export function start(
  args: readonly string[],
  options: SpawnOptionsWithoutStdio = {},
  program: readonly [string, ...string[]] = [process.execPath, COMMAND],
): Started {
  assert.ok(existsSync(COMPUTE), `${COMPUTE} is missing: node scripts/build.mjs builds what these tests run`);
  const child = spawn(program[0], [...program.slice(1), ...args], options);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.end();
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
  return { process: child, finished, stderr: () => stderr };
}

/** Runs the command to its end. */
export function run(args: readonly string[], options: SpawnOptionsWithoutStdio = {}): Promise<Finished> {
  return start(args, options).finished;
}

/** Resolves when `condition` holds. */
export async function until(condition: () => boolean, what: string, seconds = 60): Promise<void> {
  const end = performance.now() + 1000 * seconds;
  while (!condition()) {
    assert.ok(performance.now() < end, `${what}: not within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Ids of the compute processes that `parent` has started. Linux only. */
export function computeProcesses(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      const status = read(`/proc/${name}/status`);
      return status.includes(`\nPPid:\t${parent}\n`) && read(`/proc/${name}/cmdline`).includes('compute.js');
    })
    .map(Number);
}

/** Whether a process computes still: one that has ended and waits for its parent does not. */
export function isRunning(pid: number): boolean {
  const state = /^State:\t(\w)/m.exec(read(`/proc/${pid}/status`))?.[1];
  return state !== undefined && state !== 'Z' && state !== 'X';
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Processes come and go.
    return '';
  }
}

/** Skips what looks into /proc, with the reason. */
export function withoutProc(): string | false {
  return existsSync('/proc/self/status') ? false : 'needs /proc';
}
