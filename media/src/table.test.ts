import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { csv, table } from './table';

describe('table', () => {
  const made = table(
    [
      { label: 'name', value: (row: { name: string; x: number | null }) => row.name },
      { label: 'a, b', value: (row) => row.x, text: (value) => `${value} %` },
    ],
    [
      { name: 'say "hi"', x: 0.5 },
      { name: 'two\nlines', x: null },
    ],
  );

  it('writes numbers for reading', () => {
    assert.deepEqual(made.cells, [
      ['say "hi"', '0.5 %'],
      ['two\nlines', '–'],
    ]);
  });

  it('quotes what CSV must quote and writes numbers as they are', () => {
    assert.equal(csv(made), 'name,"a, b"\r\n"say ""hi""",0.5\r\n"two\nlines",\r\n');
  });
});
