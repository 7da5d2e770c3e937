/**
 * npm run conformance -- [--provider NAME] [--threads N] [--light] [--large]
 *     [--limits] [--modules DIR] [--json]
 *
 * Holds an engine to the conformance suite (suite.ts) and prints a table, one
 * line per case; `--light` takes fewer cases of an operator and leaves the large
 * network out, `--large` takes values above WebGPU's smallest limits alone,
 * `--limits` the limit of a real checkpoint beside the CPU's alone;
 * `--modules` says where TensorFlow.js is. Exit status 0 where every case that
 * could be run is within its tolerance, 1 where one is not, 2 where the provider
 * is not there.
 */
import { parseArgs } from 'node:util';
import { PROVIDERS } from '../../protocol/analysis';
import { createEngine } from '../../server/src/engine/create';
import type { Engine } from '../../server/src/engine/engine';
import { largeCases } from './large';
import { limitCases } from './limits';
import { conformanceCases } from './suite';

/** Cases per operator with `--light`: a GPU in software compiles its shaders for minutes. */
const LIGHT_CASES = 6;

const { values } = parseArgs({
  options: {
    provider: { type: 'string', default: 'cpu' },
    threads: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    light: { type: 'boolean', default: false },
    large: { type: 'boolean', default: false },
    limits: { type: 'boolean', default: false },
    modules: { type: 'string', default: '' },
  },
});

async function main(): Promise<number> {
  const { threads, json } = values;
  const provider = PROVIDERS.find((name) => name === values.provider);
  if (provider === undefined) {
    console.error(`--provider is one of ${PROVIDERS.join(', ')}, not ${values.provider}`);
    return 2;
  }
  let engine: Engine;
  try {
    engine = await createEngine(provider, Number(threads), values.modules === '' ? [] : [values.modules]);
  } catch (error) {
    console.error(`${provider} is not there: ${(error as Error).message}`);
    return 2;
  }
  const { name, version } = engine.description;
  if (!json) console.log(`${provider}: ${name} ${version}, ${threads} threads`);
  const rows = [];
  let failures = 0;
  let section = '';
  for (const conformance of values.limits ? limitCases : values.large ? largeCases : conformanceCases) {
    if (!json && conformance.section !== section) console.log(`\n${(section = conformance.section)}`);
    const row = await measure(engine, conformance);
    if (row.failure !== undefined) failures++;
    rows.push(row);
    if (!json) console.log(line(row));
  }
  await engine.dispose();
  const counts = { cases: rows.length, failures, skipped: rows.filter(({ skipped }) => skipped).length };
  if (json) console.log(JSON.stringify({ provider, name, version, ...counts, rows }));
  else console.log(`\n${rows.length - failures - counts.skipped} right, ${failures} wrong, ${counts.skipped} skipped`);
  return failures > 0 ? 1 : 0;
}

interface Row {
  readonly name: string;
  readonly error?: number;
  readonly tolerance: number;
  readonly seconds?: number;
  readonly failure?: string;
  readonly skipped?: string;
}

async function measure(
  engine: Engine,
  { name, skip, weight, tolerance, error }: (typeof conformanceCases)[number],
): Promise<Row> {
  const skipped = skip || (weight > 1 && values.light && 'large');
  if (skipped) return { name, tolerance, skipped };
  const started = performance.now();
  try {
    const found = await error(engine, values.light ? LIGHT_CASES : undefined);
    const seconds = (performance.now() - started) / 1000;
    const wrong = found <= tolerance ? {} : { failure: `above ${tolerance.toExponential(0)}` };
    return { name, tolerance, error: found, seconds, ...wrong };
  } catch (reason) {
    return { name, tolerance, failure: (reason as Error).message.split('\n', 1)[0]! };
  }
}

function line({ name, error, seconds, failure, skipped }: Row): string {
  const mark = skipped ? '-' : failure === undefined ? '✔' : '✖';
  const figures =
    error === undefined ? '' : `${error.toExponential(1).padStart(9)}${`${seconds!.toFixed(1)} s`.padStart(10)}`;
  return `  ${mark} ${name.padEnd(66)}${figures}  ${failure ?? skipped ?? ''}`.trimEnd();
}

void main().then((status) => process.exit(status));
