import type { Split } from '../../../protocol/analysis';
import type { Dataset } from './dataset';
import { openDataset } from './open';

/** A data set with its first sample alone, and every label. */
export type DatasetFacts = Dataset & { readonly total: number };

/** @throws InputError when it cannot be read */
export async function readFacts(path: string, split: Split): Promise<DatasetFacts> {
  const dataset = await openDataset(path, split);
  const size = dataset.values.length / dataset.count;
  return { ...dataset, values: dataset.values.slice(0, size), total: dataset.count };
}
