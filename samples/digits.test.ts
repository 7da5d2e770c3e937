import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { analyze } from '../server/src/analysis/analyze';
import { ANALYSIS_FILE, readAnalysisFile } from '../server/src/analysis-file';
import { inspectCheckpoint } from '../server/src/checkpoint/inspect';
import { projectRoot } from '../test/outside';

/** The demonstration: what is stored shows what it is meant to show. */

const folder = join(projectRoot(), 'samples');
const checkpoint = join(folder, 'digits.onnx');

test('the network is small and its layers have names', async () => {
  assert.ok(statSync(checkpoint).size < 200_000);
  const { layers, unsupported } = await inspectCheckpoint(checkpoint);
  assert.deepEqual(
    layers.map(({ name, op }) => `${name} ${op}`),
    ['conv1.weight Conv', 'conv2.weight Conv', 'conv3.weight Conv', 'fc1.weight Gemm', 'fc2.weight Gemm'],
  );
  assert.deepEqual(unsupported, []);
});

test('both limits resolve, and one-shot pruning below them does as predicted', async () => {
  const stored = await readAnalysisFile(join(folder, ANALYSIS_FILE), checkpoint);
  assert.ok(stored !== null && stored.l1 > 0);
  // One thread: several wait for each other where tests share the processor.
  const options = { ...stored, threads: 1 };
  const result = await analyze({ checkpoint, options }, () => undefined);
  const { accuracy, limits, path, epsilon, loss, validity } = result;
  assert.ok(accuracy.correct / accuracy.total >= 0.98, `${accuracy.correct} of ${accuracy.total}`);

  const [hessian, gaussNewton] = limits as [(typeof limits)[0], (typeof limits)[0]];
  for (const { operator, resolved, interval } of limits) {
    assert.ok(resolved && interval[1] - interval[0] <= 0.01, `${operator}: ${interval.join(' to ')}`);
  }
  assert.ok(hessian.sparsity > 0.93 && hessian.sparsity < gaussNewton.sparsity && gaussNewton.sparsity < 0.985);
  assert.ok(validity.edge! >= hessian.interval[0], `edge ${validity.edge}`);

  // Within the tolerance short of the limit, and far beyond it past the optimistic end.
  const rise = (at: (sparsity: number) => boolean) =>
    path.filter((point) => at(point.sparsity)).map((p) => p.loss - loss);
  assert.ok(Math.max(...rise((s) => s < hessian.interval[0])) < epsilon.value);
  assert.ok(Math.min(...rise((s) => s > hessian.sharp)) > 10 * epsilon.value);
});
