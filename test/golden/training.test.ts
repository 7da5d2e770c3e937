import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { gradient, LOSS, TARGETS, trainingProgram } from '../../server/src/curvature/programs';
import type { Engine } from '../../server/src/engine/engine';
import { createOrtEngine } from '../../server/src/engine/ort';
import type { TrainingModel } from '../../server/src/graph/model';
import { SgdTrainer } from '../../server/src/lomp/sgd';
import { evaluate } from '../reference/interpreter';
import { compareWithGolden, type VectorSummary } from './golden';
import { goldenFolder } from './oracles';
import {
  CLASSES,
  STEP,
  trainingBatch,
  trainingCases,
  trainingFingerprint,
  trainingModel,
  type TrainingGolden,
} from './training';

/**
 * Gradient and first step of networks in training, batch normalisation
 * included, against PyTorch in float64; README.md says how the values were made.
 */

let engine: Engine;
before(async () => {
  engine = await createOrtEngine(1);
});

for (const golden of trainingCases) {
  test(`gradient and first step of ${golden.name} are those of PyTorch`, async (t) => {
    const expected = JSON.parse(
      readFileSync(join(goldenFolder(), `train-${golden.name}.json`), 'utf8'),
    ) as TrainingGolden;
    const model = trainingModel(golden);
    const batch = trainingBatch(golden, expected.candidate);
    assert.equal(trainingFingerprint(model, batch), expected.fingerprint);
    const targets = new Float32Array(golden.batch * CLASSES);
    batch.labels.forEach((label, row) => (targets[row * CLASSES + label] = 1 / golden.batch));

    const assertClose = (
      what: string,
      of: (name: string) => ArrayLike<number>,
      summary: VectorSummary,
      kind: 'parameters' | 'statistics',
    ): void => {
      const names = expected[kind];
      const vector = Float64Array.from(names.flatMap(([name]) => Array.from(of(name))));
      let offset = 0;
      const slices = names.map(([, length]) => ({ offset: (offset += length) - length, length }));
      const { whole, sampled } = compareWithGolden(vector, summary, expected.indices[kind], slices);
      t.diagnostic(`${what}: relative error ${whole.toExponential(1)} (all), ${sampled.toExponential(1)} (entries)`);
      assert.ok(whole <= golden.tolerance, `${what}: ${whole} in all`);
      assert.ok(sampled <= golden.tolerance, `${what}: ${sampled} in sampled entries`);
    };

    const names = expected.parameters.map(([name]) => name);
    assert.deepEqual([...model.parameters.keys()].sort(), [...names].sort());
    const feeds = new Map([
      [model.input.attributes.name, batch.inputs],
      [TARGETS, targets],
    ]);
    const results = golden.interpreted ? interpreted(model, names, feeds) : await computed(model, names, feeds);
    const loss = results.get(LOSS)![0]!;
    assert.ok(Math.abs(loss - expected.loss) <= golden.tolerance * expected.loss, `loss ${loss} for ${expected.loss}`);
    assertClose('gradient', (name) => results.get(gradient(name))!, expected.gradient, 'parameters');

    if (golden.interpreted) return;
    const { rate, ...options } = STEP;
    const trainer = await SgdTrainer.create(engine, [model], options);
    await trainer.step(batch.inputs, targets, rate);
    await trainer.dispose();
    assertClose('weights', (name) => trainer.values.get(name)!, expected.weights, 'parameters');
    assertClose('velocities', (name) => trainer.velocities.get(name)!, expected.velocities, 'parameters');
    assert.equal(expected.running === null, model.normalizations.length === 0);
    if (expected.running !== null) {
      assertClose('running statistics', (name) => trainer.values.get(name)!, expected.running, 'statistics');
    }
  });
}

type Feeds = ReadonlyMap<string, Float32Array>;

async function computed(model: TrainingModel, names: readonly string[], feeds: Feeds): Promise<Feeds> {
  const program = await engine.compile(trainingProgram(model, names), { parameters: model.parameters });
  const results = await program.run(feeds);
  await program.dispose();
  return results;
}

function interpreted(model: TrainingModel, names: readonly string[], feeds: Feeds): ReadonlyMap<string, Float64Array> {
  const { outputs } = trainingProgram(model, names);
  const weights = [...model.parameters].map(([name, { value }]) => [name, value] as const);
  const values = evaluate(
    outputs.map(({ node }) => node),
    new Map([...weights, ...feeds]),
  );
  return new Map(outputs.map(({ name }, i) => [name, values[i]!]));
}
