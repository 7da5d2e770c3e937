import { fork, type ChildProcess } from 'node:child_process';
import type { CheckpointSummary, FailureMessage, Split } from '../../../protocol/analysis';
import type { DatasetFacts } from '../dataset/facts';
import { AnalysisError, InputError, LESS_MEMORY } from '../errors';
import { computeEnvironment, ranOutOfMemory } from './compute-process';

export interface ListingQuestion {
  readonly id: number;
  readonly path: string;
  /** Of the data set that is there; of a checkpoint absent. */
  readonly split?: Split;
}

export type ListingAnswer =
  | { readonly id: number; readonly found: CheckpointSummary | DatasetFacts }
  | { readonly id: number; readonly error: FailureMessage };

interface Listing extends Omit<ListingQuestion, 'id'> {
  readonly resolve: (found: CheckpointSummary | DatasetFacts) => void;
  readonly reject: (error: Error) => void;
}

/** The listing that the process is at. */
interface Current extends Listing {
  readonly id: number;
  readonly timer: NodeJS.Timeout;
}

/** How long a listing may take, and how long the process stays without one: milliseconds. */
const PATIENCE = 120_000;
const IDLE = 60_000;

/**
 * Lists checkpoints and data sets in a process of its own, one after the other, so that its
 * starter answers while a large one is read or unpacked and a file that ends the process
 * costs its own listing alone. The process is started for the first, unless
 * `warm` was quicker, and ends when nothing was asked for a while.
 */
export class ListingProcess {
  private child: ChildProcess | undefined;
  private current: Current | undefined;
  private readonly queue: Listing[] = [];
  private idle: NodeJS.Timeout | undefined;
  private asked = 0;
  private disposed = false;

  /** @param entry script of the listing process */
  constructor(
    private readonly entry: string,
    private readonly patience = PATIENCE,
    private readonly idleTime = IDLE,
  ) {}

  /** @throws {InputError} when the checkpoint cannot be read, {AnalysisError} when the process did not survive it */
  list(path: string): Promise<CheckpointSummary> {
    return this.ask({ path }) as Promise<CheckpointSummary>;
  }

  /** @throws {InputError} when the data set cannot be read, {AnalysisError} when the process did not survive it */
  data(path: string, split: Split): Promise<DatasetFacts> {
    return this.ask({ path, split }) as Promise<DatasetFacts>;
  }

  /** Starts the process, so that the first question need not wait for that. */
  warm(): void {
    if (this.disposed) return;
    this.child ??= this.start();
    this.proceed();
  }

  private ask(question: Omit<ListingQuestion, 'id'>): Promise<CheckpointSummary | DatasetFacts> {
    return new Promise((resolve, reject) => {
      this.queue.push({ ...question, resolve, reject });
      this.proceed();
    });
  }

  /** For the end of its starter: what was asked stays without an answer. */
  dispose(): void {
    this.disposed = true;
    clearTimeout(this.current?.timer);
    this.leave();
  }

  /** Asks for the next listing, or waits a while for one. */
  private proceed(): void {
    if (this.current !== undefined || this.disposed) return;
    clearTimeout(this.idle);
    const next = this.queue.shift();
    if (next === undefined) {
      this.idle = setTimeout(() => this.leave(), this.idleTime).unref();
      return;
    }
    const id = this.asked++;
    const { path, split } = next;
    const what = split === undefined ? 'checkpoint takes too long to list' : 'data take too long to read';
    const timer = setTimeout(() => {
      this.leave();
      this.fail(new InputError(`${what}: ${path}; is it damaged, or on a slow disk?`));
    }, this.patience);
    this.current = { ...next, id, timer };
    this.child ??= this.start();
    this.child.send({ id, path, ...(split !== undefined && { split }) } satisfies ListingQuestion, () => {
      // A process that is gone already is dealt with at its exit.
    });
  }

  /** Ends the process; from now on it is a stranger. */
  private leave(): void {
    clearTimeout(this.idle);
    const { child } = this;
    this.child = undefined;
    child?.kill('SIGKILL');
  }

  private start(): ChildProcess {
    const child = fork(this.entry, [], {
      serialization: 'advanced',
      execArgv: [],
      env: computeEnvironment(process.env),
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let lastWords = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (lastWords = (lastWords + text).slice(-4000)));
    child.on('message', (message) => this.receive(message as ListingAnswer));
    const gone = (how: string, memory: boolean): void => {
      if (this.child !== child) return;
      this.child = undefined;
      const reason = memory
        ? `memory ran out; ${LESS_MEMORY}`
        : `the process that read it ended (${how}); copy it again`;
      if (this.current === undefined) return;
      const what = this.current.split === undefined ? 'checkpoint not listed' : 'data not read';
      this.fail(new AnalysisError(`${what}: ${this.current.path}; ${reason}`));
    };
    child.once('exit', (code, signal) =>
      gone(signal ? `signal ${signal}` : `exit status ${code}`, ranOutOfMemory(signal, lastWords)),
    );
    child.once('error', (error) => {
      if (child.pid === undefined) gone(error.message, false);
    });
    return child;
  }

  private receive(answer: ListingAnswer): void {
    if (answer.id !== this.current?.id) return;
    if ('found' in answer) {
      this.take().resolve(answer.found);
      this.proceed();
    } else {
      const { message, category } = answer.error;
      this.fail(category === 'input' ? new InputError(message) : new AnalysisError(message));
    }
  }

  private fail(error: Error): void {
    this.take().reject(error);
    this.proceed();
  }

  private take(): Current {
    const current = this.current!;
    clearTimeout(current.timer);
    this.current = undefined;
    return current;
  }
}
