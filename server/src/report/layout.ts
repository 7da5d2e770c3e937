/** Text in columns and paragraphs, for a terminal or a file. */

/** No paragraph is wider, however wide the terminal: long lines are hard to read. */
const WIDEST_PARAGRAPH = 100;
const GAP = '  ';

/**
 * Control characters and those that turn the writing direction, made visible:
 * names in a checkpoint are hostile, and a terminal obeys what it is sent.
 */
export function visible(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '�');
}

/** At most `width` columns, with the middle left out: names differ at their ends. */
export function shorten(text: string, width: number): string {
  const letters = [...text];
  if (letters.length <= width) return text;
  const tail = Math.floor((width - 1) / 2);
  const head = width - 1 - tail;
  return `${letters.slice(0, head).join('')}…${letters.slice(letters.length - tail).join('')}`;
}

/** `text` in lines of at most `width` columns, the first begun with `label`, the others under it. */
export function paragraph(text: string, width: number, label = ''): string[] {
  const room = Math.max(20, Math.min(width, WIDEST_PARAGRAPH) - label.length);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].map((each, i) => `${i === 0 ? label : ' '.repeat(label.length)}${each}`);
}

export interface Column {
  readonly title: string;
  readonly cells: readonly string[];
  readonly align: 'left' | 'right';
  /** Names, which may be shortened. */
  readonly isName?: boolean;
  /** Where there is no room, the column with the highest number goes first; without a number it stays. */
  readonly expendable?: number;
}

/** A name is shortened to this before columns are left out. */
const SHORTEST_NAME = 20;

/** Rows of cells under their titles, no wider than `width` as far as that can be. */
export function table(columns: readonly Column[], width: number): string[] {
  const widths = columns.map(naturalWidth);
  const total = widths.reduce((sum, each) => sum + each, 0) + GAP.length * (columns.length - 1);
  const names = columns.findIndex(({ isName }) => isName === true);
  const spare = names < 0 ? 0 : Math.max(0, widths[names]! - SHORTEST_NAME);
  if (total - spare > width) {
    const last = mostExpendable(columns);
    if (last !== undefined) {
      const rest = columns.filter((column) => column !== last);
      return table(rest, width);
    }
  }
  if (names >= 0 && total > width) widths[names]! -= Math.min(spare, total - width);
  const line = (cellOf: (column: Column) => string): string =>
    columns
      .map((column, i) => {
        const cell = shorten(cellOf(column), column.isName === true ? widths[i]! : Infinity);
        const padding = ' '.repeat(Math.max(0, widths[i]! - [...cell].length));
        return column.align === 'right' ? padding + cell : cell + padding;
      })
      .join(GAP)
      .trimEnd();
  const rows = columns[0]?.cells ?? [];
  return [line(({ title }) => title), ...rows.map((_, row) => line(({ cells }) => cells[row]!))];
}

function naturalWidth({ title, cells }: Column): number {
  return cells.reduce((widest, cell) => Math.max(widest, [...cell].length), [...title].length);
}

function mostExpendable(columns: readonly Column[]): Column | undefined {
  const expendable = columns.filter((column) => column.expendable !== undefined);
  return expendable.sort((a, b) => b.expendable! - a.expendable!)[0];
}
