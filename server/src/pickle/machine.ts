import { InputError } from '../errors';
import type { ByteCursor } from '../files/ranges';
import { MARK, opcodes, type Cell } from './opcodes';
import { PickleGlobal, PickleInstance, PickleObject, type PickleValue } from './values';

/**
 * The pickle machine (protocols 0 to 5, Python's `pickletools`), which builds
 * data and runs nothing. A file may name any class or function; it may call
 * those alone that are in the reader's table, and making an empty object of a
 * class is the only other thing that it can ask for.
 *
 * Differs from Python's: 1. there is nothing to import, so a name is a name.
 * 2. A length is compared with the bytes that are there before it is believed.
 * 3. Out-of-band buffers, the extension registry and integers of more than 128
 * bytes are refused.
 */

/** What a call of a named function makes of its arguments. */
export type PickleFunction = (args: readonly PickleValue[], call: PickleCall) => PickleValue;
/** Calls a further function that the file names, under the same rules. */
export type PickleCall = (callee: PickleValue, args: PickleValue) => PickleValue;

export interface PickleTable {
  /** By `module.name`. */
  readonly functions: ReadonlyMap<string, PickleFunction>;
  /** What a persistent id stands for. */
  readonly persistent?: (id: PickleValue) => PickleValue;
  /** What to do instead, for the message of a refusal. */
  readonly advice: string;
}

const LONGEST_INTEGER = 128;
const LONGEST_LINE = 1 << 24;
const LONGEST_STRING = 2 ** 30;

/** Python's two names of what is built in. */
const RENAMED: Readonly<Record<string, string>> = { __builtin__: 'builtins', copy_reg: 'copyreg' };

/**
 * Reads one pickle and leaves `input` behind its end.
 *
 * @throws InputError when it is damaged, or wants what is not allowed
 */
export function readPickle(input: ByteCursor, table: PickleTable): PickleValue {
  return new Machine(input, table).run();
}

/** The state of a reading, and what its opcodes do with it. */
export class Machine {
  private readonly stack: Cell[] = [];
  private readonly memo = new Map<number, PickleValue>();
  private opcodeAt = 0;

  constructor(
    private readonly input: ByteCursor,
    private readonly table: PickleTable,
  ) {}

  run(): PickleValue {
    for (;;) {
      this.opcodeAt = this.input.position;
      const opcode = this.input.byte();
      if (opcode === 0x2e) return this.pop();
      const step = opcodes.get(opcode);
      if (step === undefined) {
        throw this.damaged(`no opcode ${JSON.stringify(String.fromCharCode(opcode))} (${opcode}) is read`);
      }
      step(this, this.input);
    }
  }

  push(value: Cell): void {
    this.stack.push(value);
  }

  pop(): PickleValue {
    const value = this.stack.pop();
    if (value === undefined || value === MARK) throw this.damaged('the stack is empty');
    return value;
  }

  top(): PickleValue {
    const value = this.stack.at(-1);
    if (value === undefined || value === MARK) throw this.damaged('the stack is empty');
    return value;
  }

  /** What lies above the last mark, which goes too. */
  popMark(): PickleValue[] {
    const at = this.stack.lastIndexOf(MARK);
    if (at < 0) throw this.damaged('there is no mark');
    return this.stack.splice(at).slice(1) as PickleValue[];
  }

  /** Drops a value or a mark. */
  drop(): void {
    if (this.stack.pop() === undefined) throw this.damaged('the stack is empty');
  }

  popMany(count: number): PickleValue[] {
    const values = Array.from({ length: count }, () => this.pop());
    return values.reverse();
  }

  put(index: number): void {
    this.memo.set(index, this.top());
  }

  memoize(): void {
    this.put(this.memo.size);
  }

  get(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) throw this.damaged(`memo ${index} was never set`);
    this.push(value);
  }

  line(): string {
    const bytes: number[] = [];
    for (let byte = this.input.byte(); byte !== 0x0a; byte = this.input.byte()) {
      if (bytes.push(byte) > LONGEST_LINE) throw this.damaged('a line has no end');
    }
    return Buffer.from(bytes).toString('latin1').replace(/\r$/, '');
  }

  /** A length of up to 8 bytes, no more than what is left. */
  take(lengthBytes: 1 | 4 | 8): Uint8Array {
    const view = this.input.view(lengthBytes);
    const length =
      lengthBytes === 1
        ? view.getUint8(0)
        : lengthBytes === 4
          ? view.getUint32(0, true)
          : Number(view.getBigUint64(0, true));
    if (length > this.input.remaining) {
      throw this.damaged(`${length} bytes are claimed and ${this.input.remaining} are there`);
    }
    if (length > LONGEST_STRING) throw this.damaged(`a string of ${length} bytes`);
    return this.input.take(length);
  }

  integer(bytes: Uint8Array): number | bigint {
    if (bytes.length > LONGEST_INTEGER) throw this.damaged(`an integer of ${bytes.length} bytes`);
    if (bytes.length === 0) return 0;
    const digits = Buffer.from(bytes).reverse().toString('hex');
    return narrow(BigInt.asIntN(8 * bytes.length, BigInt(`0x${digits}`)));
  }

  decimal(text: string): number | bigint {
    const digits = text.replace(/L$/, '');
    if (!/^[+-]?\d{1,400}$/.test(digits)) throw this.damaged(`${JSON.stringify(text.slice(0, 40))} is no integer`);
    return narrow(BigInt(digits));
  }

  index(text: string): number {
    const index = Number(this.decimal(text));
    if (!Number.isSafeInteger(index)) throw this.damaged('a memo index is no integer');
    return index;
  }

  global(module: PickleValue, name: PickleValue): PickleGlobal {
    if (typeof module !== 'string' || typeof name !== 'string') throw this.damaged('a global has no name');
    return new PickleGlobal(RENAMED[module] ?? module, name);
  }

  /** Calls what the table has. */
  readonly call = (callee: PickleValue, args: PickleValue): PickleValue => {
    if (!Array.isArray(args)) throw this.damaged('a call has no arguments');
    if (!(callee instanceof PickleGlobal)) throw this.damaged('something is called that is no function');
    const known = this.table.functions.get(callee.path);
    if (known === undefined) throw this.refused(callee);
    return known(args, this.call);
  };

  /** A new object of a class: one that is known, or an empty one that means nothing. */
  create(type: PickleValue, args: PickleValue): PickleValue {
    if (!(type instanceof PickleGlobal)) throw this.damaged('an object has no class');
    if (!Array.isArray(args)) throw this.damaged('a call has no arguments');
    if (this.table.functions.has(type.path)) return this.call(type, args);
    if (args.length > 0) throw this.refused(type);
    return new PickleInstance(type);
  }

  persistent(id: PickleValue): PickleValue {
    if (this.table.persistent === undefined) throw this.damaged('it refers to data outside of it');
    return this.table.persistent(id);
  }

  append(list: PickleValue, values: readonly PickleValue[]): void {
    const items = list instanceof PickleInstance ? list.items : list;
    if (!Array.isArray(items)) throw this.damaged('a value is appended to what is no list');
    for (const value of values) items.push(value);
  }

  setItems(dict: PickleValue, values: readonly PickleValue[]): void {
    const entries = dict instanceof PickleInstance ? dict.entries : dict;
    if (!(entries instanceof Map) || values.length % 2 !== 0) throw this.damaged('an entry is set in what is no dict');
    for (let i = 0; i < values.length; i += 2) entries.set(values[i]!, values[i + 1]!);
  }

  build(target: PickleValue, state: PickleValue): void {
    if (target instanceof PickleInstance) target.state = state;
    else if (target instanceof PickleObject) target.build(state);
    // The state of a dict or set is what a subclass adds to it: a state dict's versions.
    else if (!(target instanceof Map || target instanceof Set)) throw this.damaged('a state is set on what has none');
  }

  refused(callee: PickleGlobal): InputError {
    return new InputError(
      `pickle refused: it wants to call ${callee.path} (${this.input.name}, byte ${this.opcodeAt}); nothing that a file names is run, ${this.table.advice}`,
    );
  }

  damaged(detail: string): InputError {
    return new InputError(
      `pickle damaged: ${detail} (${this.input.name}, byte ${this.opcodeAt}); copy the file again or save it anew`,
    );
  }
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
