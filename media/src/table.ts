import { t } from '@vscode/l10n';
import { h } from './dom';

type Value = string | number | boolean | null;

export interface Column<Row> {
  readonly label: string;
  readonly value: (row: Row) => Value;
  /** How a value is written for reading; CSV has the value itself. */
  readonly text?: (value: number) => string;
}

/** Numbers behind a plot: for reading and a screen reader in the user's language, and in English for a spreadsheet. */
export interface Table {
  readonly columns: readonly string[];
  readonly values: readonly (readonly Value[])[];
  readonly cells: readonly (readonly string[])[];
}

export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): Table {
  const values = rows.map((row) => columns.map(({ value }) => value(row)));
  const cells = values.map((row) =>
    row.map((value, i) => {
      if (typeof value === 'number') return columns[i]!.text?.(value) ?? String(value);
      if (typeof value === 'boolean') return value ? t('yes') : t('no');
      return value ?? '–';
    }),
  );
  return { columns: columns.map(({ label }) => label), values, cells };
}

export function tableElement({ columns, values, cells }: Table, caption: string): HTMLTableElement {
  // A column is one of numbers when nothing else is in it.
  const numeric = columns.map((_, i) => values.every((row) => row[i] === null || typeof row[i] === 'number'));
  const side = (i: number) => (numeric[i] ? 'number' : undefined);
  return h(
    'table',
    {},
    h('caption', { class: 'hidden' }, caption),
    h('thead', {}, h('tr', {}, ...columns.map((label, i) => h('th', { scope: 'col', class: side(i) }, t(label))))),
    h(
      'tbody',
      {},
      ...cells.map((row) =>
        h(
          'tr',
          {},
          ...row.map((cell, i) =>
            i === 0 ? h('th', { scope: 'row', class: side(i) }, cell) : h('td', { class: side(i) }, cell),
          ),
        ),
      ),
    ),
  );
}

/** RFC 4180: a field with a comma, a quote or a line break is quoted. */
export function csv({ columns, values }: Table): string {
  const field = (value: Value) => {
    const text = value === null ? '' : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...values].map((row) => `${row.map(field).join(',')}\r\n`).join('');
}
