import { fork, type ChildProcess } from 'node:child_process';
import type { DoctorTask } from '../../../protocol/doctor';
import type { FromCompute, Interrupt, ToCompute, TrainTask } from '../../../protocol/messages';
import { LESS_MEMORY } from '../errors';
import { removeStaged } from '../files/staging';

/** What happens to a compute process. */
export interface ComputeListener<Event = FromCompute> {
  event(event: Event): void;
  /** What the process writes to its standard error. */
  log(line: string): void;
  /** The process is gone; `failure` says why when it had not told its end itself. */
  gone(failure: string | null): void;
}

/** Kinds of the events that end a job. */
const ENDINGS: ReadonlySet<string> = new Set(['done', 'pruned', 'trained', 'retrained', 'failed', 'examined']);

/** How long a compute process may take to go after its last event, in milliseconds. */
const PATIENCE = 5000;

/**
 * One job in a process of its own. It may block, run out of memory or
 * crash; its starter hears of it and lives on. Killing it is how a job
 * is cancelled, so that cancelling never depends on what it is busy with.
 */
export class ComputeProcess<Event extends { readonly kind: string } = FromCompute> {
  private readonly child: ChildProcess;
  private lastWords = '';
  private told = false;

  /** @param entry script of the compute process */
  constructor(entry: string, task: ToCompute | TrainTask | DoctorTask, listener: ComputeListener<Event>) {
    this.child = fork(entry, [], {
      serialization: 'advanced',
      execArgv: [],
      env: { ...computeEnvironment(process.env), ...allocation(process.env, process.platform) },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.lastWords = (this.lastWords + text).slice(-4000);
      for (const line of text.trimEnd().split('\n')) listener.log(line);
    });
    this.child.on('message', (message) => {
      const event = message as Event;
      if (ENDINGS.has(event.kind)) {
        this.told = true;
        setTimeout(() => this.kill(), PATIENCE).unref();
      }
      listener.event(event);
    });
    this.child.once('exit', (code, signal) => {
      const failure = this.told ? null : exitMessage(code, signal, this.lastWords);
      // What it was writing when it was killed goes with it, before anybody hears of that.
      void removeStaged(failure === null ? [] : outputsOf(task), this.child.pid!).then(() => listener.gone(failure));
    });
    this.child.once('error', (error) => {
      // No process could be started: there will be no exit.
      if (this.child.pid === undefined) listener.gone(`compute process could not be started: ${error.message}`);
    });
    this.child.send(task, () => {
      // A process that is gone already is dealt with at its exit.
    });
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Asks a training to end after the epoch in progress. */
  stop(): void {
    this.child.send({ kind: 'stop' } satisfies Interrupt, () => undefined);
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}

/** Files that a task writes beside others of the user's. */
function outputsOf(task: ToCompute | TrainTask | DoctorTask): string[] {
  if (task.kind !== 'prune') return [];
  const { output, mask } = task.request;
  return mask === undefined ? [output] : [output, mask];
}

/** One sentence on why a compute process went without an answer. */
export function exitMessage(code: number | null, signal: NodeJS.Signals | null, lastWords: string): string {
  const how = signal ? `signal ${signal}` : `exit status ${code}`;
  if (ranOutOfMemory(signal, lastWords)) {
    return `compute process was ended (${how}), most likely because memory ran out; ${LESS_MEMORY}`;
  }
  const lines = lastWords.trim().split('\n');
  // What went wrong stands above the addresses of where it did.
  const words = (lines.findLast((line) => /\b(FATAL|Fatal|Error)\b/.test(line)) ?? lines.at(-1)!).trim();
  const last = words === '' ? '' : `, its last words were ${JSON.stringify(words)}`;
  return `compute process ended unexpectedly (${how})${last}; compute again, and report it if it happens again`;
}

/** Whether it was most likely for want of memory that a process went. */
export function ranOutOfMemory(signal: NodeJS.Signals | null, lastWords: string): boolean {
  return (
    signal === 'SIGKILL' ||
    /out of memory|OutOfMemory|bad_alloc|Cannot allocate memory|failed to allocate/i.test(lastWords)
  );
}

/** Variables that the compute process may see: those of the system and of its numerical libraries. */
const PASSED =
  /^(PATH|HOME|USERPROFILE|SYSTEMROOT|WINDIR|TMPDIR|TMP|TEMP|LANG|LC_.*|TZ|(DY)?LD_LIBRARY_PATH|OMP_.*|CUDA_.*|ORT_.*|VK_.*|MESA_.*|XDG_RUNTIME_DIR|(HIP|ROCR)_.*|TF_.*)$/i;

export function computeEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const passed = Object.entries(env).filter(([name]) => PASSED.test(name));
  // Where the editor's own executable is the runtime, this makes it behave as Node.
  return { ...Object.fromEntries(passed), ...(process.versions.electron && { ELECTRON_RUN_AS_NODE: '1' }) };
}

/** glibc asks the kernel for huge pages, which on many systems are for those who ask alone. */
const HUGE_PAGES = 'glibc.malloc.hugetlb=1';

/**
 * Variables of the C library of a process that computes: with pages of 2 MiB its
 * arrays take fewer misses of the address cache (docs/performance.md). What the
 * user has set of the same library stays, and wins. Other C libraries know nothing of it.
 */
export function allocation(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): NodeJS.ProcessEnv {
  const own = env['GLIBC_TUNABLES'] ?? '';
  if (platform !== 'linux') return {};
  if (/(^|:)glibc\.malloc\.hugetlb=/.test(own)) return { GLIBC_TUNABLES: own };
  return { GLIBC_TUNABLES: own === '' ? HUGE_PAGES : `${own}:${HUGE_PAGES}` };
}
