import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLAIMS } from './experiments';
import type { GradualRow } from './gradual';
import { predictionTable } from './prediction';
import type { Row } from './row';
import {
  claimTable,
  commandList,
  gradualTable,
  groupsOf,
  limitTable,
  missing,
  networkTable,
  sharpTable,
} from './table';

/** The experiment that every claim varies. */
const BASE = 'mlp-optdigits';

export function readRows(folder: string): (Row | GradualRow)[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Row | GradualRow);
}

/** The tables of docs/reproduction.md, by name. */
export function tablesOf(all: readonly (Row | GradualRow)[]): Record<string, string> {
  const isGradual = (row: Row | GradualRow): row is GradualRow => 'kind' in row;
  const rows = all.filter((row): row is Row => !isGradual(row));
  const groups = groupsOf(rows);
  const varied = new Set(Object.values(CLAIMS).flatMap(({ experiments }) => experiments));
  varied.delete(BASE);
  const main = groups.filter(({ name }) => !varied.has(name));
  return {
    limits: limitTable(groups),
    networks: networkTable(groups),
    'claims/sharp': sharpTable(groups),
    prediction: predictionTable(groups),
    'claims/gradual': gradualTable(all.filter(isGradual)),
    missing: missing(rows),
    commands: commandList(main),
    ...Object.fromEntries(Object.keys(CLAIMS).map((claim) => [claim, claimTable(claim, groups)])),
  };
}

/**
 * Replaces what stands between `<!-- NAME -->` and `<!-- end -->`.
 *
 * @throws Error when a table has no place
 */
export function fillIn(text: string, tables: Readonly<Record<string, string>>): string {
  let filled = text;
  for (const [name, table] of Object.entries(tables)) {
    const start = `<!-- ${name} -->\n`;
    const from = filled.indexOf(start);
    const to = filled.indexOf('\n<!-- end -->', from);
    if (from < 0 || to < 0) throw new Error(`no place for the table ${name}: <!-- ${name} --> … <!-- end -->`);
    filled = `${filled.slice(0, from + start.length)}\n${table}\n${filled.slice(to)}`;
  }
  return filled;
}
