import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Split } from '../../../protocol/analysis';
import { InputError } from '../errors';
import { allocate } from '../files/source';
import { assembleDataset, emptyDataset, MAX_CLASSES } from './assemble';
import { chooseFile, splitOfName } from './format';
import type { DatasetFormat } from './format';

/**
 * Tables of numbers with a label column, one sample per line.
 *
 * - The delimiter is what the first line has most of: comma, semicolon or tab.
 *   Fields may be quoted; a quoted field ends on its line.
 * - The first line is a header when a field other than the last is not a
 *   number, or when the last is a label name behind column numbers (`0,1,2,y`;
 *   `4,7,2,y` is a sample of class y).
 * - The label column is the one that the header calls `label`, `class`,
 *   `target` or `y` (the first in that order), and otherwise the last.
 * - Labels that are all whole numbers from 0 are class numbers. Otherwise they
 *   are names, numbered from 0 in sorted order: as numbers when they are whole
 *   numbers, as text (by code unit) when not.
 *
 * In a folder the file is found by `train` or `test` in its name, or UCI's
 * `.tra` and `.tes`; a path to a file is that file, whatever the split.
 */
export const csv: DatasetFormat = {
  name: 'csv',
  expects: 'a CSV file (.csv, .tsv, .data, .tra, .tes) with a label column',
  match: (location) =>
    location.kind === 'file' ? TABLE.test(location.name) : location.files.some((name) => TABLE.test(name)),
  async open(location, split) {
    const path =
      location.kind === 'file'
        ? location.path
        : join(
            location.path,
            chooseFile(
              location.files.filter((name) => TABLE.test(name)),
              split,
              location.path,
              splitOf,
            ),
          );
    const table = new Table(path);
    let number = 0;
    for await (const line of lines(path)) {
      number++;
      if (line.trim() !== '') table.add(line, number);
    }
    return table.finish();
  },
};

const TABLE = /\.(csv|tsv|data|tra|tes)$/i;
const LABEL_NAMES = ['label', 'class', 'target', 'y'];
/** Longer lines are no table: a colour image of 224 × 224 takes some 600 kB. */
const MAX_LINE = 1 << 22;
const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

function splitOf(name: string): Split | undefined {
  if (/\.tra$/i.test(name)) return 'train';
  if (/\.tes$/i.test(name)) return 'test';
  return splitOfName(name);
}

/** Lines without their ends; holds one chunk of the file and one line. */
async function* lines(path: string): AsyncGenerator<string> {
  let rest = '';
  const stream = createReadStream(path, { encoding: 'utf8', highWaterMark: 1 << 18 });
  for await (const chunk of stream as AsyncIterable<string>) {
    const parts = (rest + chunk).split(/\r\n|\n|\r(?!\n|$)/);
    rest = parts.pop()!;
    if (rest.length > MAX_LINE) throw new InputError(`not a table: ${path} has a line beyond ${MAX_LINE} characters`);
    yield* parts;
  }
  if (rest !== '') yield rest.replace(/\r$/, '');
}

/** Collects rows; the first decides on delimiter, width and label column. */
class Table {
  private delimiter = ',';
  private width = 0;
  private labelColumn = 0;
  private count = 0;
  private values = new Float32Array(0);
  private readonly labels: string[] = [];

  constructor(private readonly path: string) {}

  add(line: string, number: number): void {
    if (this.width === 0) {
      const first = line.replace(/^\ufeff/, '');
      this.delimiter = delimiterOf(first);
      if (this.begin(this.split(first, number), number)) return;
      this.row(this.split(first, number), number);
      return;
    }
    this.row(this.split(line, number), number);
  }

  finish(): ReturnType<typeof assembleDataset> {
    if (this.count === 0) throw emptyDataset(this.path);
    const features = this.width - 1;
    const values = this.values.slice(0, this.count * features);
    return assembleDataset('csv', this.path, [features], values, classNumbers(this.labels, this.path));
  }

  /** Takes the layout from the first line; true when that line is a header. */
  private begin(fields: readonly string[], number: number): boolean {
    if (fields.length < 2) {
      throw new InputError(`not a table: line ${number} of ${this.path} has one column; values and a label are wanted`);
    }
    this.width = fields.length;
    this.labelColumn = fields.length - 1;
    const names = fields.map((field) => field.toLowerCase());
    const named = LABEL_NAMES.map((name) => names.indexOf(name)).find((column) => column >= 0);
    const others = fields.slice(0, -1);
    const columnNumbers = others.every((field, i) => /^\d+$/.test(field) && Number(field) === Number(others[0]) + i);
    const numbered = named !== undefined && columnNumbers && Number(others[0]) <= 1;
    if (!numbered && others.every((field) => NUMBER.test(field))) return false;
    if (named !== undefined) this.labelColumn = named;
    return true;
  }

  private row(fields: readonly string[], number: number): void {
    if (fields.length !== this.width) {
      throw new InputError(
        `columns differ: ${fields.length} in line ${number} of ${this.path}, ${this.width} in the first; repair the line`,
      );
    }
    const features = this.width - 1;
    if ((this.count + 1) * features > this.values.length) this.grow();
    let at = this.count * features;
    fields.forEach((field, column) => {
      if (column === this.labelColumn) {
        if (field === '') throw new InputError(`label missing: line ${number} of ${this.path}; fill it in`);
        this.labels.push(field);
        return;
      }
      if (!NUMBER.test(field)) {
        const hint = 'remove it, or name the label column "label" in a header';
        throw new InputError(
          `value not a number: "${field.slice(0, 40)}" (line ${number}, column ${column + 1}, ${this.path}); ${hint}`,
        );
      }
      this.values[at++] = Number(field);
    });
    this.count++;
  }

  private grow(): void {
    const length = Math.max(1 << 16, 2 * this.values.length, 2 * this.width);
    const larger = allocate(Float32Array, length, 4, this.path);
    larger.set(this.values);
    this.values = larger;
  }

  private split(line: string, number: number): string[] {
    if (!line.includes('"')) return line.split(this.delimiter).map((field) => field.trim());
    const fields: string[] = [];
    let field = '';
    let quoted = false;
    for (let i = 0; i < line.length; i++) {
      const character = line[i]!;
      if (character === '"') {
        // Two quotes inside quotes are one.
        if (quoted && line[i + 1] === '"') field += line[i++];
        else quoted = !quoted;
      } else if (character === this.delimiter && !quoted) {
        fields.push(field.trim());
        field = '';
      } else {
        field += character;
      }
    }
    if (quoted) throw new InputError(`quote not closed: line ${number} of ${this.path}; close it on its line`);
    return [...fields, field.trim()];
  }
}

function delimiterOf(line: string): string {
  const bare = line.replace(/"[^"]*"/g, '');
  const counts = [',', ';', '\t'].map((mark) => [mark, bare.split(mark).length] as const);
  return counts.reduce((best, each) => (each[1] > best[1] ? each : best))[0];
}

function classNumbers(labels: readonly string[], path: string): Int32Array {
  const distinct = [...new Set(labels)];
  const numbers = distinct.map((label) => (NUMBER.test(label) ? Number(label) : NaN));
  const fraction = distinct.find((_, i) => !Number.isNaN(numbers[i]) && !Number.isInteger(numbers[i]));
  if (fraction !== undefined && !numbers.some(Number.isNaN)) {
    throw new InputError(`label not a class: ${fraction} in ${path}; put class numbers or names into the label column`);
  }
  let classOf: Map<string, number>;
  if (numbers.every((value) => value >= 0 && value < MAX_CLASSES)) {
    classOf = new Map(distinct.map((label, i) => [label, numbers[i]!]));
  } else if (numbers.every(Number.isInteger)) {
    const order = [...new Set(numbers)].sort((a, b) => a - b);
    classOf = new Map(distinct.map((label, i) => [label, order.indexOf(numbers[i]!)]));
  } else {
    const order = [...distinct].sort((a, b) => (a < b ? -1 : 1));
    classOf = new Map(order.map((label, i) => [label, i]));
  }
  return Int32Array.from(labels, (label) => classOf.get(label)!);
}
