import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { dataFiles, InputWatch, namedInJson } from './inputs';

const FILES = { 'net.onnx': 'weights', 'data/x-ubyte': 'images', 'data/train.log': 'epoch 1' };

describe('inputs of an analysis', () => {
  it('are as they were', async (t) => {
    const folder = temporaryFolder(t, FILES);
    const watch = await InputWatch.begin(join(folder, 'net.onnx'), [join(folder, 'data')]);
    assert.equal(await watch.changed(), null);
    await watch.expectUnchanged();
  });

  it('have changed when their content may have, or another file took their place', async (t) => {
    const changes: readonly ((path: string) => void)[] = [
      (path) => appendFileSync(path, 'x'),
      (path) => utimesSync(path, new Date(), new Date(Date.now() + 60_000)),
      (path) => {
        writeFileSync(`${path}.new`, 'WEIGHTS');
        renameSync(`${path}.new`, path);
      },
    ];
    for (const name of ['net.onnx', 'data/x-ubyte']) {
      for (const change of changes) {
        const folder = temporaryFolder(t, FILES);
        const watch = await InputWatch.begin(join(folder, 'net.onnx'), [join(folder, 'data')]);
        change(join(folder, name));
        assert.deepEqual(await watch.changed(), { path: join(folder, name), gone: false });
        await assert.rejects(watch.expectUnchanged(), {
          name: 'InputError',
          message: `file changed while it was read: ${join(folder, name)}; wait until nothing writes it, and analyse it again`,
        });
      }
    }
  });

  it('are gone when they are', async (t) => {
    const folder = temporaryFolder(t, FILES);
    const watch = await InputWatch.begin(join(folder, 'net.onnx'), []);
    rmSync(join(folder, 'net.onnx'));
    await assert.rejects(watch.expectUnchanged(), {
      message: /^file gone while it was read: .*net\.onnx; put it back/,
    });
  });

  it('are not what only lies beside them', async (t) => {
    const folder = temporaryFolder(t, FILES);
    const watch = await InputWatch.begin(join(folder, 'net.onnx'), [join(folder, 'data')]);
    appendFileSync(join(folder, 'data/train.log'), 'epoch 2');
    writeFileSync(join(folder, 'pruned.onnx'), '');
    assert.equal(await watch.changed(), null);
  });

  it('are the shards that an index names, inside its folder', async (t) => {
    const index = { weight_map: { a: 'one.safetensors', b: 'two.safetensors', c: '../out.safetensors', d: 'none' } };
    const folder = temporaryFolder(t, {
      'm/model.json': JSON.stringify(index),
      'm/one.safetensors': '',
      'm/two.safetensors': '',
      'out.safetensors': '',
    });
    const shards = ['one', 'two'].map((name) => join(folder, `m/${name}.safetensors`));
    assert.deepEqual(await namedInJson(join(folder, 'm/model.json')), shards);
    const watch = await InputWatch.begin(join(folder, 'm/model.json'), []);
    appendFileSync(shards[1]!, 'x');
    assert.equal((await watch.changed())?.path, shards[1]);
  });

  it('are the images of every class', async (t) => {
    const folder = temporaryFolder(t, { 'cat/1.png': '', 'dog/2.png': '', 'dog/3.png': '' });
    mkdirSync(join(folder, 'empty'));
    assert.deepEqual(
      (await dataFiles(folder)).map(({ name }) => name),
      [join('cat', '1.png'), join('dog', '2.png'), join('dog', '3.png')],
    );
  });
});
