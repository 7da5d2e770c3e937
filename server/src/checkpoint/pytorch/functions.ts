import { InputError } from '../../errors';
import { arrayFunctions } from '../../pickle/arrays';
import { builtinFunctions } from '../../pickle/builtins';
import type { PickleFunction, PickleTable } from '../../pickle/machine';
import { PickleGlobal, type PickleValue } from '../../pickle/values';
import { elementTypeOf, TorchStorage, TorchTensor } from './storage';

/** What a PyTorch file may call: the functions that put tensors together (torch/_utils.py), and nothing else. */

const damaged = (what: string): InputError =>
  new InputError(`PyTorch file damaged: ${what}; copy the file again or save it anew`);

const numbers = (value: PickleValue | undefined, what: string): number[] => {
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'number')) throw damaged(`${what} is no shape`);
  return value as number[];
};

/** (storage, offset, size, stride, …): the strided view. */
const rebuildTensor: PickleFunction = ([storage, offset, size, stride]) =>
  view(storage, undefined, offset, size, stride);

function view(
  storage: PickleValue | undefined,
  dtype: string | undefined,
  offset: PickleValue | undefined,
  size: PickleValue | undefined,
  stride: PickleValue | undefined,
): TorchTensor {
  if (!(storage instanceof TorchStorage) || typeof offset !== 'number') throw damaged('a tensor has no storage');
  return new TorchTensor(
    storage,
    dtype ?? storage.dtype,
    offset,
    numbers(size, 'a size'),
    numbers(stride, 'a list of strides'),
  );
}

const refuse =
  (what: string, next: string): PickleFunction =>
  () => {
    throw new InputError(`tensor not supported: ${what}; ${next}`);
  };

const functions = new Map<string, PickleFunction>([
  ...builtinFunctions,
  ...arrayFunctions,
  ['torch._utils._rebuild_tensor', rebuildTensor],
  ['torch._utils._rebuild_tensor_v2', rebuildTensor],
  // (storage, offset, size, stride, requires_grad, hooks, dtype, metadata), for types that have no storage class.
  [
    'torch._utils._rebuild_tensor_v3',
    ([storage, offset, size, stride, , , dtype]) =>
      view(storage, dtype instanceof PickleGlobal ? elementTypeOf(dtype.name) : undefined, offset, size, stride),
  ],
  ['torch._utils._rebuild_parameter', ([data]) => data ?? null],
  ['torch._utils._rebuild_parameter_with_state', ([data]) => data ?? null],
  ['torch.nn.parameter.Parameter', ([data]) => data ?? null],
  ['torch._tensor._rebuild_from_type_v2', ([callee, , args], call) => call(callee ?? null, args ?? null)],
  ['torch._tensor._rebuild_from_type', ([callee, , args], call) => call(callee ?? null, args ?? null)],
  [
    'torch._utils._rebuild_qtensor',
    refuse('quantised (torch._utils._rebuild_qtensor)', 'save the network before it is quantised'),
  ],
  [
    'torch._utils._rebuild_sparse_tensor',
    refuse('sparse (torch._utils._rebuild_sparse_tensor)', 'save it with .to_dense()'),
  ],
  ['torch.serialization._get_layout', ([name]) => name ?? null],
  ['torch.Size', ([sizes]) => sizes ?? []],
  ['torch.device', ([name]) => name ?? null],
  ['torch.jit._pickle.build_intlist', ([list]) => list ?? []],
  ['torch.jit._pickle.build_doublelist', ([list]) => list ?? []],
  ['torch.jit._pickle.build_boollist', ([list]) => list ?? []],
  ['torch.jit._pickle.build_tensorlist', ([list]) => list ?? []],
  ['torch.jit._pickle.restore_type_tag', ([value]) => value ?? null],
]);

/**
 * @param persistent what a reference to data outside of the pickle stands for
 */
export function torchTable(persistent: (id: PickleValue) => PickleValue): PickleTable {
  return { functions, persistent, advice: 'save the weights alone with torch.save(model.state_dict(), path)' };
}

/** Storages by key, as persistent ids name them: ('storage', class, key, location, length, …). */
export function storageReferences(make: (key: string, dtype: string, length: number) => TorchStorage): {
  readonly storages: ReadonlyMap<string, TorchStorage>;
  readonly persistent: (id: PickleValue) => PickleValue;
} {
  const storages = new Map<string, TorchStorage>();
  const persistent = (id: PickleValue): PickleValue => {
    if (!Array.isArray(id)) throw damaged('a reference to data is no tuple');
    // Legacy files keep the source of a whole module beside its class: ('module', class, file, source).
    if (id[0] === 'module') return id[1] ?? null;
    const [kind, type, key, , length] = id;
    if (kind !== 'storage' || !(type instanceof PickleGlobal) || typeof length !== 'number') {
      throw damaged('a reference to data is no storage');
    }
    const name = String(typeof key === 'bigint' ? key.toString() : (key as string | number));
    if (!(Number.isSafeInteger(length) && length >= 0)) throw damaged(`storage ${name} has ${length} elements`);
    const known = storages.get(name);
    if (known !== undefined) return known;
    const storage = make(name, elementTypeOf(type.name), length);
    storages.set(name, storage);
    return storage;
  };
  return { storages, persistent };
}
