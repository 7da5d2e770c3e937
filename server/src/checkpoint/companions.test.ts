import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { tinyShards } from '../../../test/checkpoints/shards';
import { temporaryFolder } from '../../../test/files';
import { externalModel } from '../../../test/onnx-models';
import { Staging } from '../files/staging';
import { openCheckpoint } from './open';
import { writeUnchecked } from './write';
import { Writing, type Overwrite } from './writer';

/** Writes a copy of a checkpoint; names of the files beside it. */
async function copied(source: string, target: string, overwrite: Overwrite): Promise<string[]> {
  const { container } = await openCheckpoint(source);
  return Staging.run(async (staging) => {
    const writing = new Writing(source, target, [], staging, overwrite);
    await writeUnchecked(container, writing);
    return writing.companions.map((path) => path.slice(path.lastIndexOf('/') + 1)).sort();
  });
}

const CASES = [
  { file: 'model.json', shards: ['a.bin', 'b.bin'], other: 'model.json', target: 'pruned.json' },
  {
    file: 'mlp.safetensors.index.json',
    shards: ['mlp-1.safetensors', 'mlp-2.safetensors'],
    other: 'model.safetensors.index.json',
    target: 'pruned.safetensors.index.json',
  },
] as const;

describe(
  'files beside a checkpoint',
  { skip: process.platform === 'win32' && 'paths are written with slashes' },
  () => {
    for (const { file, shards, other, target } of CASES) {
      for (const overwrite of [false, 'own', true] as const) {
        it(`${file}, replacing ${overwrite}: those of another model stay`, async (t) => {
          const folder = temporaryFolder(t, tinyShards());
          const place = join(folder, 'other');
          mkdirSync(place);
          const source = join(folder, file);
          writeFileSync(join(place, other), readFileSync(source));
          for (const shard of shards) writeFileSync(join(place, shard), 'of the other model');
          const renamed = await copied(source, join(place, target), overwrite);
          assert.deepEqual(renamed, [...shards].map((shard) => `pruned.${shard}`).sort());
          for (const shard of shards) {
            assert.equal(readFileSync(join(place, shard), 'utf8'), 'of the other model');
            assert.deepEqual(readFileSync(join(place, `pruned.${shard}`)), readFileSync(join(folder, shard)));
          }
          const { tensors } = await openCheckpoint(join(place, target));
          for (const tensor of tensors.values()) assert.ok(tensor.read().values.length > 0);
        });
      }

      it(`${file}: its own from before are replaced, under the same names`, async (t) => {
        const folder = temporaryFolder(t, tinyShards());
        const place = join(folder, 'other');
        mkdirSync(place);
        for (const overwrite of [false, 'own', 'own'] as const) {
          assert.deepEqual(await copied(join(folder, file), join(place, target), overwrite), [...shards].sort());
        }
        assert.deepEqual(readdirSync(place).sort(), [target, ...shards].sort());
      });
    }

    it('an ONNX file: external data of another model stay, its own are replaced', async (t) => {
      const { model, data } = externalModel('net.onnx.data');
      const folder = temporaryFolder(t, { 'net.onnx': model, 'net.onnx.data': data, 'out.onnx.data': 'precious' });
      const [source, target] = [join(folder, 'net.onnx'), join(folder, 'out.onnx')];
      const before = readdirSync(folder).sort();
      await assert.rejects(copied(source, target, 'own'), {
        name: 'InputError',
        message: `file exists: ${join(folder, 'out.onnx.data')}; choose another name, or move it away`,
      });
      assert.deepEqual(readdirSync(folder).sort(), before);
      assert.equal(readFileSync(join(folder, 'out.onnx.data'), 'utf8'), 'precious');
      // --force says it of all.
      assert.deepEqual(await copied(source, target, true), ['out.onnx.data']);
      writeFileSync(join(folder, 'out.onnx.data'), 'from before');
      assert.deepEqual(await copied(source, target, 'own'), ['out.onnx.data']);
      assert.deepEqual(readFileSync(join(folder, 'out.onnx.data')), Buffer.from(data));
    });
  },
);
