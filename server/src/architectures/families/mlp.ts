import type { Shape } from '../../graph/ir';
import type { Architecture } from '../architecture';
import { batchNorm, chain, linear, relu } from '../layers';

/**
 * Multilayer perceptrons, whatever their layers are called: matrices that fit
 * one behind the other in the order of their names, ReLU between, and
 * normalisations before it where there are some.
 */
export function mlp(shapes: ReadonlyMap<string, Shape>): Architecture | null {
  const names = [...shapes.keys()];
  const stem = (name: string): string => name.replace(/\.?weight$/, '');
  const matrices = names.filter((name) => /(^|\.)weight$/.test(name) && shapes.get(name)!.length === 2).map(stem);
  const norms = names.filter((name) => /(^|\.)running_mean$/.test(name)).map((name) => name.slice(0, -13));
  const others = names.filter((name) => shapes.get(name)!.length > 1 && !matrices.includes(stem(name)));
  if (matrices.length < 2 || others.length > 0) return null;
  const fits = (order: readonly string[]): boolean =>
    order.every((name, i) => i === 0 || weight(name)[1] === weight(order[i - 1]!)[0]);
  const weight = (name: string): Shape => shapes.get(name === '' ? 'weight' : `${name}.weight`)!;
  const order = [[...matrices].sort(natural), matrices].find(fits);
  if (order === undefined) return null;
  if (norms.length > 0 && norms.length !== order.length - 1 && norms.length !== order.length) return null;
  const sortedNorms = [...norms].sort(natural);
  const layers = order.map((name, i) =>
    chain(
      linear(name),
      sortedNorms[i] === undefined ? chain() : batchNorm(sortedNorms[i]),
      i < order.length - 1 ? relu : chain(),
    ),
  );
  return {
    name: 'mlp',
    title: `MLP ${[weight(order[0]!)[1], ...order.map((name) => weight(name)[0])].join('-')}${norms.length > 0 ? ' with batch normalisation' : ''}, ReLU assumed between layers`,
    size: null,
    first: `${order[0]!}.weight`,
    network: chain(...layers),
  };
}

/** Numbers in names by value: `fc2` before `fc10`. */
function natural(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
