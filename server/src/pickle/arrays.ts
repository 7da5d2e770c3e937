import { InputError } from '../errors';
import type { PickleFunction } from './machine';
import { PickleObject, type PickleValue } from './values';

/** numpy's arrays in pickles: type, shape and bytes. */

/** A dtype as numpy spells it, byte order first: `<f4`, `|u1`. */
export class PickledType extends PickleObject {
  private order = '|';

  constructor(readonly code: string) {
    super();
  }

  get descr(): string {
    return /^[<>|=]/.test(this.code) ? this.code : `${this.order}${this.code}`;
  }

  /** (version, byte order, …) */
  override build(state: PickleValue): void {
    const order = Array.isArray(state) ? state[1] : null;
    if (typeof order === 'string' && /^[<>|=]$/.test(order)) this.order = order;
  }
}

export class PickledArray extends PickleObject {
  shape: readonly number[] = [];
  type: PickledType | null = null;
  fortran = false;
  /** Bytes, as `toBytes` takes them; a list for arrays of objects. */
  content: PickleValue = null;

  /** (version, shape, dtype, is Fortran, bytes) */
  override build(state: PickleValue): void {
    const [, shape, type, fortran, content] = Array.isArray(state) ? state : [];
    const isShape = Array.isArray(shape) && shape.every((size) => typeof size === 'number' && size >= 0);
    if (!isShape || !(type instanceof PickledType)) {
      throw new InputError('pickle damaged: an array has no shape or no type; save it anew');
    }
    this.shape = shape as number[];
    this.type = type;
    this.fortran = fortran === true;
    this.content = content ?? null;
  }
}

/** numpy moved its modules in version 2. */
const both = (name: string, make: PickleFunction): (readonly [string, PickleFunction])[] => [
  [`numpy.core.${name}`, make],
  [`numpy._core.${name}`, make],
];

export const arrayFunctions: readonly (readonly [string, PickleFunction])[] = [
  ['numpy.dtype', ([code]) => new PickledType(typeof code === 'string' ? code : '')],
  ['numpy.ndarray', () => new PickledArray()],
  ...both('multiarray._reconstruct', () => new PickledArray()),
  // A single number: what it is does not matter to any reader.
  ...both('multiarray.scalar', () => null),
];
