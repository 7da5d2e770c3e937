import { InputError } from '../errors';
import type { Model, PrunableLayer } from '../graph/model';
import { elementCount } from '../graph/shapes';

/** A prunable layer and the part of the flat vector that is its. */
export interface LayerSlice extends PrunableLayer {
  readonly offset: number;
  readonly length: number;
}

/** Where the prunable weights of every layer lie in one vector of all of them. */
export interface ParameterLayout {
  /** D. */
  readonly dimension: number;
  readonly layers: readonly LayerSlice[];
}

/** Layers one after the other, in the order of the model. */
export function parameterLayout(model: Model): ParameterLayout {
  const layout = layersInARow(model.layers);
  if (layout.dimension === 0) {
    throw new InputError(
      `no prunable weights in ${model.source}: it has no Conv, ConvTranspose, Gemm or MatMul with stored weights`,
    );
  }
  return layout;
}

/** Any of a network's layers, one after the other. */
export function layersInARow(chosen: readonly PrunableLayer[]): ParameterLayout {
  let offset = 0;
  const layers = chosen.map(({ name, op, shape }) => {
    const slice = { name, op, shape, offset, length: elementCount(shape) };
    offset += slice.length;
    return slice;
  });
  return { dimension: offset, layers };
}

/** The prunable weights of the checkpoint as one vector of length D. */
export function flatWeights(model: Model, layout: ParameterLayout): Float32Array {
  const flat = new Float32Array(layout.dimension);
  for (const layer of layout.layers) flat.set(model.parameters.get(layer.name)!.value, layer.offset);
  return flat;
}
