import assert from 'node:assert/strict';
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TrainResult } from '../../protocol/train';
import { openCheckpoint } from '../../server/src/checkpoint/open';
import { tinyShards } from '../checkpoints/shards';
import { temporaryFolder } from '../files';
import { projectRoot } from '../outside';
import { testRandom } from '../reference/cases';
import { run } from './command';

/** The real command, training on from checkpoints of every format but ONNX. */

/** Samples whose largest feature among the first ones is their class. */
function csv(features: number, classes: number): string {
  const random = testRandom(8);
  const rows = Array.from({ length: 60 }, () => {
    const row = Array.from({ length: features }, () => Math.round(100 * random()));
    return [...row, row.indexOf(Math.max(...row.slice(0, classes)))];
  });
  return rows.map((row) => row.join()).join('\n');
}

const cases = [
  { file: 'mlp.safetensors.index.json', features: 24 },
  { file: 'model.json', features: 24 },
  { file: 'tied.pt', features: 5 },
] as const;

async function weightsOf(path: string): Promise<Map<string, number[]>> {
  const { tensors } = await openCheckpoint(path);
  return new Map([...tensors].map(([name, tensor]) => [name, [...tensor.read().values]]));
}

describe('training goes on from the weights of any checkpoint, and writes ONNX', () => {
  for (const { file, features } of cases) {
    it(file, async (t) => {
      const cwd = temporaryFolder(t, { ...tinyShards(), 'data.csv': csv(features, 5) });
      const committed = join(projectRoot(), 'test/checkpoints/files', file);
      if (existsSync(committed)) copyFileSync(committed, join(cwd, file));
      const train = (output: string, ...more: string[]) =>
        run(
          [
            ...['train', file, '--data', 'data.csv', '--scale', '100', '--evaluate', 'train', '-o', output, '--json'],
            ...['--batch', '10', '--threads', '1', ...more],
          ],
          { cwd },
        );
      // A step too small for float32 leaves what was read.
      const still = await train('still.onnx', '--epochs', '1', '--rate', '1e-30');
      assert.equal(still.status, 0, still.stderr);
      const before = await weightsOf(join(cwd, file));
      for (const [name, values] of await weightsOf(join(cwd, 'still.onnx'))) {
        assert.deepEqual(values, before.get(name), name);
      }
      const trained = await train('out.onnx', '--epochs', '30', '--rate', '0.05');
      assert.equal(trained.status, 0, trained.stderr);
      const { epochs } = JSON.parse(trained.stdout) as TrainResult;
      assert.ok(epochs.at(-1)!.loss < 0.8 * epochs[0]!.loss, JSON.stringify(epochs.map(({ loss }) => loss)));
    });
  }
});
