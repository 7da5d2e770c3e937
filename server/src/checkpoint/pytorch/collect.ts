import { InputError } from '../../errors';
import { PickleInstance, type PickleValue } from '../../pickle/values';
import type { StoredTensor } from '../stored-tensor';
import { TorchTensor, viewedTensor } from './storage';

/** More values than any checkpoint holds; a file that says the same a million times over is an attack. */
const MOST_VALUES = 2_000_000;
const DEEPEST = 64;

/**
 * Every tensor in an object, by its way from the top: keys of dicts, places in
 * lists, attributes of objects. A module's parameters, buffers and children
 * are taken as `state_dict` takes them.
 *
 * @throws InputError when the object has no tensor, or is too large or too deep
 */
export function collectTensors(root: PickleValue, place: string): Map<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>();
  const around = new Set<PickleValue>();
  let visited = 0;
  const visit = (value: PickleValue, name: string): void => {
    if (value instanceof TorchTensor) {
      tensors.set(name, viewedTensor(name, value, place));
      return;
    }
    const children = childrenOf(value);
    // An object may hold itself.
    if (children === null || around.has(value)) return;
    if (around.size >= DEEPEST) throw tooMuch(place, `more than ${DEEPEST} objects in each other`);
    around.add(value);
    for (const [key, child] of children) {
      if (++visited > MOST_VALUES) throw tooMuch(place, `more than ${MOST_VALUES} values`);
      visit(child, name === '' ? key : key === '' ? name : `${name}.${key}`);
    }
    around.delete(value);
  };
  visit(root, '');
  return tensors;
}

function childrenOf(value: PickleValue): Iterable<readonly [string, PickleValue]> | null {
  if (Array.isArray(value)) return value.map((child, i) => [String(i), child] as const);
  if (value instanceof Map) return entriesOf(value);
  if (value instanceof PickleInstance) return attributesOf(value);
  return null;
}

function* entriesOf(map: ReadonlyMap<PickleValue, PickleValue>): Generator<readonly [string, PickleValue]> {
  for (const [key, child] of map) {
    if (typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint') yield [String(key), child];
  }
}

/** What torch.nn.Module keeps its tensors in; their own names do not appear in a state dict. */
const MODULE_DICTS = new Set(['_parameters', '_buffers', '_modules']);

function* attributesOf({ state, items, entries }: PickleInstance): Generator<readonly [string, PickleValue]> {
  // A state of two is (attributes, slots).
  const parts = Array.isArray(state) && state.length === 2 ? state : [state];
  for (const part of parts) {
    if (!(part instanceof Map)) {
      if (part !== null) yield ['', part];
      continue;
    }
    const isModule = part.has('_parameters');
    for (const [key, child] of entriesOf(part)) {
      if (!isModule) yield [key, child];
      else if (MODULE_DICTS.has(key)) yield ['', child];
    }
  }
  yield* items.map((child, i) => [String(i), child] as const);
  yield* entriesOf(entries);
}

function tooMuch(place: string, what: string): InputError {
  return new InputError(`PyTorch file too complex: ${what} (${place}); save the weights alone with model.state_dict()`);
}
