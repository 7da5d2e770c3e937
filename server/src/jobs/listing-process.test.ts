import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { ListingProcess } from './listing-process';

/** Answers with the path that it was asked for and its own pid, after what the path says. */
const SCRIPT = `
process.on('message', ({ id, path, split }) => {
  if (path.includes('dies')) process.exit(3);
  else if (path.includes('short of memory')) {
    process.stderr.write('FATAL ERROR: JavaScript heap out of memory\\n', () => process.abort());
  } else if (path.includes('hangs')) for (;;);
  else if (path.includes('bad')) process.send({ id, error: { message: 'bad file', category: 'input' } });
  else process.send({ id, found: { path, split, pid: process.pid } });
});
process.once('disconnect', () => process.exit(0));
`;

function listingOf(t: TestContext, patience = 60_000, idle = 60_000): ListingProcess {
  const folder = temporaryFolder(t, { 'listing-double.cjs': SCRIPT });
  const listing = new ListingProcess(join(folder, 'listing-double.cjs'), patience, idle);
  t.after(() => listing.dispose());
  return listing;
}

const pidOf = async (answer: Promise<unknown>): Promise<number> => ((await answer) as { pid: number }).pid;
/** Resolves when a process has gone. */
async function gone(pid: number): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (isThere(pid)) {
    assert.ok(Date.now() < deadline, `process ${pid} stays`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('the listing process', () => {
  it('lists one after the other, and says what is wrong with a file', async (t) => {
    const listing = listingOf(t);
    const [a, bad, b] = await Promise.allSettled([listing.list('a'), listing.list('bad'), listing.list('b')]);
    assert.ok(a.status === 'fulfilled' && b.status === 'fulfilled' && bad.status === 'rejected');
    assert.equal((a.value as unknown as { path: string }).path, 'a');
    assert.equal((b.value as unknown as { path: string }).path, 'b');
    assert.equal((bad.reason as Error).message, 'bad file');
  });

  it('costs the file that ends it, and no other that waits', async (t) => {
    const listing = listingOf(t);
    const before = pidOf(listing.list('before'));
    const dies = listing.list('dies');
    const memory = listing.list('short of memory');
    const after = pidOf(listing.list('after'));
    await assert.rejects(
      dies,
      /^AnalysisError: checkpoint not listed: dies; .* ended \(exit status 3\); copy it again$/,
    );
    await assert.rejects(memory, /checkpoint not listed: short of memory; memory ran out; /);
    assert.notEqual(await before, await after);
  });

  it('reads data sets too, and says of them what it says of checkpoints', async (t) => {
    const listing = listingOf(t);
    const [data, dies, memory, after] = await Promise.allSettled([
      listing.data('a', 'train'),
      listing.data('dies', 'test'),
      listing.data('short of memory', 'test'),
      listing.list('b'),
    ]);
    assert.ok(data.status === 'fulfilled' && after.status === 'fulfilled');
    assert.equal((data.value as unknown as { split: string }).split, 'train');
    assert.ok(dies.status === 'rejected' && memory.status === 'rejected');
    assert.match(
      String(dies.reason),
      /^AnalysisError: data not read: dies; .* ended \(exit status 3\); copy it again$/,
    );
    assert.match(String(memory.reason), /^AnalysisError: data not read: short of memory; memory ran out; /);
  });

  it('is replaced where a file takes too long', async (t) => {
    // The one behind it has to start a process in that time, on a busy machine too.
    const listing = listingOf(t, 10_000);
    const hangs = listing.list('hangs');
    const after = listing.list('after');
    await assert.rejects(hangs, /^InputError: checkpoint takes too long to list: hangs; /);
    await after;
  });

  it('ends when nothing was asked for a while, and begins again', async (t) => {
    const listing = listingOf(t, 60_000, 50);
    const first = await pidOf(listing.list('a'));
    await gone(first);
    assert.notEqual(await pidOf(listing.list('b')), first);
  });

  it('is there before it is asked', async (t) => {
    const script = "require('node:fs').writeFileSync(__filename + '.pid', String(process.pid));";
    const folder = temporaryFolder(t, { 'listing-double.cjs': `${script}${SCRIPT}` });
    const entry = join(folder, 'listing-double.cjs');
    const listing = new ListingProcess(entry);
    t.after(() => listing.dispose());
    listing.warm();
    listing.warm();
    const deadline = Date.now() + 20_000;
    const started = (): string => (existsSync(`${entry}.pid`) ? readFileSync(`${entry}.pid`, 'utf8') : '');
    while (started() === '' && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(String(await pidOf(listing.list('a'))), started());
  });

  it('is not begun again once its starter is done with it', async (t) => {
    const listing = listingOf(t);
    const first = await pidOf(listing.list('a'));
    const answered: unknown[] = [];
    for (const path of ['hangs', 'b']) void listing.list(path).then((answer) => answered.push(answer));
    listing.dispose();
    await gone(first);
    // Long enough for a process to start and answer.
    await pidOf(listingOf(t).list('c'));
    assert.deepEqual(answered, []);
  });
});
