import { npzNames, readNpz } from '../dataset/arrays';
import { InputError } from '../errors';
import type { Model } from '../graph/model';
import { formatShape, sameShape } from '../graph/shapes';

/** By name of a prunable weight tensor: 0 where a weight is zero and stays it. */
export type WeightMask = ReadonlyMap<string, Uint8Array>;

/**
 * The weights that are zero stay it.
 * @throws InputError when none is
 */
export function maskOfZeros({ source, layers, parameters }: Model): WeightMask {
  const masks = layers.map(
    ({ name }) => [name, Uint8Array.from(parameters.get(name)!.value, (w) => (w === 0 ? 0 : 1))] as const,
  );
  if (masks.every(([, mask]) => !mask.includes(0))) {
    throw new InputError(`no zero among the prunable weights of ${source}; prune it first, or give a mask file`);
  }
  return new Map(masks);
}

/**
 * A mask file: an `.npz` with an array per prunable weight tensor, under its
 * name and in its shape, and 0 or false where a weight is to be zero. Tensors
 * without an array keep all their weights.
 *
 * @throws InputError when it is no such file, or speaks of other weights
 */
export async function readMask(path: string, { source, layers }: Model): Promise<WeightMask> {
  const names = await npzNames(path).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof InputError || error.code === undefined) throw error;
    throw new InputError(`mask not readable: ${path} (${error.code}); name an .npz, such as prune --mask writes`);
  });
  const arrays = await readNpz(path, names);
  return new Map(
    names.map((name, i) => {
      const layer = layers.find((candidate) => candidate.name === name);
      if (layer === undefined) {
        throw new InputError(
          `mask of an unknown layer: ${name} (${path}); ${source} has ${layers.map((other) => other.name).join(', ')}`,
        );
      }
      const { shape, values } = arrays[i]!;
      if (!sameShape(shape, layer.shape)) {
        throw new InputError(
          `mask does not fit: ${name} ${formatShape(shape)} (${path}), the weights are ${formatShape(layer.shape)}`,
        );
      }
      return [name, Uint8Array.from(values, (x) => (x === 0 ? 0 : 1))];
    }),
  );
}
