import type { ByteCursor } from '../files/ranges';
import type { Machine } from './machine';
import type { PickleValue } from './values';

export const MARK = Symbol('mark');
export type Cell = PickleValue | typeof MARK;

const NEWEST_PROTOCOL = 5;

type Step = (machine: Machine, input: ByteCursor) => void;

const utf8 = new TextDecoder('utf-8', { fatal: true });
const text = (m: Machine, bytes: Uint8Array): string => {
  try {
    return utf8.decode(bytes);
  } catch {
    throw m.damaged('a text is not UTF-8');
  }
};
const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
const push =
  (value: (machine: Machine, input: ByteCursor) => Cell): Step =>
  (machine, input) =>
    machine.push(value(machine, input));
const nothing: Step = () => undefined;

/** The opcodes that are read, under the names of `pickletools`. */
export const opcodes: ReadonlyMap<number, Step> = new Map<number, Step>(
  (
    [
      // PROTO, FRAME: a frame only says how far to read ahead.
      [
        0x80,
        (m, input) => {
          const protocol = input.byte();
          if (protocol > NEWEST_PROTOCOL) throw m.damaged(`protocol ${protocol} is not known`);
        },
      ],
      [0x95, (_, input) => void input.take(8)],
      // MARK, POP, POP_MARK, DUP
      ['(', push(() => MARK)],
      ['0', (m) => m.drop()],
      ['1', (m) => void m.popMark()],
      ['2', push((m) => m.top())],
      // NONE, NEWTRUE, NEWFALSE
      ['N', push(() => null)],
      [0x88, push(() => true)],
      [0x89, push(() => false)],
      // INT, LONG, BININT, BININT1, BININT2, LONG1, LONG4
      [
        'I',
        push((m) => {
          const line = m.line();
          return line === '00' ? false : line === '01' ? true : m.decimal(line);
        }),
      ],
      ['L', push((m) => m.decimal(m.line()))],
      ['J', push((_, input) => input.view(4).getInt32(0, true))],
      ['K', push((_, input) => input.byte())],
      ['M', push((_, input) => input.view(2).getUint16(0, true))],
      [0x8a, push((m) => m.integer(m.take(1)))],
      [0x8b, push((m) => m.integer(m.take(4)))],
      // FLOAT, BINFLOAT
      ['F', push((m) => Number(m.line()))],
      ['G', push((_, input) => input.view(8).getFloat64(0, false))],
      // STRING, BINSTRING, SHORT_BINSTRING
      ['S', push((m) => unquoted(m.line()))],
      ['T', push((m) => latin1(m.take(4)))],
      ['U', push((m) => latin1(m.take(1)))],
      // UNICODE, BINUNICODE, SHORT_BINUNICODE, BINUNICODE8
      ['V', push((m) => m.line().replace(/\\u([0-9a-fA-F]{4})/g, (_, code: string) => codePoint(code)))],
      ['X', push((m) => text(m, m.take(4)))],
      [0x8c, push((m) => text(m, m.take(1)))],
      [0x8d, push((m) => text(m, m.take(8)))],
      // BINBYTES, SHORT_BINBYTES, BINBYTES8, BYTEARRAY8
      ['B', push((m) => m.take(4))],
      ['C', push((m) => m.take(1))],
      [0x8e, push((m) => m.take(8))],
      [0x96, push((m) => m.take(8))],
      // EMPTY_LIST, LIST, APPEND, APPENDS
      [']', push(() => [])],
      ['l', push((m) => m.popMark())],
      [
        'a',
        (m) => {
          const value = m.pop();
          m.append(m.top(), [value]);
        },
      ],
      [
        'e',
        (m) => {
          const values = m.popMark();
          m.append(m.top(), values);
        },
      ],
      // EMPTY_TUPLE, TUPLE, TUPLE1, TUPLE2, TUPLE3
      [')', push(() => [])],
      ['t', push((m) => m.popMark())],
      [0x85, push((m) => m.popMany(1))],
      [0x86, push((m) => m.popMany(2))],
      [0x87, push((m) => m.popMany(3))],
      // EMPTY_DICT, DICT, SETITEM, SETITEMS
      ['}', push(() => new Map())],
      [
        'd',
        (m) => {
          const values = m.popMark();
          const dict = new Map<PickleValue, PickleValue>();
          m.setItems(dict, values);
          m.push(dict);
        },
      ],
      [
        's',
        (m) => {
          const values = m.popMany(2);
          m.setItems(m.top(), values);
        },
      ],
      [
        'u',
        (m) => {
          const values = m.popMark();
          m.setItems(m.top(), values);
        },
      ],
      // EMPTY_SET, ADDITEMS, FROZENSET
      [0x8f, push(() => new Set())],
      [
        0x90,
        (m) => {
          const values = m.popMark();
          const set = m.top();
          if (!(set instanceof Set)) throw m.damaged('a value is added to what is no set');
          for (const value of values) set.add(value);
        },
      ],
      [0x91, push((m) => new Set(m.popMark()))],
      // PUT, BINPUT, LONG_BINPUT, MEMOIZE, GET, BINGET, LONG_BINGET
      ['p', (m) => m.put(m.index(m.line()))],
      ['q', (m, input) => m.put(input.byte())],
      ['r', (m, input) => m.put(input.view(4).getUint32(0, true))],
      [0x94, (m) => m.memoize()],
      ['g', (m) => m.get(m.index(m.line()))],
      ['h', (m, input) => m.get(input.byte())],
      ['j', (m, input) => m.get(input.view(4).getUint32(0, true))],
      // GLOBAL, STACK_GLOBAL
      [
        'c',
        push((m) => {
          const module = m.line();
          return m.global(module, m.line());
        }),
      ],
      [
        0x93,
        (m) => {
          const [module, name] = m.popMany(2);
          m.push(m.global(module!, name!));
        },
      ],
      // REDUCE, NEWOBJ, NEWOBJ_EX, INST, OBJ, BUILD
      [
        'R',
        (m) => {
          const [callee, args] = m.popMany(2);
          m.push(m.call(callee!, args!));
        },
      ],
      [
        0x81,
        (m) => {
          const [type, args] = m.popMany(2);
          m.push(m.create(type!, args!));
        },
      ],
      [
        0x92,
        (m) => {
          const [type, args, keywords] = m.popMany(3);
          const positional = Array.isArray(args) ? args : [];
          const none = keywords instanceof Map && keywords.size === 0;
          m.push(m.create(type!, none ? positional : [...positional, keywords!]));
        },
      ],
      [
        'i',
        (m) => {
          const module = m.line();
          const type = m.global(module, m.line());
          m.push(m.create(type, m.popMark()));
        },
      ],
      [
        'o',
        (m) => {
          const [type, ...args] = m.popMark();
          m.push(m.create(type ?? null, args));
        },
      ],
      [
        'b',
        (m) => {
          const state = m.pop();
          m.build(m.top(), state);
        },
      ],
      // PERSID, BINPERSID
      ['P', push((m) => m.persistent(m.line()))],
      ['Q', push((m) => m.persistent(m.pop()))],
      // READONLY_BUFFER
      [0x98, nothing],
    ] satisfies [number | string, Step][]
  ).map(([code, step]) => [typeof code === 'string' ? code.charCodeAt(0) : code, step]),
);

function codePoint(hex: string): string {
  return String.fromCharCode(Number.parseInt(hex, 16));
}

/** The text of a Python 2 string literal. */
function unquoted(line: string): string {
  const inner = /^(['"])(.*)\1$/.exec(line)?.[2] ?? line;
  return inner.replace(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (_, hex: string | undefined, letter: string) =>
    hex !== undefined ? codePoint(hex) : (ESCAPES[letter] ?? letter),
  );
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '0': '\0' };
