import assert from 'node:assert/strict';
import { test } from 'node:test';
import { paragraph, shorten, table, visible, type Column } from './layout';

test('control characters are made visible', () => {
  assert.equal(visible('a\x1b[31mb\nc\u202ed\x9be'), 'a�[31mb�c�d�e');
  assert.equal(visible('conv1.weight ×µ重'), 'conv1.weight ×µ重');
});

test('names lose their middle', () => {
  assert.equal(shorten('layer1.0.conv1.weight', 11), 'layer…eight');
  assert.equal(shorten('layer1.0.conv1.weight', 10), 'layer…ight');
  assert.equal(shorten('short', 5), 'short');
});

test('paragraphs are wrapped under their label', () => {
  assert.deepEqual(paragraph('one two three four five six', 28, 'warning: '), [
    'warning: one two three four',
    '         five six',
  ]);
  assert.deepEqual(
    paragraph(`${'word '.repeat(40)}end`, Infinity).map((line) => line.length <= 100),
    [true, true, true],
  );
  // A word without a break is never cut: paths are copied from messages.
  assert.deepEqual(paragraph(`see ${'x'.repeat(50)} there`, 40), ['see', 'x'.repeat(50), 'there']);
});

const columns: readonly Column[] = [
  { title: 'layer', cells: ['features.0.body.conv1.weight', 'fc'], align: 'left', isName: true },
  { title: 'op', cells: ['Conv', 'Gemm'], align: 'left', expendable: 1 },
  { title: 'weights', cells: ['1,152', '64'], align: 'right' },
  { title: 'trace', cells: ['44 ± 11', '2 ± 4'], align: 'right', expendable: 2 },
];

test('a table has its columns side by side', () => {
  assert.deepEqual(table(columns, Infinity), [
    'layer                         op    weights    trace',
    'features.0.body.conv1.weight  Conv    1,152  44 ± 11',
    'fc                            Gemm       64    2 ± 4',
  ]);
});

test('a table first shortens its names, then leaves columns out', () => {
  assert.deepEqual(table(columns, 46), [
    'layer                   op    weights    trace',
    'features.0.…nv1.weight  Conv    1,152  44 ± 11',
    'fc                      Gemm       64    2 ± 4',
  ]);
  assert.deepEqual(table(columns, 40), [
    'layer                      op    weights',
    'features.0.b…conv1.weight  Conv    1,152',
    'fc                         Gemm       64',
  ]);
  assert.deepEqual(table(columns, 30), [
    'layer                  weights',
    'features.0…nv1.weight    1,152',
    'fc                          64',
  ]);
  for (const width of [52, 46, 40, 33, 29]) {
    for (const line of table(columns, width)) assert.ok([...line].length <= width, `${width}: ${line}`);
  }
});

test('a table without rows is its titles', () => {
  assert.deepEqual(
    table(
      columns.map((column) => ({ ...column, cells: [] })),
      80,
    ),
    ['layer  op  weights  trace'],
  );
});
