import { InputError } from '../errors';
import type { PickleFunction } from './machine';
import { PickleGlobal, PickleInstance, type PickleValue } from './values';

/**
 * Functions of Python's own library that make plain data. None of them copies
 * what it is given: a short pickle could ask for that again and again.
 */
export const builtinFunctions: readonly (readonly [string, PickleFunction])[] = [
  ['collections.OrderedDict', ([pairs]) => dictOf(pairs)],
  ['collections.defaultdict', () => new Map()],
  ['collections.Counter', ([counts]) => dictOf(counts)],
  ['builtins.dict', ([pairs]) => dictOf(pairs)],
  ['builtins.list', ([items]) => items ?? []],
  ['builtins.tuple', ([items]) => items ?? []],
  ['builtins.set', ([items]) => items ?? []],
  ['builtins.frozenset', ([items]) => items ?? []],
  ['builtins.bytearray', ([content]) => content ?? new Uint8Array(0)],
  ['builtins.bytes', ([content]) => content ?? new Uint8Array(0)],
  ['builtins.complex', (args) => [...args]],
  ['builtins.slice', (args) => [...args]],
  // How bytes of Python 3 are written in protocol 2: latin-1 text, which `toBytes` takes.
  ['_codecs.encode', ([content]) => content ?? new Uint8Array(0)],
  ['copyreg._reconstructor', ([type]) => instanceOf(type ?? null)],
  ['copyreg.__newobj__', ([type, ...args]) => instanceOf(args.length === 0 ? (type ?? null) : null)],
];

const dicts = new WeakMap<readonly PickleValue[], Map<PickleValue, PickleValue>>();

function dictOf(pairs: PickleValue | undefined): Map<PickleValue, PickleValue> {
  if (pairs instanceof Map) return pairs;
  if (!Array.isArray(pairs)) return new Map();
  let entries = dicts.get(pairs);
  if (entries === undefined) {
    entries = new Map();
    for (const pair of pairs) if (Array.isArray(pair) && pair.length === 2) entries.set(pair[0]!, pair[1]!);
    dicts.set(pairs, entries);
  }
  return entries;
}

function instanceOf(type: PickleValue): PickleInstance {
  if (!(type instanceof PickleGlobal)) throw new InputError('pickle damaged: an object has no class; save it anew');
  return new PickleInstance(type);
}
