import { InputError } from '../errors';
import { Random } from '../random';
import type { Dataset } from './dataset';

/**
 * All samples in the order in which they are chosen: any number of them from the
 * front, or from anywhere within, has each class with its share.
 *
 * The shares are those of Sainte-Laguë's method: the k-th sample of a class of
 * size s (in random order, k from 0) has the key (k + ½)/s, and the n smallest
 * keys win. So every class is within one or so of n·s/count. Samples of equal key
 * stand in an order of classes that the seed draws.
 */
export function samplingOrder(
  { count, labels, classes }: Pick<Dataset, 'count' | 'labels' | 'classes'>,
  seed: number,
): Int32Array {
  const random = Random.stream(seed, 'samples');
  const order = Int32Array.from(random.permutation(count));
  const turn = random.permutation(classes);
  const sizes = new Int32Array(classes);
  for (const label of labels) sizes[label]! += 1;

  const taken = new Int32Array(classes);
  const keys = new Float64Array(count);
  for (const index of order) {
    const label = labels[index]!;
    // Equal fractions give equal doubles, so ties are exact.
    keys[index] = (taken[label]! + 0.5) / sizes[label]!;
    taken[label]! += 1;
  }
  return order.sort((i, j) => keys[i]! - keys[j]! || turn[labels[i]!]! - turn[labels[j]!]!);
}

/**
 * The first `n` samples of `samplingOrder`, their indices ascending; all of them
 * when there are no more than `n`. So the choices are nested: a larger n, with
 * the same seed, only adds samples.
 *
 * @throws InputError when n is not a positive whole number
 */
export function chooseSamples(
  dataset: Pick<Dataset, 'count' | 'labels' | 'classes'>,
  n: number | 'all',
  seed: number,
): Int32Array {
  const { count } = dataset;
  if (n !== 'all' && !(Number.isInteger(n) && n > 0)) {
    throw new InputError(`sample count out of range: ${n}; choose a whole number from 1, or all`);
  }
  if (n === 'all' || n >= count) return Int32Array.from({ length: count }, (_, i) => i);
  return samplingOrder(dataset, seed).slice(0, n).sort();
}
