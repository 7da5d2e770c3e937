import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { dataFolder } from './data';
import { fillIn, readRows, tablesOf } from './document';
import { CLAIMS, EXPERIMENTS, GRADUAL } from './experiments';
import { makeGradual, type GradualRow } from './gradual';
import { makeRow, rowJson, type Place, type Preset } from './row';
import { write } from './steps';
import { limitTable } from './table';

/**
 * npm run reproduce -- NAME …: trains, analyses and retrains what an experiment
 * says, and writes its row. With `table`, writes the tables of
 * docs/reproduction.md from all rows.
 */

const USAGE = `Usage: npm run reproduce -- NAME ... [--preset small|full] [--seed S ...] [--data DIR]
       npm run reproduce -- table

Experiments
${Object.entries(EXPERIMENTS)
  .map(([name, { about, presets }]) => `  ${name.padEnd(22)}${about} (${Object.keys(presets).join(', ')})`)
  .join('\n')}

Claims of the paper
${Object.entries(CLAIMS)
  .map(([name, { about }]) => `  ${name.padEnd(22)}${about}`)
  .join('\n')}
  claims/gradual        gradual pruning against pruning at once (after the experiments it is of)
  claims/sharp          does the sharp limit foretell what retraining reaches? (table, of all rows)

  --preset small|full   small finishes on two cores in minutes (default)
  --seed S              once or several times (default 1)
  --data DIR            folder with mnist, cifar10, ... (default ../shared/data/datasets)
  --work DIR            results of the single steps and checkpoints (default out/reproduce)
  --rows DIR            where rows go (default docs/reproduction)
  --threads N           default 1; the bytes depend on it

A run that was cut off goes on: steps that have ended are not made again.
`;

const DOCUMENT = 'docs/reproduction.md';

async function main(): Promise<void> {
  const root = process.cwd();
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      preset: { type: 'string', default: 'small' },
      seed: { type: 'string', multiple: true, default: ['1'] },
      data: { type: 'string', default: '../shared/data/datasets' },
      work: { type: 'string', default: 'out/reproduce' },
      rows: { type: 'string', default: 'docs/reproduction' },
      threads: { type: 'string', default: '1' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help || positionals.length === 0) return void process.stdout.write(USAGE);
  const { preset, data, work, rows } = values;
  if (preset !== 'small' && preset !== 'full') throw new Error(`--preset is small or full, not ${preset}`);
  const seeds = values.seed.map((text) => wholeNumber('--seed', text));
  const run = new Runner(root, preset, data, work, rows, wholeNumber('--threads', values.threads));
  for (const name of positionals) {
    if (name === 'table' || name === 'claims/sharp') continue;
    const experiments = CLAIMS[name]?.experiments ?? [name];
    for (const seed of seeds) {
      if (name === 'claims/gradual') run.gradual(seed);
      else for (const experiment of experiments) await run.row(experiment, seed);
    }
  }
  if (positionals.includes('table')) writeTables(join(root, rows), join(root, DOCUMENT));
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 2 ** 32 - 1) throw new Error(`${name} takes a whole number, not ${text}`);
  return value;
}

class Runner {
  constructor(
    private readonly root: string,
    private readonly preset: Preset,
    private readonly data: string,
    private readonly work: string,
    private readonly rows: string,
    private readonly threads: number,
  ) {
    mkdirSync(join(root, rows), { recursive: true });
  }

  async row(name: string, seed: number): Promise<void> {
    const experiment = EXPERIMENTS[name];
    if (experiment === undefined) throw new Error(`unknown experiment: ${name}; npm run reproduce lists them`);
    const settings = experiment.presets[this.preset];
    if (settings === undefined) {
      throw new Error(`no ${this.preset} preset of ${name}: it has ${Object.keys(experiment.presets).join(', ')}`);
    }
    const place = this.place(name, seed, experiment.data);
    const row = await makeRow(name, this.preset, seed, experiment, settings, place);
    const path = join(this.root, this.rows, `${name}-${this.preset}-${seed}.json`);
    write(path, rowJson(row));
    console.log(`${limitTable([{ name, preset: this.preset, rows: [row] }])}\n\n${relative(this.root, path)}`);
  }

  /** Of networks that were trained for their rows. */
  gradual(seed: number): void {
    for (const [name, { sparsities, rate }] of Object.entries(GRADUAL)) {
      const experiment = EXPERIMENTS[name]!;
      const place = this.place(name, seed, experiment.data);
      const trained = join(place.folder, 'train.json');
      if (!existsSync(join(this.root, trained)))
        throw new Error(`${name} is not trained: run it first with seed ${seed}`);
      const { result } = JSON.parse(readFileSync(join(this.root, trained), 'utf8')) as {
        result: { epochs: { score: GradualRow['dense'] }[] };
      };
      const dense = { path: join(place.folder, 'dense.onnx'), score: result.epochs.at(-1)!.score };
      for (const sparsity of sparsities) {
        const folder = join(place.folder, `gradual-${sparsity}`);
        const row = makeGradual(name, sparsity, seed, experiment, rate, dense, { ...place, folder });
        write(join(this.root, this.rows, `gradual-${name}-${sparsity}-${seed}.json`), rowJson(row));
      }
    }
  }

  /** Paths as commands show them: relative to the project. */
  private place(name: string, seed: number, data: string): Place {
    const made = join(this.work, 'data', data);
    const folder = dataFolder(join(this.data, data), made);
    return {
      root: this.root,
      data: folder,
      dataRoot: this.data,
      folder: join(this.work, `${name}-${this.preset}`, `seed-${seed}`),
      threads: this.threads,
    };
  }
}

function writeTables(folder: string, document: string): void {
  const rows = readRows(folder);
  write(document, fillIn(readFileSync(document, 'utf8'), tablesOf(rows)));
  console.log(`${document}: ${rows.length} rows`);
}

main().catch((error: unknown) => {
  console.error(`reproduce: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
