import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads';
import {
  PROGRESS,
  REPLIES,
  type Extent,
  type Hdf5Reply,
  type Hdf5Request,
  type Listing,
  type WorkerData,
} from './hdf5-messages';
import source from './hdf5-worker?source';

/**
 * h5wasm, the HDF5 library compiled to WebAssembly, in a thread of its own. It
 * is sound on sound files alone: on damaged ones it can go round in circles, and
 * a failure leaves files open inside. A thread that goes in circles, or has failed
 * too often, is ended, and the next question starts another.
 */

/** Failures after which the library has leaked enough. */
const MOST_FAILURES = 64;
/** Processor time without an object visited, in milliseconds, after which the library goes round in circles. */
const LONGEST_STEP = 1000;
/** Milliseconds without an object visited after which the thread is taken to be dead. */
const LONGEST_SILENCE = 120_000;
/** Bytes that are surely read and unpacked in a millisecond. */
const SLOWEST_READ = 10_000;
/** Memory that reading metadata takes, and how much of a file may be metadata, in bytes. */
const SPARE_MEMORY = 16 << 20;
const LARGEST_METADATA = 64 << 20;
/**
 * How often a dataset may be in memory while its one chunk is unpacked: its
 * elements, the packed bytes, and the buffers of DEFLATE and of shuffling, each
 * of which may be twice as long as what it holds.
 */
const UNPACKING = 6;
/** How long the answer is waited for at a stretch, in milliseconds. */
const PATIENCE = 20;

/** The library's own words about a file it cannot read. */
export class Hdf5Error extends Error {
  override readonly name = 'Hdf5Error';
}

interface Thread {
  readonly worker: Worker;
  readonly port: MessagePort;
  readonly state: Int32Array<SharedArrayBuffer>;
  readonly replies: Map<number, Hdf5Reply>;
  /** Questions that it had no answer to. */
  failures: number;
}

let current: Thread | null = null;
/** The library, from the first thread on. */
let compiled: WebAssembly.Module | null = null;
let requests = 0;

/** @throws Hdf5Error when the library cannot read it */
export async function listHdf5(extent: Extent): Promise<Listing> {
  return (await settled(ask({ extent }))).listing!;
}

/**
 * @param size bytes that the dataset has
 * @throws Hdf5Error when the library cannot read it
 */
export function readDataset(extent: Extent, dataset: string, size: number): Uint8Array {
  const pending = ask({ extent, dataset }, size);
  while (!pending.answered());
  return pending.reply().bytes!;
}

/**
 * Puts other elements into a dataset.
 * @throws Hdf5Error when the library cannot write it
 */
export async function writeDataset(path: string, dataset: string, content: Uint8Array): Promise<void> {
  await settled(ask({ extent: { path, start: 0, size: null }, dataset, content }, content.length));
}

async function settled(pending: Pending): Promise<Hdf5Reply> {
  while (!pending.answered()) await setTimeout(PATIENCE / 4);
  return pending.reply();
}

interface Pending {
  /** Waits a little; whether there is an answer, or will be none. */
  readonly answered: () => boolean;
  /** @throws Hdf5Error for a failure */
  readonly reply: () => Hdf5Reply;
}

/** @param size bytes that go to or come from the library */
function ask(question: Omit<Hdf5Request, 'id' | 'memory'>, size = 0): Pending {
  const length = question.extent.size ?? statSync(question.extent.path).size;
  const thread = usable();
  const id = ++requests;
  const memory = SPARE_MEMORY + Math.max(UNPACKING * size, 2 * Math.min(length, LARGEST_METADATA));
  thread.port.postMessage({ id, ...question, memory } satisfies Hdf5Request);
  const patience = LONGEST_STEP + size / SLOWEST_READ;
  let progress = Atomics.load(thread.state, PROGRESS);
  let since = processorTime();
  let seen = performance.now();
  const answered = (): boolean => {
    const replies = Atomics.load(thread.state, REPLIES);
    collect(thread);
    if (thread.replies.has(id)) return true;
    Atomics.wait(thread.state, REPLIES, replies, PATIENCE);
    collect(thread);
    if (thread.replies.has(id)) return true;
    const reached = Atomics.load(thread.state, PROGRESS);
    if (reached !== progress) {
      progress = reached;
      since = processorTime();
      seen = performance.now();
      return false;
    }
    // Nothing is visited before the library is loaded, which takes what it takes.
    const circles = reached > 0 && processorTime() - since > patience;
    if (!circles && performance.now() - seen < LONGEST_SILENCE) return false;
    const failure = circles ? 'its objects lead in circles' : 'the HDF5 library does not answer';
    thread.replies.set(id, { id, failure, fatal: true });
    return true;
  };
  const reply = (): Hdf5Reply => {
    const answer = thread.replies.get(id)!;
    const { failure, fatal } = answer;
    thread.replies.delete(id);
    if (failure === undefined) return answer;
    thread.failures++;
    if (fatal === true) end(thread);
    throw new Hdf5Error(failure);
  };
  return { answered, reply };
}

/** Processor time of this process, in milliseconds: a busy machine is not the library's fault. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function collect({ port, replies }: Thread): void {
  for (let got = receiveMessageOnPort(port); got !== undefined; got = receiveMessageOnPort(port)) {
    const reply = got.message as Hdf5Reply;
    replies.set(reply.id, reply);
  }
}

function usable(): Thread {
  if (current !== null && current.failures >= MOST_FAILURES) end(current);
  return (current ??= start());
}

function end(thread: Thread): void {
  if (current === thread) current = null;
  thread.port.close();
  void thread.worker.terminate();
}

function start(): Thread {
  const { port1, port2 } = new MessageChannel();
  const state = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(source, {
    eval: true,
    workerData: { library: libraryUrl(), state, port: port2, compiled } satisfies WorkerData,
    transferList: [port2],
  });
  const thread: Thread = { worker, port: port1, state, replies: new Map(), failures: 0 };
  worker.on('message', (module: WebAssembly.Module) => (compiled = module));
  // Whoever waits for it sees its silence.
  worker.on('error', () => end(thread));
  // It keeps nobody from ending.
  worker.unref();
  port1.unref();
  return thread;
}

/** The library as the build lays it down: beside the bundles, or in dist/ of the project whose test this is. */
function libraryUrl(): string {
  for (let folder = __dirname, below = ''; folder !== below; below = folder, folder = dirname(folder)) {
    const found = [folder, join(folder, 'dist')].map((at) => join(at, 'hdf5.mjs')).find((path) => existsSync(path));
    if (found !== undefined) return pathToFileURL(found).href;
  }
  throw new Error(`hdf5.mjs not found beside ${__filename}; build or install again`);
}
