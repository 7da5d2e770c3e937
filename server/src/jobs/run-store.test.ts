import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { makeReadOnly, smallDisk, withoutMounts } from '../../../test/disks';
import { temporaryFolder } from '../../../test/files';
import { sampleResult } from '../../../test/results';
import { RunStore, type StoredRun } from './run-store';

const run = (id: string, more: Partial<StoredRun> = {}): StoredRun => ({
  id,
  name: null,
  checkpoint: sampleResult.checkpoint,
  state: 'done',
  started: 1,
  ended: 2,
  limits: [],
  error: null,
  samples: 2000,
  request: { checkpoint: sampleResult.checkpoint, options: sampleResult.options },
  key: `key of ${id}`,
  stamp: '',
  owner: process.pid,
  claims: 0,
  asked: 1,
  resumed: 0,
  ...more,
});

describe('run store', () => {
  it('shows every window what another has written, renamed or deleted', async (t) => {
    const folder = temporaryFolder(t);
    const [one, two] = [new RunStore(folder), new RunStore(folder)];
    assert.deepEqual(await two.all(), []);
    one.putResult(run('a'), sampleResult);
    assert.equal((await two.latest(sampleResult.checkpoint))?.id, 'a');
    assert.deepEqual(await two.result('a'), sampleResult);
    assert.equal((await two.answered('key of a'))?.id, 'a');
    two.put({ ...(await two.get('a'))!, name: 'renamed' });
    assert.equal((await one.get('a'))?.name, 'renamed');
    await one.remove('a');
    assert.deepEqual(await two.all(), []);
    assert.equal(await two.latest(sampleResult.checkpoint), null);
  });

  it('is not misled by what is damaged or of another version', async (t) => {
    const folder = temporaryFolder(t, {
      'half/run.json': '{"version": 2, "id": "ha',
      'old/run.json': JSON.stringify({ ...run('old'), version: 1 }),
      'moved/run.json': JSON.stringify({ ...run('other'), version: 2 }),
      'a-file': '',
    });
    const store = new RunStore(folder);
    store.put(run('b'));
    assert.deepEqual(
      (await store.all()).map(({ id }) => id),
      ['b'],
    );
    assert.equal(await store.result('b'), null);
  });

  it(
    'keeps what a full disk does not take, says so once, and writes it when there is room',
    {
      skip: withoutMounts(),
    },
    async (t) => {
      const disk = smallDisk(t, 96);
      const filler = join(disk, 'filler');
      writeFileSync(filler, Buffer.alloc(84 * 1024));
      const folder = join(disk, 'runs');
      const told: string[] = [];
      const store = new RunStore(folder, (message) => told.push(message));
      const large = { ...sampleResult, checkpoint: 'x'.repeat(12_000) };
      store.putResult(run('a'), large);
      store.putResult(run('b'), large);
      assert.deepEqual(told, [
        `runs cannot be kept in ${folder}: ENOSPC; free some space there, or they are lost when this window closes`,
      ]);
      assert.equal((await store.all()).length, 2, 'nothing is lost in this window');
      assert.deepEqual(await store.result('b'), large);
      assert.equal(existsSync(join(folder, 'b', 'run.json')), false, 'no run without its result');
      rmSync(filler);
      store.dispose();
      assert.deepEqual(readdirSync(join(folder, 'b')).sort(), ['result.json', 'run.json'], 'and nothing half-written');
      assert.deepEqual(await new RunStore(folder).result('b'), large);
    },
  );

  it('works on storage that cannot be written', { skip: withoutMounts() }, async (t) => {
    const disk = smallDisk(t, 64);
    mkdirSync(join(disk, 'runs'));
    makeReadOnly(disk);
    const told: string[] = [];
    const store = new RunStore(join(disk, 'runs'), (message) => told.push(message));
    store.putResult(run('a'), sampleResult);
    assert.match(told.join(), /^runs cannot be kept in .*: EROFS; make that folder writable, or they are lost/);
    assert.deepEqual(await store.result('a'), sampleResult);
    store.removeJournal('a');
    await store.remove('a');
    assert.deepEqual(await store.all(), []);
    store.dispose();
  });
});
