import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fullyConnected } from '../../../samples/networks';
import { temporaryFolder } from '../../../test/files';
import { makeBatches } from '../curvature/batches';
import { layersInARow, parameterLayout } from '../curvature/parameters';
import { randomSamples } from '../curvature/testing';
import { createOrtEngine } from '../engine/ort';
import { JournalFile } from '../files/journal-file';
import { AnalysisClock } from './journal';
import { Operators } from './operators';

test('a journal keeps the products of blocks of one size apart, and gives each its own again', async (t) => {
  const engine = await createOrtEngine(1);
  const model = fullyConnected(4, [6, 6, 6, 3], 1);
  const network = {
    model,
    layout: parameterLayout(model),
    batches: makeBatches(randomSamples(8, [6], 3, 1), 4, 3),
  };
  const batching = { network, makeSmaller: () => Promise.resolve(false) };
  const path = join(temporaryFolder(t), 'journal');
  const unit = Float32Array.from({ length: 36 }, (_, i) => (i === 7 ? 1 : 0));
  const columns = async (): Promise<Float32Array[]> => {
    const journal = JournalFile.open(path, 'question')!;
    const operators = new Operators(engine, batching, journal, new AnalysisClock(), { work: async () => undefined }, 0);
    const found: Float32Array[] = [];
    for (const layer of network.layout.layers.slice(0, 2)) {
      const block = operators.block('hessian', layersInARow([layer]));
      found.push(...(await block.apply([unit])), ...(await block.rescaled([unit])));
      await block.dispose();
    }
    assert.equal(journal.length, 4);
    journal.close();
    return found;
  };
  const made = await columns();
  assert.notDeepEqual(made[0], made[2]);
  assert.ok(made.every((column) => column.some((x) => x !== 0)));
  assert.deepEqual(await columns(), made);
});
