import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { externalModel } from '../../../test/onnx-models';
import { companionsOf, dataFiles, externalLocations, InputWatch, LocationScan, namedInJson } from './inputs';

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

  it('are the external data of the checkpoint and of the file that lends it a graph', async (t) => {
    const folder = temporaryFolder(t, {
      'net.onnx': externalModel('net.bin').model,
      'net.bin': '',
      'lent.onnx': externalModel('sub/lent.bin').model,
      'sub/lent.bin': '',
      'data/x-ubyte': '',
    });
    const [net, lent] = [join(folder, 'net.onnx'), join(folder, 'lent.onnx')];
    assert.deepEqual(await companionsOf(net), [join(folder, 'net.bin')]);
    for (const changed of ['net.bin', 'lent.onnx', 'sub/lent.bin']) {
      const watch = await InputWatch.begin(net, [join(folder, 'data')], lent);
      assert.equal(await watch.changed(), null);
      appendFileSync(join(folder, changed), 'x');
      assert.equal((await watch.changed())?.path, join(folder, changed));
    }
  });

  it('name places of external data, however the file is cut into pieces, and none outside of its folder', async (t) => {
    const { model } = externalModel('net.onnx.data');
    for (let length = 1; length < 60; length++) {
      const scan = new LocationScan();
      for (let at = 0; at < model.length; at += length) scan.add(model.subarray(at, at + length));
      assert.deepEqual(scan.locations, ['net.onnx.data'], `pieces of ${length}`);
    }
    const folder = temporaryFolder(t, { 'm/net.onnx': externalModel('../out.bin').model, 'out.bin': '' });
    assert.deepEqual(await externalLocations(join(folder, 'm/net.onnx')), ['../out.bin']);
    assert.deepEqual(await companionsOf(join(folder, 'm/net.onnx')), []);
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
