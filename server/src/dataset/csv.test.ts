import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { sharedData, withoutSharedData } from '../../../test/outside';
import { openDataset } from './open';

const READABLE: Record<string, [content: string, values: number[], labels: number[]]> = {
  'no header: the last column': ['1,2,0\n3,4,1\n', [1, 2, 3, 4], [0, 1]],
  'no end of line at the end': ['1,2,0\n3,4,1', [1, 2, 3, 4], [0, 1]],
  'CR LF, blanks and blank lines': ['1, 2 ,0\r\n\r\n3,4,1\r\n', [1, 2, 3, 4], [0, 1]],
  'CR alone': ['1,2,0\r3,4,1\r', [1, 2, 3, 4], [0, 1]],
  'a byte order mark': ['\ufeff1,2,0\n3,4,1\n', [1, 2, 3, 4], [0, 1]],
  'a label column first': ['label,a,b\n5,1,2\n3,3,4\n', [1, 2, 3, 4], [5, 3]],
  'names in order of preference': ['y,a,Class\n1,2,0\n3,4,1\n', [1, 2, 3, 4], [0, 1]],
  'a header without a label name': ['a,b,species\n1,2,0\n3,4,1\n', [1, 2, 3, 4], [0, 1]],
  'a header of column numbers': ['0,1,y\n1,2,0\n3,4,1\n', [1, 2, 3, 4], [0, 1]],
  'a class called y': ['4,2,y\n3,4,n\n', [4, 2, 3, 4], [1, 0]],
  semicolons: ['1;2;0\n3;4;1\n', [1, 2, 3, 4], [0, 1]],
  tabs: ['1\t2\t0\n3\t4\t1\n', [1, 2, 3, 4], [0, 1]],
  quotes: ['"a, b","c ""d""",label\n"1",2,"x, y"\n3,4,"a ""b"""\n', [1, 2, 3, 4], [1, 0]],
  'names, sorted': ['1,setosa\n2,virginica\n3,Zebra\n4,setosa\n', [1, 2, 3, 4], [1, 2, 0, 1]],
  'negative class numbers': ['1,1\n2,-1\n3,10\n4,+1\n', [1, 2, 3, 4], [1, 0, 2, 1]],
  'class numbers written as floats': ['1,0.0\n2,1.0\n', [1, 2], [0, 1]],
  'class numbers with gaps stay': ['1,7\n2,3\n', [1, 2], [7, 3]],
  'numbers of every kind': ['-1,+2.5,.5,0\n1e3,1.E-2,007,1\n', [-1, 2.5, 0.5, 1000, Math.fround(0.01), 7], [0, 1]],
};

for (const [name, [content, values, labels]] of Object.entries(READABLE)) {
  test(`csv: ${name}`, async (t) => {
    const folder = temporaryFolder(t, { 'a.csv': content });
    for (const path of [folder, join(folder, 'a.csv')]) {
      const dataset = await openDataset(path, 'test');
      assert.deepEqual([dataset.format, [...dataset.values], [...dataset.labels]], ['csv', values, labels]);
      assert.deepEqual(dataset.sampleShape, [values.length / labels.length]);
      assert.equal(dataset.classes, Math.max(...labels) + 1);
    }
  });
}

test('csv: lines across the pieces the file is read in', async (t) => {
  const rows = Array.from({ length: 60_000 }, (_, i) => `${i},${i / 4},é${i % 3}`);
  const folder = temporaryFolder(t, { 'a.csv': rows.join('\r\n') });
  const dataset = await openDataset(folder, 'test');
  assert.equal(dataset.count, 60_000);
  assert.ok(dataset.labels.every((label, i) => label === i % 3));
  assert.ok(dataset.values.every((value, i) => value === (i % 2 === 0 ? i / 2 : (i - 1) / 8)));
});

test('csv: the split is in the name', async (t) => {
  const folder = temporaryFolder(t, {
    'mnist_train.csv': '1,1\n',
    'mnist_test.csv': '1,2\n',
    'uci/a.tra': '1,3\n',
    'uci/a.tes': '1,4\n',
    'several/a.csv': '1,5\n',
    'several/b.csv': '1,6\n',
    'half/train.csv': '1,7\n',
  });
  const label = async (path: string, split: 'test' | 'train') =>
    (await openDataset(join(folder, path), split)).labels[0];
  assert.equal(await label('', 'train'), 1);
  assert.equal(await label('', 'test'), 2);
  assert.equal(await label('uci', 'train'), 3);
  assert.equal(await label('uci', 'test'), 4);
  assert.equal(await label('several/b.csv', 'test'), 6);
  await assert.rejects(label('several', 'test'), {
    message: /^data ambiguous: \S+ holds several files for test \(a\.csv, b\.csv\); name one of them$/,
  });
  await assert.rejects(label('half', 'test'), {
    message: /^split not found: test in \S+half, which holds train\.csv; choose train or name a file$/,
  });
});

const REFUSED: Record<string, [content: string, message: RegExp]> = {
  empty: ['', /^data set empty: \S+a\.csv has no samples; choose another file or split$/],
  'a header alone': ['a,b,label\n', /^data set empty/],
  'one column': ['1\n2\n', /^not a table: line 1 of \S+ has one column; values and a label are wanted$/],
  'a short line': ['1,2,0\n3,1\n', /^columns differ: 2 in line 2 of \S+, 3 in the first; repair the line$/],
  text: [
    '1,2,0\n3,x,1\n',
    /^value not a number: "x" \(line 2, column 2, \S+\); remove it, or name the label column "label" in a header$/,
  ],
  'labels first without a header': ['T,2,8\nI,5,12\n', /^value not a number: "I" \(line 2, column 1, /],
  'a missing value': ['1,2,0\n3,,1\n', /^value not a number: "" \(line 2, column 2, /],
  'not a number': ['1,2,0\nnan,1,1\n', /^value not a number: "nan" \(line 2, column 1, /],
  infinity: ['1,2,0\n1,Infinity,1\n', /^value not a number: "Infinity" \(line 2, column 2, /],
  'a missing label': ['1,2,0\n1,2,\n', /^label missing: line 2 of \S+; fill it in$/],
  'labels with fractions': ['1,0.5\n2,1\n', /^label not a class: 0\.5 in \S+; put class numbers or names into/],
  'an open quote': ['1,"2,0\n', /^quote not closed: line 1 of \S+; close it on its line$/],
  'a line without end': [`1,${'0'.repeat(1 << 22)}`, /^not a table: \S+ has a line beyond 4194304 characters$/],
};

for (const [name, [content, message]] of Object.entries(REFUSED)) {
  test(`csv refused: ${name}`, async (t) => {
    const folder = temporaryFolder(t, { 'a.csv': content });
    await assert.rejects(openDataset(folder, 'test'), { name: 'InputError', message });
  });
}

for (const [split, file, count] of [
  ['train', 'optdigits.tra', 3823],
  ['test', 'optdigits.tes', 1797],
] as const) {
  test(`csv outside: optdigits ${split}`, { skip: withoutSharedData() }, async () => {
    const folder = join(sharedData()!, 'datasets/optdigits');
    const dataset = await openDataset(folder, split);
    assert.deepEqual([dataset.count, dataset.classes, dataset.sampleShape], [count, 10, [64]]);
    const rows = readFileSync(join(folder, file), 'utf8').trim().split('\n');
    for (const i of [0, 100, count - 1]) {
      const row = rows[i]!.split(',').map(Number);
      assert.deepEqual([...dataset.values.subarray(64 * i, 64 * (i + 1)), dataset.labels[i]], row);
    }
  });
}
