import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CurvatureKind } from '../../../protocol/analysis';
import { createOrtEngine } from '../engine/ort';
import type { Model } from '../graph/model';
import { Random } from '../random';
import { liveCoordinates } from '../spectrum/restriction';
import { makeBatches } from './batches';
import { CurvatureOperator } from './operator';
import { parameterLayout } from './parameters';
import { ModelMaker, randomSamples } from './testing';

/** What the structure says of a network's zero rows, beside what two products say. */

const [FEATURES, HIDDEN, CLASSES, BATCH] = [6, 5, 3, 8];
/** Black in every sample. */
const PIXEL = 2;
/** Never fires: its bias outweighs whatever its weights can add up to. */
const UNIT = 3;

function network(): Model {
  const maker = new ModelMaker();
  const { builder: b } = maker;
  const input = b.input('x', [BATCH, FEATURES]);
  const first = b.matmul(input, maker.parameter('first', [FEATURES, HIDDEN], 'MatMul'));
  const hidden = b.relu(b.add(first, maker.parameter('first bias', [HIDDEN])));
  const logits = b.matmul(hidden, maker.parameter('second', [HIDDEN, CLASSES], 'MatMul'));
  const bias = maker.parameters.get('first bias')!;
  const value = new Float32Array(HIDDEN).fill(FEATURES / 2);
  value[UNIT] = -FEATURES - 1;
  maker.parameters.set('first bias', { ...bias, value });
  return maker.model(input, b.add(logits, maker.parameter('second bias', [CLASSES])));
}

for (const kind of ['hessian', 'ggn'] satisfies CurvatureKind[]) {
  test(`${kind}: the weights of a black pixel and of a dead unit are those whose rows are zero`, async () => {
    const samples = randomSamples(20, [FEATURES], CLASSES, 5);
    for (let i = PIXEL; i < samples.inputs.length; i += FEATURES) samples.inputs[i] = 0;
    const model = network();
    const layout = parameterLayout(model);
    const operator = new CurvatureOperator(
      await createOrtEngine(1),
      model,
      layout,
      kind,
      makeBatches(samples, BATCH, CLASSES),
    );
    const random = Random.stream(1, 'dead units');
    const live = liveCoordinates(
      await operator.apply([random.rademacher(operator.dimension), random.rademacher(operator.dimension)]),
    );
    await operator.dispose();
    const wanted: number[] = [];
    for (let i = 0; i < FEATURES * HIDDEN; i++) {
      if (Math.floor(i / HIDDEN) !== PIXEL && i % HIDDEN !== UNIT) wanted.push(i);
    }
    for (let i = 0; i < HIDDEN * CLASSES; i++) {
      if (Math.floor(i / CLASSES) !== UNIT) wanted.push(FEATURES * HIDDEN + i);
    }
    assert.deepEqual([...live], wanted);
  });
}
