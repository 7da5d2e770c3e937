import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { InputError } from '../errors';
import { checkTarget, writeAtomically } from './write';

const problem = (message: string) => ({ name: InputError.name, message });

test('a file is written whole, in the place of what was there', async (t) => {
  const folder = temporaryFolder(t, { 'a.txt': 'old' });
  await writeAtomically(join(folder, 'a.txt'), 'new');
  await writeAtomically(join(folder, 'b.bin'), Uint8Array.of(1, 2));
  assert.equal(readFileSync(join(folder, 'a.txt'), 'utf8'), 'new');
  assert.deepEqual([...readFileSync(join(folder, 'b.bin'))], [1, 2]);
  assert.deepEqual(readdirSync(folder).sort(), ['a.txt', 'b.bin']);
});

test('what cannot be written leaves nothing behind', async (t) => {
  const folder = temporaryFolder(t, { 'taken/file': '' });
  const taken = join(folder, 'taken');
  await assert.rejects(writeAtomically(taken, 'x'), {
    name: 'InputError',
    message: new RegExp(`^file not written: ${taken} \\(E\\w+\\); choose another place$`),
  });
  const missing = join(folder, 'none', 'x');
  await assert.rejects(
    writeAtomically(missing, 'x'),
    problem(`file not written: ${missing} (ENOENT); choose another place`),
  );
  assert.deepEqual(readdirSync(folder), ['taken']);
});

test('a target is checked without being touched', async (t) => {
  const folder = temporaryFolder(t, { 'old.html': 'old', 'input.onnx': 'weights' });
  mkdirSync(join(folder, 'sub'));
  symlinkSync(join(folder, 'input.onnx'), join(folder, 'alias.html'));
  const at = (name: string): string => join(folder, name);
  await checkTarget(at('new.html'), [at('input.onnx'), at('none')]);
  await checkTarget(at('old.html'));
  await assert.rejects(
    checkTarget(at('none/x.html')),
    problem(`folder not found: ${at('none')} (for ${at('none/x.html')}); create it first`),
  );
  await assert.rejects(
    checkTarget(at('old.html/x.html')),
    problem(`not a folder: ${at('old.html')} (for ${at('old.html/x.html')}); choose another place`),
  );
  await assert.rejects(
    checkTarget(at('sub')),
    problem(`folder, not a file: ${at('sub')}; name a file in it, such as ${at('sub/report.html')}`),
  );
  for (const name of ['input.onnx', 'alias.html']) {
    await assert.rejects(
      checkTarget(at(name), [at('input.onnx')]),
      problem(`file is an input: ${at(name)}; choose another place, it would be overwritten`),
    );
  }
  assert.deepEqual(readdirSync(folder).sort(), ['alias.html', 'input.onnx', 'old.html', 'sub']);
  assert.equal(readFileSync(at('old.html'), 'utf8'), 'old');
});
