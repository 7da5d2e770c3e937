import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a step left: the command as a user would type it, and how long it took. */
export interface StepRecord {
  readonly command: string;
  /** Of the clock. A step that was cut off and went on counts from its last beginning. */
  readonly seconds: number;
}

export interface Step<Result> extends StepRecord {
  readonly result: Result;
}

/**
 * Runs commands of the command line, each once: what one has printed is kept,
 * and taken from there the next time. A step that was cut off is made again;
 * `train` and `retrain` go on where they were.
 */
export class Steps {
  /**
   * @param root folder of the project, in which the commands run
   * @param folder where results and checkpoints are kept
   */
  constructor(
    private readonly root: string,
    readonly folder: string,
  ) {
    mkdirSync(folder, { recursive: true });
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /**
   * What `pruning-limit ARGUMENTS --json` says.
   *
   * @throws Error when the command fails; what it had to say is on standard error already
   */
  run<Result>(name: string, args: readonly string[]): Step<Result> {
    const command = ['pruning-limit', ...args].map(quoted).join(' ');
    const record = this.path(`${name}.json`);
    if (existsSync(record)) {
      const step = JSON.parse(readFileSync(record, 'utf8')) as Step<Result>;
      if (step.command === command) return step;
      throw new Error(`another ${name}: ${record} is of "${step.command}"; remove ${this.folder} to begin anew`);
    }
    console.error(`\n$ ${command}`);
    const resumable = args[0] === 'train' || args[0] === 'retrain';
    const started = performance.now();
    const { status, signal, stdout, error } = spawnSync(
      process.execPath,
      [join(this.root, 'bin/pruning-limit'), ...args, '--json', ...(resumable ? ['--resume'] : [])],
      { cwd: this.root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 30 },
    );
    if (status !== 0) throw new Error(`${command}: ${error?.message ?? `ended with ${signal ?? `status ${status}`}`}`);
    const step = { command, seconds: (performance.now() - started) / 1000, result: JSON.parse(stdout) as Result };
    write(record, JSON.stringify(step));
    return step;
  }
}

/** Whole or not at all. */
export function write(path: string, content: string | Uint8Array): void {
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

/** As a shell wants it. */
function quoted(word: string): string {
  return /^[\w./,:=+-]+$/.test(word) ? word : `'${word}'`;
}
