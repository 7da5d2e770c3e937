import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import { InputError } from '../../server/src/errors';
import { testRandom } from '../reference/cases';
import { Coverage } from './coverage';
import { mutate, pick, type Random } from './mutate';
import { targets, type Seed, type Target } from './targets';

/** Most processor time of one input, in milliseconds. */
export const SLOWEST = 2000;
/** Most memory of one input: so many times the file, and so many bytes beside. */
export const MEMORY = { times: 4, bytes: 64 * 2 ** 20 };

const LARGEST_CORPUS = 4000;
/** Most processor time of an input that is mutated further, in milliseconds: what comes of one that goes in circles does so too. */
const SLOWEST_KEPT = 200;

export interface Finding {
  readonly kind: 'crash' | 'slow' | 'memory';
  readonly detail: string;
  readonly seed: Seed;
  /** The whole file. */
  readonly bytes: Uint8Array;
}

export interface Tally {
  inputs: number;
  /** Inputs that were read and not refused. */
  accepted: number;
  /** Milliseconds of processor time of the slowest input. */
  slowest: number;
  /** Bytes of the input that took most, beyond what was in use. */
  memory: number;
}

export const zeroTally = (): Tally => ({ inputs: 0, accepted: 0, slowest: 0, memory: 0 });

/** A folder in memory where there is one. */
export function workFolder(): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'pruning-limit-fuzz-'));
}

/** One reader, one file after another in the same place. */
export class Campaign {
  readonly tally = zeroTally();
  readonly findings: Finding[] = [];
  private readonly known = new Set<string>();

  private constructor(
    private readonly target: Target,
    readonly folder: string,
    private readonly random: Random,
    private coverage: Coverage | null,
    private readonly corpus: Seed[],
  ) {
    for (const [name, bytes] of Object.entries(target.beside ?? {})) writeFileSync(join(folder, name), bytes);
  }

  /** @param guided whether inputs that reach new code are kept and mutated further */
  static async open(reader: string, folder: string, seed: number, guided: boolean): Promise<Campaign> {
    const target = await targets[reader]!();
    const coverage = guided ? new Coverage() : null;
    return new Campaign(target, folder, testRandom(seed), coverage, [...target.seeds]);
  }

  /** Blocks of code reached while guided. */
  blocks = 0;

  get seeds(): readonly Seed[] {
    return this.target.seeds;
  }

  get kept(): number {
    return this.corpus.length - this.target.seeds.length;
  }

  /** Runs the seeds themselves, which are sound: whatever is made at the first use is made now. */
  async warmUp(): Promise<void> {
    for (const seed of this.target.seeds) await this.run(seed, seed.bytes);
    this.blocks = this.coverage?.take().length ?? 0;
    Object.assign(this.tally, zeroTally());
    // What a library takes to be loaded is none of a file's.
    const crashes = this.findings.filter(({ kind }) => kind === 'crash');
    this.findings.splice(0, Infinity, ...crashes);
    this.known.clear();
  }

  /** Runs `count` new inputs. */
  async fuzz(count: number): Promise<void> {
    const batch = Array.from({ length: count }, () => this.next());
    for (const { seed, bytes } of batch) await this.run(seed, bytes);
    const fresh = new Set(this.coverage?.take());
    this.blocks += fresh.size;
    if (fresh.size === 0) return;
    // Which of them reached something new, their second run tells; it is not counted.
    const { inputs, accepted } = this.tally;
    for (const { seed, bytes } of batch) {
      const time = await this.run(seed, bytes);
      const reached = this.coverage!.ran(fresh);
      for (const block of reached) fresh.delete(block);
      if (reached.length > 0 && time < SLOWEST_KEPT && this.corpus.length < LARGEST_CORPUS) {
        this.corpus.push({ ...seed, bytes });
      }
    }
    Object.assign(this.tally, { inputs, accepted });
  }

  private next(): { readonly seed: Seed; readonly bytes: Uint8Array } {
    const seed = this.random() < 0.3 ? pick(this.random, this.target.seeds) : pick(this.random, this.corpus);
    const bytes = mutate(seed.bytes, this.random, () => pick(this.random, this.corpus).bytes);
    return { seed, bytes };
  }

  /** @returns its processor time in milliseconds */
  async run(seed: Seed, part: Uint8Array): Promise<number> {
    const bytes = seed.wrap === undefined ? part : seed.wrap(part);
    const path = join(this.folder, seed.file);
    // A new file each time, also for those who know files by their number.
    rmSync(path, { force: true });
    writeFileSync(path, bytes);
    const heap = allocated();
    const peak = process.resourceUsage().maxRSS;
    const used = process.memoryUsage.rss();
    const start = process.cpuUsage();
    let failure: unknown;
    try {
      await this.target.read(path);
      this.tally.accepted++;
    } catch (error) {
      failure = error;
    }
    const { user, system } = process.cpuUsage(start);
    const time = (user + system) / 1000;
    const newPeak = process.resourceUsage().maxRSS;
    const memory = Math.max(newPeak > peak ? 1024 * newPeak - used : 0, allocated() - heap);
    this.tally.inputs++;
    this.tally.slowest = Math.max(this.tally.slowest, time);
    this.tally.memory = Math.max(this.tally.memory, memory);
    const found = (kind: Finding['kind'], detail: string): void => this.found({ kind, detail, seed, bytes });
    if (failure !== undefined && !(failure instanceof InputError)) found('crash', describe(failure));
    if (time > SLOWEST) found('slow', `${Math.round(time)} ms`);
    if (memory > MEMORY.times * bytes.length + MEMORY.bytes) {
      found('memory', `${Math.round(memory / 2 ** 20)} MiB for ${bytes.length} bytes`);
    }
    const own = this.target.beside?.[seed.file];
    if (own !== undefined) writeFileSync(path, own);
    return time;
  }

  /** Crashes of one place count once; of what is slow or large the first is enough. */
  private found(finding: Finding): void {
    const key = finding.kind === 'crash' ? finding.detail : finding.kind;
    if (this.known.has(key)) return;
    this.known.add(key);
    this.findings.push(finding);
  }

  /** Goes on with what was kept, several times as fast. */
  stopGuiding(): void {
    this.coverage?.close();
    this.coverage = null;
  }

  close(): void {
    this.stopGuiding();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Bytes of JavaScript's own memory and of array buffers, touched or not. */
function allocated(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}

/** The failure and where it came from, without what changes from input to input. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const where = (error.stack ?? '').split('\n').filter((line) => line.trimStart().startsWith('at '));
  const place = where.slice(0, 3).map((line) => line.trim().replace(/\(.*\/([^/]+)\)$/, '($1)'));
  return [`${error.name}: ${error.message.replace(/\d+/g, 'N')}`, ...place].join(' | ');
}
