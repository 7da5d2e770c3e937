import assert from 'node:assert/strict';
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PruneRequest } from '../../../protocol/prune';
import { tinyShards } from '../../../test/checkpoints/shards';
import { temporaryFolder } from '../../../test/files';
import { externalModel } from '../../../test/onnx-models';
import { prune } from './prune';

const request = (checkpoint: string, output: string): PruneRequest => ({
  checkpoint,
  output,
  mask: `${output}.npz`,
  target: { kind: 'sparsity', sparsity: 0.5 },
  method: 'global',
  allowDisconnected: true,
  sparse: false,
  overwrite: false,
});

/** A checkpoint, and the file of it that another program writes meanwhile. */
const CASES = [
  { name: 'the checkpoint itself', file: 'net.onnx', changed: 'net.onnx', output: 'out.onnx' },
  { name: 'its external data', file: 'net.onnx', changed: 'net.bin', output: 'out.onnx' },
  { name: 'a shard', file: 'model.json', changed: 'b.bin', output: 'out.json' },
] as const;

for (const { name, file, changed, output } of CASES) {
  for (const moment of ['choosing weights', 'writing']) {
    test(`nothing is written when ${name} changes at ${moment}`, async (t) => {
      const { model, data } = externalModel('net.bin');
      const folder = temporaryFolder(t, { ...tinyShards(), 'net.onnx': model, 'net.bin': data });
      const before = readdirSync(folder).sort();
      const path = join(folder, changed);
      const pruning = prune(request(join(folder, file), join(folder, output)), (event) => {
        if (event.kind !== 'progress' || !event.message.startsWith(moment)) return;
        const bytes = readFileSync(path);
        // Another model of the same form: the file stays readable.
        if (changed !== 'net.onnx') bytes.reverse();
        writeFileSync(path, bytes);
        utimesSync(path, new Date(), new Date(Date.now() + 60_000));
      });
      await assert.rejects(pruning, {
        name: 'InputError',
        message: `file changed while it was read: ${path}; wait until nothing writes it, and prune it again`,
      });
      assert.deepEqual(readdirSync(folder).sort(), before);
    });
  }
}

test('what stays as it was is pruned', async (t) => {
  const { model, data } = externalModel('net.bin');
  const folder = temporaryFolder(t, { 'net.onnx': model, 'net.bin': data });
  const result = await prune(request(join(folder, 'net.onnx'), join(folder, 'out.onnx')), () => undefined);
  assert.equal(result.kept, 6);
  assert.deepEqual(readdirSync(folder).sort(), ['net.bin', 'net.onnx', 'out.onnx', 'out.onnx.data', 'out.onnx.npz']);
});
