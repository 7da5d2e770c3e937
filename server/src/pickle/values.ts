/**
 * What a pickle holds, as data. Lists and tuples are arrays, dicts are maps,
 * None is null, integers beyond 2^53 are bigints, and byte strings of Python 2
 * are latin-1 text. A class or function is a name; an object is its class's
 * name and its state. None of them can do anything.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | Set<PickleValue>
  | PickleGlobal
  | PickleInstance
  | PickleObject;

/** A class or function that the pickle names. */
export class PickleGlobal {
  constructor(
    readonly module: string,
    readonly name: string,
  ) {}

  get path(): string {
    return `${this.module}.${this.name}`;
  }
}

/** An object of a class that means nothing here. */
export class PickleInstance {
  state: PickleValue = null;
  readonly items: PickleValue[] = [];
  readonly entries = new Map<PickleValue, PickleValue>();

  constructor(readonly type: PickleGlobal) {}
}

/** Something that a known function makes: a tensor, a storage, an array. */
export abstract class PickleObject {
  /** Takes the state of a BUILD; most have none. */
  abstract build(state: PickleValue): void;
}

/** The values of a dict by their text keys; null for what is no dict. */
export function textEntries(value: PickleValue): Map<string, PickleValue> | null {
  if (!(value instanceof Map)) return null;
  return new Map([...value].flatMap(([key, entry]) => (typeof key === 'string' ? [[key, entry] as const] : [])));
}

/** The bytes of a byte string of any Python version; null for what is none. */
export function toBytes(value: PickleValue): Uint8Array | null {
  if (value instanceof Uint8Array) return value;
  return typeof value === 'string' ? new Uint8Array(Buffer.from(value, 'latin1')) : null;
}
