import { AnalysisError } from '../errors';
import code from './update.wat';

const PAGE = 65_536;
/** Pages that a memory can have. */
const MOST_PAGES = 65_536;
/** Bytes that a memory is filled to, unless one parameter alone needs more. */
const COMFORTABLE = 2 ** 30;
/** Entries between the beginnings of arrays are multiples of a cache line's. */
const LINE = 16;
/** Weight, velocity and slope. */
const ARRAYS = 3;
const FLOAT = 4;

interface Rule {
  descend(
    w: number,
    v: number,
    g: number,
    length: number,
    rate: number,
    momentum: number,
    decay: number,
    l1: number,
  ): void;
  shrink(w: number, length: number, threshold: number): void;
}

/**
 * What gradient descent keeps of one parameter, all zero to begin with, and its
 * rule compiled to four float32 operations at a time: V8 makes scalar float64 of
 * the same in JavaScript, which takes five to eight times as long.
 */
export class ParameterState {
  readonly weights: Float32Array;
  readonly velocity: Float32Array;
  /** The gradient. */
  readonly slope: Float32Array;
  private readonly bytes: number;

  private constructor(
    buffer: ArrayBuffer,
    private readonly rule: Rule,
    private readonly offset: number,
    length: number,
  ) {
    this.bytes = FLOAT * padded(length);
    const array = (index: number): Float32Array => new Float32Array(buffer, offset + index * this.bytes, length);
    [this.weights, this.velocity, this.slope] = [array(0), array(1), array(2)];
  }

  /**
   * States of parameters with these numbers of entries, as many in one memory as
   * fit comfortably.
   *
   * @throws AnalysisError for a parameter of more than 357,913,936 entries
   */
  static allocate(lengths: readonly number[]): ParameterState[] {
    const states: ParameterState[] = [];
    for (let first = 0; first < lengths.length;) {
      let end = first;
      let bytes = 0;
      do bytes += ARRAYS * FLOAT * padded(lengths[end++]!);
      while (end < lengths.length && bytes + ARRAYS * FLOAT * padded(lengths[end]!) <= COMFORTABLE);
      const { buffer, rule } = allocateMemory(bytes);
      let offset = 0;
      for (const length of lengths.slice(first, end)) {
        states.push(new ParameterState(buffer, rule, offset, length));
        offset += ARRAYS * FLOAT * padded(length);
      }
      first = end;
    }
    return states;
  }

  /** v ← m·v + g + (α·w + μ·sign(w)), w ← w − η·v; sign(0) = 0. */
  descend(rate: number, momentum: number, decay: number, l1: number): void {
    const { offset, bytes } = this;
    this.rule.descend(offset, offset + bytes, offset + 2 * bytes, bytes, rate, momentum, decay, l1);
  }

  /** w ← sign(w)·max(|w| − t, 0): the proximal operator of t‖w‖₁. */
  shrink(threshold: number): void {
    this.rule.shrink(this.offset, this.bytes, threshold);
  }
}

function padded(length: number): number {
  return LINE * Math.max(1, Math.ceil(length / LINE));
}

let compiled: WebAssembly.Module | undefined;

function allocateMemory(bytes: number): { buffer: ArrayBuffer; rule: Rule } {
  const pages = Math.ceil(bytes / PAGE);
  if (pages > MOST_PAGES) {
    const entries = Math.floor(bytes / ARRAYS / FLOAT);
    throw new AnalysisError(`a parameter of ${entries} entries is too large to be trained here; freeze or split it`);
  }
  let memory: WebAssembly.Memory;
  try {
    memory = new WebAssembly.Memory({ initial: pages });
  } catch {
    throw new AnalysisError(`out of memory: training holds ${bytes} bytes of weights, velocities and gradients`);
  }
  compiled ??= new WebAssembly.Module(code);
  const { exports } = new WebAssembly.Instance(compiled, { state: { memory } });
  return { buffer: memory.buffer, rule: exports as unknown as Rule };
}
