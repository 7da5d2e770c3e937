import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  AnalysisOptions,
  AnalysisResult,
  AnalysisWarning,
  CheckpointSummary,
  CurvatureResult,
  DataOptions,
  HeldBackLimit,
  LayerLimits,
  LayerResult,
  LayerSummary,
  LimitResult,
  MeasuredPoint,
  MeasuredSplit,
  MeasureOptions,
  OneShotLimit,
  PathPoint,
  SampleSizes,
  SizeLimit,
  TensorSummary,
  OwnLimit,
} from '../../protocol/analysis';
import type { PrunedLayer, PruneResult } from '../../protocol/prune';
import type { RetrainBracket, RetrainOptions, RetrainResult, RetrainTrial } from '../../protocol/retrain';
import { run } from './command';
import { schema, schemaErrors, type SchemaName, type SchemaNode } from './schema';
import { tinySubject } from './subject';

/** Every property of T by name, and whether it may be absent: the compiler holds the lists below to the types. */
type Properties<T> = { readonly [K in keyof T]-?: object extends Pick<T, K> ? 'optional' : 'required' };

const r = 'required';
const result: Properties<AnalysisResult> = {
  checkpoint: r,
  engine: r,
  data: r,
  parameters: r,
  loss: r,
  accuracy: r,
  epsilon: r,
  limits: r,
  path: r,
  layerLimits: r,
  sampleSizes: 'optional',
  measured: r,
  validity: r,
  layers: r,
  warnings: r,
  options: r,
  time: r,
};
const resultDefinitions = {
  limit: {
    operator: r,
    sparsity: r,
    keep: r,
    lower: r,
    upper: r,
    bracket: r,
    standardError: r,
    interval: r,
    resolved: r,
    end: 'optional',
    eta: r,
    traceBound: r,
    sharp: r,
    R: r,
    method: r,
    curvature: r,
  } satisfies Properties<LimitResult>,
  curvature: {
    trace: r,
    traceStandardError: r,
    lambdaMax: r,
    lambdaMin: r,
    steps: r,
    probes: r,
    exact: r,
    blur: r,
    scale: r,
    ritzValues: r,
    weights: r,
  } satisfies Properties<CurvatureResult>,
  pathPoint: {
    sparsity: r,
    R: r,
    loss: r,
    accuracy: r,
    linear: r,
    quadratic: r,
    penalty: 'optional',
  } satisfies Properties<PathPoint>,
  measuredSplit: {
    split: r,
    path: r,
    samples: r,
    available: r,
    points: r,
    oneShot: r,
  } satisfies Properties<MeasuredSplit>,
  measuredPoint: {
    sparsity: r,
    loss: r,
    riseStandardError: r,
    correct: r,
    accuracyInterval: r,
  } satisfies Properties<MeasuredPoint>,
  oneShotLimit: {
    criterion: r,
    tolerance: r,
    sparsity: r,
    interval: r,
    resolution: r,
  } satisfies Properties<OneShotLimit>,
  layerLimits: { operator: r, coupling: r, layers: r } satisfies Properties<LayerLimits>,
  ownLimit: { name: r, sparsity: r, interval: r, resolved: r } satisfies Properties<OwnLimit>,
  sampleSizes: { operator: r, sizes: r, heldBack: r, whole: r } satisfies Properties<SampleSizes>,
  sizeLimit: { samples: r, parts: r, sparsity: r, interval: r } satisfies Properties<SizeLimit>,
  heldBackLimit: { from: r, samples: r, interval: r, covered: r } satisfies Properties<HeldBackLimit>,
  measureOptions: { on: r, testData: 'optional', samples: r } satisfies Properties<MeasureOptions>,
  layer: {
    name: r,
    op: r,
    shape: r,
    weights: r,
    zeros: r,
    sparsityAtLimit: r,
    keptAtLimit: r,
    trace: r,
    traceStandardError: r,
    curvatureShare: r,
  } satisfies Properties<LayerResult>,
  warning: { code: r, message: r, layer: 'optional' } satisfies Properties<AnalysisWarning>,
  options: {
    data: r,
    layerLimits: 'optional',
    sampleSizes: 'optional',
    measure: 'optional',
    architecture: 'optional',
    graph: 'optional',
    batch: r,
    steps: r,
    tolerance: r,
    minutes: r,
    epsilon: r,
    curvature: r,
    l1: r,
    provider: r,
    modules: 'optional',
    threads: r,
    memory: r,
    seed: r,
  } satisfies Properties<AnalysisOptions>,
  dataOptions: {
    path: r,
    split: r,
    scale: r,
    normalize: 'optional',
    layout: 'optional',
    resize: 'optional',
    crop: 'optional',
    samples: r,
  } satisfies Properties<DataOptions>,
};
/** Objects that have no type of their own. */
const resultInline = {
  engine: { name: r, version: r, provider: r, threads: r, reason: r } satisfies Properties<AnalysisResult['engine']>,
  data: { path: r, format: r, samples: r, available: r, classes: r } satisfies Properties<AnalysisResult['data']>,
  parameters: { total: r, prunable: r } satisfies Properties<AnalysisResult['parameters']>,
  accuracy: { correct: r, total: r } satisfies Properties<AnalysisResult['accuracy']>,
  epsilon: { value: r, rule: r } satisfies Properties<AnalysisResult['epsilon']>,
  validity: { edge: r, gradientNorm: r } satisfies Properties<AnalysisResult['validity']>,
  time: { total: r, perProduct: r, products: r } satisfies Properties<AnalysisResult['time']>,
};
const summary: Properties<CheckpointSummary> = {
  checkpoint: r,
  format: r,
  producer: r,
  opset: r,
  inputs: r,
  outputs: r,
  parameters: r,
  architecture: r,
  layers: r,
  tensors: r,
  operators: r,
  unsupported: r,
};
const summaryDefinitions = {
  tensor: { name: r, dtype: r, shape: r, sha256: 'optional' } satisfies Properties<TensorSummary>,
  layer: {
    name: r,
    op: r,
    shape: r,
    dtype: r,
    weights: r,
    zeros: r,
    nonFinite: r,
    constant: r,
  } satisfies Properties<LayerSummary>,
  declared: { name: r, shape: r } satisfies Properties<CheckpointSummary['inputs'][number]>,
};

const pruned: Properties<PruneResult> = {
  checkpoint: r,
  output: r,
  companions: r,
  mask: r,
  method: r,
  asked: r,
  atLimit: r,
  sparsity: r,
  weights: r,
  kept: r,
  layers: r,
  disconnected: r,
  measured: r,
};
const prunedLayer: Properties<PrunedLayer> = { name: r, op: r, shape: r, weights: r, kept: r, sparsity: r };

const retrained: Properties<RetrainResult> = {
  checkpoint: r,
  output: r,
  weights: r,
  samples: r,
  dense: r,
  epsilon: r,
  trials: r,
  brackets: r,
  limit: r,
  options: r,
};
const retrainedDefinitions = {
  trial: { seed: r, sparsity: r, kept: r, epochs: r, loss: r, reached: r } satisfies Properties<RetrainTrial>,
  bracket: { seed: r, reached: r, score: r, missed: r } satisfies Properties<RetrainBracket>,
  options: { training: r, epsilon: r, seeds: r, tolerance: r } satisfies Properties<RetrainOptions>,
};

function assertProperties(node: SchemaNode | undefined, expected: Readonly<Record<string, string>>): void {
  assert.ok(node !== undefined);
  const names = Object.keys(expected);
  assert.deepEqual(Object.keys(node.properties!).sort(), [...names].sort());
  assert.deepEqual([...node.required!].sort(), names.filter((name) => expected[name] === r).sort());
}

test('the schemas have the properties of the types', () => {
  const ofResult = schema('result');
  assertProperties(ofResult, result);
  for (const [name, expected] of Object.entries(resultDefinitions)) assertProperties(ofResult.$defs![name], expected);
  for (const [name, expected] of Object.entries(resultInline)) assertProperties(ofResult.properties![name], expected);
  const ofSummary = schema('summary');
  assertProperties(ofSummary, summary);
  for (const [name, expected] of Object.entries(summaryDefinitions)) assertProperties(ofSummary.$defs![name], expected);
  const ofPruned = schema('pruned');
  assertProperties(ofPruned, pruned);
  assertProperties(ofPruned.$defs!['layer'], prunedLayer);
  const ofRetrained = schema('retrained');
  assertProperties(ofRetrained, retrained);
  for (const [name, expected] of Object.entries(retrainedDefinitions)) {
    assertProperties(ofRetrained.$defs![name], expected);
  }
});

test('every property is described, every object is closed', () => {
  const visit = (node: SchemaNode, place: string): void => {
    if (node.properties !== undefined) assert.equal(node.additionalProperties, false, place);
    for (const [name, property] of Object.entries(node.properties ?? {})) {
      const described = property.description ?? '';
      const isConstant = JSON.stringify(property).includes('"const"') || place.includes('epsilonRule');
      assert.ok(isConstant || described !== '' || property.$ref !== undefined, `${place}.${name}`);
      visit(property, `${place}.${name}`);
    }
    if (node.items) visit(node.items, `${place}[]`);
    for (const [name, definition] of Object.entries(node.$defs ?? {})) visit(definition, `${place}#${name}`);
  };
  for (const name of ['result', 'summary', 'pruned', 'retrained'] as const) visit(schema(name), name);
});

/** Keys of every object within `value`, as the path to it. */
function* objects(value: unknown, path: readonly string[] = []): Generator<readonly string[]> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield path;
  for (const [key, item] of Object.entries(value)) yield* objects(item, [...path, key]);
}

type Json = Record<string, unknown>;

/** A copy of `value` in which the object at `path` was changed. */
function changed(value: unknown, path: readonly string[], change: (object: Json) => void): unknown {
  const copy = structuredClone(value);
  change(path.reduce<unknown>((object, key) => (object as Json)[key], copy) as Json);
  return copy;
}

/** Properties that may be absent, and objects whose names are data. */
const FREE = /\.(layer|normalize|layout|measure|testData|end)$/;
/** Properties that may be null. */
const NULLABLE =
  /^\.(opset|mask|measured|layers\.\d+\.(sparsityAtLimit|keptAtLimit|trace|traceStandardError|curvatureShare))$/;
/** Properties of a layer that a summary may leave open. */
const UNREAD = /^(zeros|nonFinite|constant)$/;

function assertStrict(name: SchemaName, value: unknown): void {
  assert.deepEqual(schemaErrors(name, value), []);
  for (const path of objects(value)) {
    const place = ['', ...path].join('.');
    if (place === '.operators') continue;
    assert.ok(
      schemaErrors(
        name,
        changed(value, path, (object) => (object.more = 1)),
      ).length > 0,
      `${place}.more`,
    );
    const object = path.reduce<unknown>((inner, key) => (inner as Json)[key], value) as Json;
    for (const key of Object.keys(object)) {
      const without = changed(value, path, (copy) => delete copy[key]);
      if (!FREE.test(`${place}.${key}`)) assert.ok(schemaErrors(name, without).length > 0, `${place}.${key} removed`);
      // What JSON makes of NaN.
      const hollow = changed(value, path, (copy) => (copy[key] = null));
      const open = NULLABLE.test(`${place}.${key}`) || (name === 'summary' && UNREAD.test(key));
      if (object[key] !== null && !(place === '.validity' || open)) {
        assert.ok(schemaErrors(name, hollow).length > 0, `${place}.${key} null`);
      }
    }
  }
}

test('a real result is as described, and none with a property more or less', async (t) => {
  const cwd = tinySubject(t);
  const args = ['analyze', 'net.onnx', '--data', 'data', '--steps', '3', '--threads', '1', '--json'];
  const more = ['--normalize', '0.5;0.5', '--layout', 'nchw', '--epsilon', 'rel:0.1', '--samples', '20'];
  for (const options of [[], more, ['--measure', '--measure-on', 'test', '--test-data', 'data']]) {
    const { status, stdout, stderr } = await run([...args, ...options], { cwd });
    assert.equal(status, 0, stderr);
    const value = JSON.parse(stdout) as AnalysisResult;
    // One path point and one Ritz value say as much as all.
    const measured = value.measured.map((split) => ({
      ...split,
      points: split.points.slice(0, 1),
      oneShot: split.oneShot.slice(0, 1),
    }));
    assertStrict('result', { ...value, path: value.path.slice(0, 1), measured });
    assert.deepEqual(schemaErrors('result', value), []);
  }
});

test('a real summary is as described, and none with a property more or less', async (t) => {
  const cwd = tinySubject(t);
  const { stdout } = await run(['inspect', 'net.onnx', '--json'], { cwd });
  assertStrict('summary', JSON.parse(stdout));
});

test('a real pruning is as described, and nothing with a property more or less', async (t) => {
  const cwd = tinySubject(t);
  const args = ['prune', 'net.onnx', '--sparsity', '0.5', '-o', 'out.onnx', '--mask', 'mask.npz', '--data', 'data'];
  const { stdout, stderr } = await run([...args, '--threads', '1', '--json'], { cwd });
  assertStrict('pruned', JSON.parse(stdout || stderr));
});

test('numbers out of their range are refused', async (t) => {
  const cwd = tinySubject(t);
  const args = ['analyze', 'net.onnx', '--data', 'data', '--steps', '2', '--threads', '1', '--json'];
  const value = JSON.parse((await run(args, { cwd })).stdout) as AnalysisResult;
  const wrong: readonly (readonly [readonly string[], string, unknown])[] = [
    [['limits', '0'], 'sparsity', 1.01],
    [['limits', '0'], 'keep', -0.01],
    [['limits', '0'], 'interval', [0.1]],
    [['limits', '0'], 'bracket', [0.1, 0.2, 0.3]],
    [['limits', '0'], 'operator', 'fisher'],
    [['limits', '0'], 'end', 'tired'],
    [['layers', '0'], 'sparsityAtLimit', 1.5],
    [['layers', '0'], 'curvatureShare', '0.5'],
    [['limits', '0', 'curvature'], 'steps', 1.5],
    [['limits', '0', 'curvature'], 'traceStandardError', -1],
    [['layers', '0'], 'shape', [3, -1]],
    [['layers', '0'], 'zeros', -1],
    [['path', '0'], 'accuracy', 2],
    [['accuracy'], 'correct', '3'],
    [['options'], 'epsilon', { kind: 'absolute' }],
    [['options', 'data'], 'samples', 'some'],
    [['time'], 'products', -1],
  ];
  for (const [path, key, to] of wrong) {
    const other = changed(value, path, (object) => (object[key] = to));
    assert.ok(schemaErrors('result', other).length > 0, `${path.join('.')}.${key}`);
  }
});
