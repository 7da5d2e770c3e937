import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { InputError } from '../errors';
import { expectFree, Staging } from './staging';

test('files appear together, in the place of what was there', async (t) => {
  const folder = temporaryFolder(t, { 'a.onnx': 'old', 'sub/x': '' });
  const result = await Staging.run(async (staging) => {
    for (const name of ['a.onnx', 'a.onnx.data', 'sub/mask.npz']) {
      await writeFile(await staging.place(join(folder, name)), name);
    }
    assert.equal(readFileSync(join(folder, 'a.onnx'), 'utf8'), 'old');
    return 5;
  });
  assert.equal(result, 5);
  assert.deepEqual(readdirSync(folder).sort(), ['a.onnx', 'a.onnx.data', 'sub']);
  assert.deepEqual(readdirSync(join(folder, 'sub')).sort(), ['mask.npz', 'x']);
  assert.equal(readFileSync(join(folder, 'a.onnx'), 'utf8'), 'a.onnx');
});

test('a failure in the middle leaves what was there and nothing else', async (t) => {
  const folder = temporaryFolder(t, { 'a.onnx': 'old' });
  const failing = Staging.run(async (staging) => {
    writeFileSync(await staging.place(join(folder, 'a.onnx')), 'new');
    await staging.place(join(folder, 'b.onnx'));
    throw Object.assign(new Error('full'), { code: 'ENOSPC' });
  });
  await assert.rejects(failing, {
    name: 'InputError',
    message: `file not written: ${join(folder, 'a.onnx')} (ENOSPC); free some space there, or choose another place`,
  });
  assert.deepEqual(readdirSync(folder), ['a.onnx']);
  assert.equal(readFileSync(join(folder, 'a.onnx'), 'utf8'), 'old');
});

test('what cannot be moved is said, and leaves nothing behind', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'taken/inside'), { recursive: true });
  const failing = Staging.run(async (staging) => {
    await writeFile(await staging.place(join(folder, 'taken')), 'new');
  });
  await assert.rejects(failing, { name: 'InputError', message: /^file not written: .*taken \(E\w+\)/ });
  const nowhere = Staging.run((staging) => staging.place(join(folder, 'none/a')));
  await assert.rejects(nowhere, { name: 'InputError', message: /^file not written: .*none\/a \(ENOENT\)/ });
  assert.deepEqual(readdirSync(folder), ['taken']);
});

test('what cannot be moved brings back what was moved before it', async (t) => {
  const folder = temporaryFolder(t, { 'a.onnx': 'old', 'sub/mask.npz': 'old mask' });
  mkdirSync(join(folder, 'taken/inside'), { recursive: true });
  const failing = Staging.run(async (staging) => {
    for (const name of ['a.onnx', 'new.data', 'sub/mask.npz', 'taken', 'never']) {
      await writeFile(await staging.place(join(folder, name)), 'new');
    }
  });
  await assert.rejects(failing, { name: 'InputError', message: /^file not written: .*taken \(E\w+\)/ });
  assert.deepEqual(readdirSync(folder, { recursive: true }).sort(), [
    'a.onnx',
    'sub',
    join('sub', 'mask.npz'),
    'taken',
    join('taken', 'inside'),
  ]);
  assert.equal(readFileSync(join(folder, 'a.onnx'), 'utf8'), 'old');
  assert.equal(readFileSync(join(folder, 'sub/mask.npz'), 'utf8'), 'old mask');
});

test('a file in the way is named with the way out', async (t) => {
  const folder = temporaryFolder(t, { a: '' });
  await expectFree(join(folder, 'b'), 'x');
  await assert.rejects(expectFree(join(folder, 'a'), 'allow it with --force'), {
    name: 'InputError',
    message: `file exists: ${join(folder, 'a')}; choose another name, or allow it with --force`,
  });
});

test('a process that ends while its threads still write leaves nothing behind', async (t) => {
  const folder = temporaryFolder(t);
  for (let round = 0; round < 20; round++) {
    const others = new Set(process.listeners('exit'));
    await Staging.run(async (staging) => {
      const staged = await staging.place(join(folder, 'f'));
      const late = Array.from({ length: 400 }, (_, i) => writeFile(`${staged}${i}`, ''));
      await late[50];
      const clean = process.listeners('exit').find((listener) => !others.has(listener))!;
      clean.call(process, 0);
      const left = readdirSync(folder);
      await Promise.allSettled(late);
      assert.deepEqual(left, [], `round ${round}`);
      throw new InputError('ended');
    }).catch((error: unknown) => assert.ok(error instanceof InputError, String(error)));
  }
});
