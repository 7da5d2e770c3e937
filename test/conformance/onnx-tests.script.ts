/**
 * ONNX's operator tests through the importer and the engine.
 *
 * A test is a folder with `model.onnx` and `test_data_set_*` of recorded
 * inputs and outputs. Float inputs become inputs of the graph; integers, truth
 * values and settings such as the scales of Resize are fixed at import. A test passes when every output agrees,
 * is refused when the importer says that it does not support it, and fails
 * otherwise: a wrong value is never a refusal.
 *
 * Tolerances. Official: relative 1e-3, absolute 1e-7, in the output's own
 * type. Everything here is computed in float32, so the absolute part is 1e-6
 * (a few units of float32 around 1), and the outputs recorded in float16 and
 * bfloat16 are met to two units of their own precision. Integers and truth
 * values must be equal.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ElementType, KnownTensor } from '../../server/src/checkpoint/elements';
import { isElementType, isFloat, toFloat32 } from '../../server/src/checkpoint/elements';
import { onnx } from '../../server/src/checkpoint/onnx/generated/onnx';
import { importGraph, type ImportedGraph } from '../../server/src/checkpoint/onnx/import';
import { open, type OnnxFile } from '../../server/src/checkpoint/onnx/reader';
import { ruleOf } from '../../server/src/checkpoint/onnx/rules/table';
import { storedTensor } from '../../server/src/checkpoint/onnx/tensor';
import { createOrtEngine } from '../../server/src/engine/ort';
import { InputError } from '../../server/src/errors';
import type { Shape } from '../../server/src/graph/ir';
import { formatShape, sameShape } from '../../server/src/graph/shapes';
import { evaluate } from '../reference/interpreter';

/** Values of the graph's float outputs, by name. */
type Runner = (
  graph: ImportedGraph,
  feeds: ReadonlyMap<string, Float32Array>,
) => Promise<Map<string, ArrayLike<number>>>;

interface Outcome {
  readonly test: string;
  /** The operator under test; `several` for graphs of more than one. */
  readonly operator: string;
  readonly kind: 'passed' | 'refused' | 'failed';
  readonly reason: string;
}

async function engineRunner(): Promise<Runner> {
  const engine = await createOrtEngine(1);
  return async ({ outputs, parameters }, feeds) => {
    const graph = { outputs: [...outputs].map(([name, node]) => ({ name, node })) };
    const compiled = await engine.compile(graph, { parameters });
    try {
      return new Map(await compiled.run(feeds));
    } finally {
      await compiled.dispose();
    }
  };
}

const referenceRunner: Runner = async ({ outputs, parameters }, feeds) => {
  const values = new Map([...feeds, ...[...parameters].map(([name, { value }]) => [name, value] as const)]);
  const results = evaluate([...outputs.values()], values);
  return new Map([...outputs.keys()].map((name, i) => [name, results[i]!]));
};

const tolerances: Partial<Record<ElementType, { relative: number; absolute: number }>> = {
  float32: { relative: 1e-3, absolute: 1e-6 },
  float64: { relative: 1e-3, absolute: 1e-6 },
  float16: { relative: 2e-3, absolute: 1e-3 },
  bfloat16: { relative: 1.6e-2, absolute: 8e-3 },
};

/** What differs, or null. */
function difference(got: ArrayLike<number>, expected: KnownTensor): string | null {
  const { relative, absolute } = tolerances[expected.type] ?? { relative: 0, absolute: 0 };
  if (got.length !== expected.values.length) return `${got.length} values where ${expected.values.length} are expected`;
  for (let i = 0; i < got.length; i++) {
    const [x, y] = [got[i]!, expected.values[i]!];
    if (Object.is(x, y) || x === y || (Number.isNaN(x) && Number.isNaN(y))) continue;
    if (!(Math.abs(x - y) <= absolute + relative * Math.abs(y))) return `${x} at ${i} where ${y} is expected`;
  }
  return null;
}

class Refused extends Error {}

function readTensor(path: string): KnownTensor {
  const proto = onnx.TensorProto.decode(readFileSync(path));
  return storedTensor(proto, proto.name, path).read();
}

/** Recorded tensors `input_0.pb`, … of a data set, in order. */
function recorded(folder: string, kind: 'input' | 'output', names: readonly string[]): Map<string, KnownTensor> {
  const tensors = new Map<string, KnownTensor>();
  for (const [index, name] of names.entries()) {
    const path = join(folder, `${kind}_${index}.pb`);
    if (existsSync(path)) tensors.set(name, readTensor(path));
  }
  return tensors;
}

/** Float inputs of operators that say how and not what is computed: fixed in any network, and so at import. */
const settings: Readonly<Record<string, readonly number[]>> = { Range: [0, 1, 2], Resize: [1, 2], Upsample: [1] };

async function runDataSet(file: OnnxFile, folder: string, run: Runner): Promise<void> {
  for (const { dtype } of [...file.inputs, ...file.outputs]) {
    if (dtype === 'no dense tensor') throw new Refused('sequence or optional values');
    if (dtype !== null && !isElementType(dtype)) throw new Refused(`element type not supported: ${dtype}`);
  }
  const inputs = recorded(
    folder,
    'input',
    file.inputs.map(({ name }) => name),
  );
  const fixed = new Set(file.nodes.flatMap(({ op, inputs: names }) => (settings[op] ?? []).map((i) => names[i])));
  const floats = [...inputs].filter(([name, tensor]) => isFloat(tensor.type) && !fixed.has(name));
  const shapes = new Map<string, Shape>(floats.map(([name, { shape }]) => [name, shape]));
  const frozen = new Map([...inputs].filter(([name]) => !shapes.has(name)));
  const graph = importGraph(file, { shapes, frozen });

  const feeds = new Map(floats.filter(([name]) => graph.inputs.has(name)).map(([name, x]) => [name, toFloat32(x)]));
  const results = graph.outputs.size > 0 ? await run(graph, feeds) : new Map<string, ArrayLike<number>>();
  const expected = recorded(
    folder,
    'output',
    file.outputs.map(({ name }) => name),
  );
  for (const [name, want] of expected) {
    const shape = graph.outputs.get(name)?.shape ?? graph.constants.get(name)!.shape;
    if (!sameShape(shape, want.shape)) {
      throw new Error(`${name}: shape ${formatShape(shape)} where ${formatShape(want.shape)} is expected`);
    }
    const wrong = difference(results.get(name) ?? graph.constants.get(name)!.values, want);
    if (wrong !== null) throw new Error(`${name}: ${wrong}`);
  }
}

async function runTest(folder: string, test: string, run: Runner): Promise<Outcome> {
  let operator = 'several';
  try {
    const file = await open(join(folder, test, 'model.onnx'));
    const operators = [...new Set(file.nodes.map(({ op }) => op))];
    const [only, ...others] = operators.filter((op) => op !== 'Constant');
    operator = others.length === 0 ? (only ?? 'Constant') : 'several';
    const missing = operators.find((op) => ruleOf(op) === undefined);
    if (missing !== undefined) throw new Refused(`operator ${missing} not supported`);
    const sets = readdirSync(join(folder, test)).filter((name) => name.startsWith('test_data_set_'));
    for (const set of sets) await runDataSet(file, join(folder, test, set), run);
    return { test, operator, kind: 'passed', reason: '' };
  } catch (error) {
    const refused = error instanceof Refused || error instanceof InputError;
    return { test, operator, kind: refused ? 'refused' : 'failed', reason: (error as Error).message };
  }
}

/** A reason without the node and file it is about. */
const general = (reason: string): string => reason.replace(/ \((node|tensor|input) .*$/, '');

function print(outcomes: readonly Outcome[]): void {
  const operatorsTested = [...new Set(outcomes.map(({ operator }) => operator))].sort();
  const missing = (outcome: Outcome): boolean => /^operator .* not supported$/.test(outcome.reason);
  console.log('operator                    passed  refused  failed');
  for (const operator of operatorsTested) {
    const list = outcomes.filter((outcome) => outcome.operator === operator);
    const counts = (['passed', 'refused', 'failed'] as const).map((kind) => list.filter((o) => o.kind === kind).length);
    if (list.every(missing)) continue;
    console.log(`${operator.padEnd(26)}${counts.map((count) => String(count).padStart(8)).join('')}`);
    for (const outcome of list) {
      if (outcome.kind !== 'passed' && !missing(outcome)) {
        console.log(
          `    ${outcome.kind} ${outcome.test}: ${outcome.kind === 'failed' ? outcome.reason : general(outcome.reason)}`,
        );
      }
    }
  }
  const out = outcomes.filter(missing);
  const operators = [...new Set(out.map(({ reason }) => reason.split(' ')[1]!))].sort();
  console.log(`\nrefused for an operator without a rule: ${out.length} tests (${operators.join(', ')})`);
}

async function main(): Promise<void> {
  const [folder] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
  if (folder === undefined || !existsSync(folder)) {
    console.error('usage: npm run onnx-tests -- DIR [--reference] [--json]; DIR holds a folder per test');
    process.exitCode = 2;
    return;
  }
  const run = process.argv.includes('--reference') ? referenceRunner : await engineRunner();
  const outcomes: Outcome[] = [];
  for (const test of readdirSync(folder).sort()) {
    if (existsSync(join(folder, test, 'model.onnx'))) outcomes.push(await runTest(folder, test, run));
  }
  const count = (kind: Outcome['kind']): number => outcomes.filter((outcome) => outcome.kind === kind).length;
  const summary = { passed: count('passed'), refused: count('refused'), failed: count('failed') };
  if (process.argv.includes('--json')) console.log(JSON.stringify(summary));
  else {
    print(outcomes);
    console.log(`passed ${summary.passed}, refused ${summary.refused}, failed ${summary.failed}`);
  }
  if (summary.failed > 0) process.exitCode = 1;
}

void main();
