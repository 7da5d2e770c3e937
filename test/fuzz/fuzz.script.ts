/**
 * npm run fuzz -- READER|all COUNT [--seed N] [--json]
 *
 * Feeds mutated files to a reader and watches that it answers with a result or
 * an InputError: no other failure, no input that takes more than two seconds of
 * processor time, or more memory than four times the file and 64 MiB.
 *
 * Every reader runs in a process of its own, which this one watches: an input
 * that hangs or kills it lies in the process's folder still. What was found is
 * saved in out/fuzz/READER/.
 */
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { projectRoot } from '../outside';
import { Campaign, SLOWEST, workFolder, zeroTally, type Tally } from './campaign';
import { targets } from './targets';

const BATCH = 16;
/** The share of the inputs during which coverage is measured, which takes most of the time then. */
const GUIDED = 0.1;
/** Seconds of processor time after which it is measured no more: with a large reader every measurement takes seconds. */
const LONGEST_GUIDING = 120;

/** What the process of a reader says, one JSON text per line. */
type Message =
  | { readonly kind: 'progress' | 'done'; readonly tally: Tally; readonly blocks: number; readonly kept: number }
  | { readonly kind: 'finding'; readonly what: string; readonly detail: string; readonly file: string };

const say = (message: Message): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

async function child(reader: string, count: number, seed: number, folder: string, findings: string): Promise<void> {
  const campaign = await Campaign.open(reader, folder, seed, true);
  await campaign.warmUp();
  let said = 0;
  let last = performance.now();
  while (campaign.tally.inputs < count) {
    const { user, system } = process.cpuUsage();
    if (campaign.tally.inputs >= GUIDED * count || (user + system) / 1e6 > LONGEST_GUIDING) campaign.stopGuiding();
    await campaign.fuzz(Math.min(BATCH, count - campaign.tally.inputs));
    for (; said < campaign.findings.length; said++) {
      const { kind, detail, bytes, seed: of } = campaign.findings[said]!;
      const file = join(findings, `${kind}-${seed}-${said}-${of.file}`);
      writeFileSync(file, bytes);
      say({ kind: 'finding', what: kind, detail, file });
    }
    if (performance.now() - last > 1000) {
      last = performance.now();
      say({ kind: 'progress', tally: campaign.tally, blocks: campaign.blocks, kept: campaign.kept });
    }
  }
  say({ kind: 'done', tally: campaign.tally, blocks: campaign.blocks, kept: campaign.kept });
  campaign.close();
}

interface Outcome {
  readonly reader: string;
  readonly tally: Tally;
  readonly seconds: number;
  readonly findings: string[];
  blocks: number;
  kept: number;
}

/** Starts processes until all inputs have run: one that was killed is followed by another, with another seed. */
async function fuzzReader(reader: string, count: number, seed: number): Promise<Outcome> {
  const findings = join(projectRoot(), 'out/fuzz', reader);
  mkdirSync(findings, { recursive: true });
  const outcome = { reader, tally: zeroTally(), seconds: 0, findings: [] as string[], blocks: 0, kept: 0 };
  for (let round = 0; outcome.tally.inputs < count && round < 20; round++) {
    const folder = workFolder();
    const { seconds, killed } = await runChild(outcome, [
      reader,
      String(count - outcome.tally.inputs),
      String(seed + round),
      folder,
      findings,
    ]);
    outcome.seconds += seconds;
    if (killed !== null) {
      const culprit = newest(folder);
      const file = join(findings, `killed-${seed + round}-${culprit}`);
      copyFileSync(join(folder, culprit), file);
      outcome.findings.push(`${killed}: ${file}`);
    }
    rmSync(folder, { recursive: true, force: true });
  }
  return outcome;
}

async function runChild(
  outcome: Outcome,
  args: readonly string[],
): Promise<{ readonly seconds: number; readonly killed: string | null }> {
  const process_ = spawn(process.execPath, ['--max-old-space-size=1024', __filename, '--child', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const base = { ...outcome.tally };
  let done = false;
  createInterface({ input: process_.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as Message;
    if (message.kind === 'finding') {
      outcome.findings.push(`${message.what}: ${message.detail}: ${message.file}`);
      console.error(`${outcome.reader}: ${message.what}: ${message.detail}\n  ${message.file}`);
      return;
    }
    const { tally, blocks, kept } = message;
    done = message.kind === 'done';
    outcome.tally.inputs = base.inputs + tally.inputs;
    outcome.tally.accepted = base.accepted + tally.accepted;
    outcome.tally.slowest = Math.max(base.slowest, tally.slowest);
    outcome.tally.memory = Math.max(base.memory, tally.memory);
    Object.assign(outcome, { blocks, kept });
  });
  let ended: string | null = null;
  const closed = new Promise<void>((resolve) => {
    process_.once('close', (status, signal) => {
      ended = signal ?? `exit ${status}`;
      resolve();
    });
  });
  const folder = args[3]!;
  let seconds = 0;
  let stuck = { since: 0, at: 0 };
  let hung = false;
  while (ended === null) {
    await Promise.race([closed, setTimeout(500)]);
    const used = processorSeconds(process_.pid!) ?? seconds;
    seconds = Math.max(seconds, used);
    const at = lastWrite(folder);
    if (stuck.at !== at) stuck = { since: seconds, at };
    else if (seconds - stuck.since > (3 * SLOWEST) / 1000 && at > 0) {
      hung = true;
      process_.kill('SIGKILL');
      await closed;
    }
  }
  return { seconds, killed: done ? null : hung ? 'hang' : `ended by ${String(ended)}` };
}

/** Processor time of a process; where /proc is not, the time since it was asked first. */
function processorSeconds(pid: number): number | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return process.platform === 'linux' ? null : performance.now() / 1000;
  }
}

function lastWrite(folder: string): number {
  try {
    return Math.max(0, ...readdirSync(folder).map((name) => statSync(join(folder, name)).mtimeMs));
  } catch {
    return 0;
  }
}

function newest(folder: string): string {
  const names = readdirSync(folder);
  return names.sort((a, b) => statSync(join(folder, b)).mtimeMs - statSync(join(folder, a)).mtimeMs)[0]!;
}

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  if (args[0] === '--child') {
    return child(args[1]!, Number(args[2]), Number(args[3]), args[4]!, args[5]!);
  }
  const at = args.indexOf('--seed');
  const seed = at < 0 ? 1 : Number(args[at + 1]);
  const [reader, count] = [args[0] ?? '', Number(args[1])];
  const readers = reader === 'all' ? Object.keys(targets) : [reader];
  if (!readers.every((name) => Object.hasOwn(targets, name)) || !(count > 0) || !Number.isInteger(seed)) {
    console.error(`usage: npm run fuzz -- READER|all COUNT [--seed N]; readers: ${Object.keys(targets).join(', ')}`);
    process.exitCode = 2;
    return;
  }
  console.log('reader           inputs  accepted  CPU s  findings  slowest ms  most MiB  blocks  kept');
  for (const name of readers) {
    const { tally, seconds, findings, blocks, kept } = await fuzzReader(name, count, seed);
    const cells = [
      [tally.inputs, 8],
      [tally.accepted, 10],
      [seconds.toFixed(0), 7],
      [findings.length, 10],
      [tally.slowest.toFixed(0), 12],
      [(tally.memory / 2 ** 20).toFixed(0), 10],
      [blocks, 8],
      [kept, 6],
    ] as const;
    console.log(name.padEnd(15) + cells.map(([cell, width]) => String(cell).padStart(width)).join(''));
    if (findings.length > 0) process.exitCode = 1;
  }
}

void main();
