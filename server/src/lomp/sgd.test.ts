import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { convolutional } from '../../../samples/networks';
import { evaluate } from '../../../test/reference/interpreter';
import { gradientProgram, LOSS, TARGETS } from '../curvature/programs';
import type { Engine } from '../engine/engine';
import { createOrtEngine } from '../engine/ort';
import { GraphBuilder } from '../graph/builder';
import { Random } from '../random';
import { SgdTrainer, type SgdOptions } from './sgd';

let engine: Engine;
before(async () => {
  engine = await createOrtEngine(1);
});

interface StepCase {
  readonly label: string;
  readonly options: SgdOptions;
  /** w and v after a step, from g; `penalised` for prunable weights. */
  readonly step: (w: number, v: number, g: number, penalised: boolean) => readonly [number, number];
}

const [momentum, rate] = [0.7, 0.3];

/** The definitions, once more. */
const stepCases: readonly StepCase[] = [
  {
    label: 'subgradient',
    options: { momentum, l1: 0.02 },
    step: (w, v, g, penalised) => {
      const next = momentum * v + g + (penalised ? 0.02 * Math.sign(w) : 0);
      return [w - rate * next, next];
    },
  },
  {
    label: 'proximal',
    options: { momentum, l1: 0.02, l1Mode: 'proximal' },
    step: (w, v, g, penalised) => {
      const next = momentum * v + g;
      const moved = w - rate * next;
      return [
        penalised ? Math.sign(moved) * Math.max(0, Math.abs(moved) - (rate * 0.02) / (1 - momentum)) : moved,
        next,
      ];
    },
  },
  {
    label: 'weight decay',
    options: { momentum, l1: 0, weightDecay: 0.1 },
    step: (w, v, g) => {
      const next = momentum * v + g + 0.1 * w;
      return [w - rate * next, next];
    },
  },
];

for (const stepCase of stepCases) {
  test(`steps are those of the definition in float64: ${stepCase.label}`, () => follow(stepCase));
}

async function follow({ options, step: expectedStep }: StepCase): Promise<void> {
  const batch = 4;
  const model = convolutional(batch, { image: [1, 8, 8], convolutions: [3], linear: [6, 5] }, 2);
  const names = [...model.parameters.keys()];
  // A weight at zero has no penalty to pull it.
  model.parameters.get('fc1.weight')!.value[0] = 0;
  const random = Random.stream(3, 'batch');
  const program = gradientProgram(model, names);
  const weights = new Map(names.map((name) => [name, Float64Array.from(model.parameters.get(name)!.value)]));
  const velocities = new Map(names.map((name) => [name, new Float64Array(weights.get(name)!.length)]));

  const trainer = await SgdTrainer.create(engine, [model], options);
  for (let step = 0; step < 3; step++) {
    const inputs = random.gaussianVector(batch * 64);
    const targets = Float32Array.from({ length: batch * 5 }, (_, i) => (i % 6 === step ? 1 / batch : 0));
    const loss = await trainer.step(inputs, targets, rate);

    const feeds = new Map<string, ArrayLike<number>>([...weights, ['input', inputs], [TARGETS, targets]]);
    const nodes = program.outputs.map(({ node }) => node);
    const [expectedLoss, ...gradients] = evaluate(nodes, feeds);
    assert.equal(program.outputs[0]!.name, LOSS);
    assert.ok(Math.abs(loss - expectedLoss![0]!) < 1e-5, `loss ${loss}, expected ${expectedLoss![0]}`);
    names.forEach((name, k) => {
      const [w, v] = [weights.get(name)!, velocities.get(name)!];
      w.forEach((x, i) => {
        const moved = expectedStep(x, v[i]!, gradients[k]![i]!, name.endsWith('.weight'));
        [w[i], v[i]] = moved as [number, number];
      });
      trainer.values.get(name)!.forEach((x, i) => {
        assert.ok(Math.abs(x - w[i]!) < 1e-5, `step ${step}, ${name}[${i}]: ${x}, expected ${w[i]}`);
      });
    });
  }
  await trainer.dispose();
}

for (const l1Mode of ['subgradient', 'proximal'] as const) {
  test(`steps rest where the gradient balances the penalty: ${l1Mode}`, async () => {
    // One sample that must be told apart by logits 2·w and 0 has the loss log(1 + exp(−2w)).
    const b = new GraphBuilder();
    const input = b.input('input', [1, 2]);
    const weights = b.parameter('w', [2, 1]);
    const logits = b.matmul(input, b.concat([weights, b.neg(weights)], 1));
    const value = Float32Array.of(0.5, 0);
    const parameters = new Map([['w', { name: 'w', shape: [2, 1], value }]]);
    const layers = [{ name: 'w', op: 'Gemm', shape: [2, 1] } as const];
    const model = { source: 'test', builder: b, input, logits, parameters, layers };
    const l1 = 0.3;
    const trainer = await SgdTrainer.create(engine, [model], { momentum: 0.9, l1, l1Mode });
    for (let step = 0; step < 400; step++) await trainer.step(Float32Array.of(1, 0), Float32Array.of(1, 0), 0.02);
    // −2σ(−2w) + μ = 0
    const w = trainer.values.get('w')![0]!;
    assert.ok(Math.abs(2 / (1 + Math.exp(2 * w)) - l1) < 1e-4, `${w}`);
    await trainer.dispose();
  });
}

test('masked weights are zero from the beginning and stay it, the others move', async () => {
  const model = convolutional(2, { image: [1, 8, 8], convolutions: [3], linear: [6, 5] }, 2);
  const mask = Uint8Array.from({ length: 30 }, (_, i) => i % 3);
  const options = { momentum, l1: 0.02, weightDecay: 0.1, mask: new Map([['fc2.weight', mask]]) };
  const trainer = await SgdTrainer.create(engine, [model], options);
  const before = Float32Array.from(trainer.values.get('fc2.weight')!);
  const random = Random.stream(3, 'batch');
  for (let step = 0; step < 3; step++) {
    await trainer.step(random.gaussianVector(128), Float32Array.of(0.5, 0, 0, 0, 0, 0, 0.5, 0, 0, 0), rate);
    trainer.values.get('fc2.weight')!.forEach((w, i) => assert.equal(w === 0, mask[i] === 0, `weight ${i}: ${w}`));
  }
  assert.notDeepEqual(trainer.values.get('fc2.weight'), before);
  await trainer.dispose();
});

test('a loss that is not finite moves nothing', async () => {
  const model = convolutional(2, { image: [1, 8, 8], convolutions: [3], linear: [6, 5] }, 2);
  const trainer = await SgdTrainer.create(engine, [model], { momentum, l1: 0.02 });
  const before = new Map([...trainer.values].map(([name, value]) => [name, Float32Array.from(value)]));
  assert.ok(Number.isNaN(await trainer.step(new Float32Array(128).fill(NaN), new Float32Array(10).fill(0.1), rate)));
  assert.deepEqual(new Map(trainer.values), before);
  await trainer.dispose();
});
