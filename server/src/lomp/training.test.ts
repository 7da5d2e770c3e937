import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { drawDigits, SIZE } from '../../../samples/strokes';
import { fullyConnected } from '../../../samples/networks';
import { evaluate as accuracy } from '../../../samples/training';
import type { PreparedSamples } from '../dataset/dataset';
import type { Engine } from '../engine/engine';
import { createOrtEngine } from '../engine/ort';
import type { Model } from '../graph/model';
import { cosineRate } from './schedule';
import { train } from './training';

let engine: Engine;
before(async () => {
  engine = await createOrtEngine(1);
});

/** Digits for a network that takes [1, SIZE, SIZE] or that many values. */
function digits(count: number, model: Model): PreparedSamples {
  const { images, labels } = drawDigits(count, 4);
  return {
    count,
    sampleShape: model.input.shape.slice(1),
    inputs: Float32Array.from(images, (x) => x / 255),
    labels: Int32Array.from(labels),
  };
}

const small = (batch: number): Model => fullyConnected(batch, [SIZE * SIZE, 20, 10], 1);
const options = { momentum: 0.9, l1: 1e-4, epochs: 3, rate: cosineRate(0.1), seed: 1 };

test('training lowers the loss and leaves the given model alone', async () => {
  const model = small(25);
  const samples = digits(500, model);
  const start = await accuracy(engine, model, samples);
  const losses: number[] = [];
  const trained = await train(engine, model, samples, { ...options, epochs: 8 }, (_, loss) => void losses.push(loss));
  const end = await accuracy(engine, trained, samples);
  assert.equal(losses.length, 8);
  assert.ok(losses.at(-1)! < 0.3 * losses[0]!, losses.join());
  assert.ok(
    end.loss < 0.15 * start.loss && end.correct > 450,
    `${end.loss} after ${start.loss}, ${end.correct} correct`,
  );
  assert.deepEqual(await accuracy(engine, model, samples), start);
});

test('the penalty moves weights towards zero, and biases not', async () => {
  const model = small(20);
  const samples = digits(100, model);
  const norms = async (l1: number) => {
    const { parameters } = await train(engine, model, samples, { ...options, l1 });
    const norm = (name: string) => parameters.get(name)!.value.reduce((sum, x) => sum + Math.abs(x), 0);
    return { weights: norm('fc1.weight'), biases: norm('fc1.bias') };
  };
  const [plain, penalised] = [await norms(0), await norms(0.01)];
  assert.ok(penalised.weights < 0.8 * plain.weights, `${penalised.weights} and ${plain.weights}`);
  assert.ok(penalised.biases > 0.8 * plain.biases, `${penalised.biases} and ${plain.biases}`);
});

test('the same seed gives the same bytes, another seed other ones', async () => {
  const model = small(20);
  const samples = digits(110, model);
  const bytes = async (seed: number): Promise<string> => {
    const { parameters } = await train(engine, model, samples, { ...options, seed });
    return [...parameters.values()].map(({ value }) => Buffer.from(value.buffer).toString('base64')).join();
  };
  const first = await bytes(1);
  assert.equal(await bytes(1), first);
  assert.notEqual(await bytes(2), first);
});

test('every sample counts once per epoch, also in a last batch that is smaller', async () => {
  const model = small(32);
  const samples = digits(75, model);
  const { loss } = await accuracy(engine, model, samples);
  // Without a step the loss of an epoch is that of the samples, whatever their order.
  const onEpoch = (_: number, epochLoss: number) => {
    assert.ok(Math.abs(epochLoss - loss) < 1e-5, `${epochLoss}, expected ${loss}`);
  };
  await train(engine, model, samples, { ...options, rate: () => 0 }, onEpoch);
});

test('the rate is asked for at each step, with what is done of the training', async () => {
  const model = small(32);
  const asked: number[] = [];
  const rate = (progress: number): number => {
    asked.push(progress);
    return 0.01;
  };
  await train(engine, model, digits(64, model), { ...options, epochs: 2, rate });
  assert.deepEqual(asked, [0, 0.25, 0.5, 0.75]);
  const cosine = cosineRate(0.4);
  assert.deepEqual([cosine(0), cosine(0.5)], [0.4, 0.2]);
  assert.ok(cosine(0.999) < 1e-5);
});

test('a training that diverges says so', async () => {
  const model = small(25);
  const diverging = train(engine, model, digits(200, model), { ...options, rate: () => 1e20 });
  await assert.rejects(diverging, { name: 'AnalysisError', message: /training diverged.*lower the learning rate/ });
});
