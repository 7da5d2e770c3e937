import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { Random } from '../random';
import { JournalFile } from './journal-file';

const random = Random.stream(1, 'journal test');
const vector = () => random.rademacher(50).map((sign) => sign * random.uniform());
const records = Array.from({ length: 5 }, (_, i) => ({
  vectors: Array.from({ length: 1 + (i % 3) }, vector),
  entry: { products: Array.from({ length: 1 + (i % 3) }, vector), seconds: i / 7, at: 100 * i + 0.125 },
}));

function written(path: string, key = 'question'): void {
  const journal = JournalFile.open(path, key)!;
  for (const { vectors, entry } of records) journal.keep('ggn', vectors, entry);
  journal.close();
}

test('what was kept is recalled bit for bit, by operator and vectors', (t) => {
  const path = join(temporaryFolder(t), 'journal');
  written(path);
  const journal = JournalFile.open(path, 'question')!;
  assert.equal(journal.length, records.length);
  for (const { vectors, entry } of [...records].reverse()) assert.deepEqual(journal.recall('ggn', vectors), entry);
  assert.equal(journal.recall('hessian', records[0]!.vectors), null);
  const other = records[0]!.vectors[0]!.slice();
  other[49] = Math.fround(other[49]! * (1 + 2 ** -22));
  assert.equal(journal.recall('ggn', [other]), null);
  journal.close();
});

test('wherever it was cut off, whole records are recalled and new ones follow', (t) => {
  const path = join(temporaryFolder(t), 'journal');
  written(path);
  const whole = readFileSync(path);
  const ends: number[] = [];
  for (let size = whole.length; size >= 0; size -= 37) {
    writeFileSync(path, whole.subarray(0, size));
    const journal = JournalFile.open(path, 'question')!;
    ends.push(journal.length);
    for (const [i, { vectors, entry }] of records.entries()) {
      assert.deepEqual(journal.recall('ggn', vectors), i < journal.length ? entry : null);
    }
    const { vectors, entry } = records[4]!;
    if (journal.recall('ggn', vectors) === null) journal.keep('ggn', vectors, entry);
    journal.close();
    const again = JournalFile.open(path, 'question')!;
    assert.deepEqual(again.recall('ggn', vectors), entry);
    again.close();
  }
  assert.deepEqual([...new Set(ends)], [5, 4, 3, 2, 1, 0]);
});

test('damage is not recalled', (t) => {
  const path = join(temporaryFolder(t), 'journal');
  written(path);
  const bytes = readFileSync(path);
  bytes[bytes.length - 3]! ^= 1;
  writeFileSync(path, bytes);
  const journal = JournalFile.open(path, 'question')!;
  assert.equal(journal.recall('ggn', records[4]!.vectors), null);
  assert.deepEqual(journal.recall('ggn', records[3]!.vectors), records[3]!.entry);
  journal.close();
  appendFileSync(path, Buffer.alloc(4000, 0xff));
  JournalFile.open(path, 'question')!.close();
  assert.equal(statSync(path).size, bytes.length);
});

test('another question begins anew', (t) => {
  const path = join(temporaryFolder(t), 'journal');
  written(path);
  const journal = JournalFile.open(path, 'another')!;
  assert.equal(journal.recall('ggn', records[0]!.vectors), null);
  journal.close();
  truncateSync(path, 3);
  assert.equal(JournalFile.open(path, 'another')!.length, 0);
});

test('what cannot be written is said once, and what was kept stays', (t) => {
  const folder = temporaryFolder(t);
  const reasons: string[] = [];
  assert.equal(
    JournalFile.open(join(folder, 'no', 'such', 'folder'), 'q', (reason) => reasons.push(reason)),
    null,
  );
  assert.match(reasons[0]!, /ENOENT/);
  const journal = JournalFile.open(join(folder, 'journal'), 'q', (reason) => reasons.push(reason), 700)!;
  for (const { vectors, entry } of records) journal.keep('ggn', vectors, entry);
  assert.deepEqual(reasons.slice(1), ['the journal has become too large']);
  assert.deepEqual(journal.recall('ggn', records[0]!.vectors), records[0]!.entry);
});

test('a full disk is no reason to fail', { skip: process.platform !== 'linux' && 'needs /dev/full' }, () => {
  const reasons: string[] = [];
  assert.equal(
    JournalFile.open('/dev/full', 'q', (reason) => reasons.push(reason)),
    null,
  );
  assert.equal(reasons.length, 1);
});
