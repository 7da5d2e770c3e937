import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { PruneResult } from '../../protocol/prune';
import { Evaluator } from '../../server/src/analysis/evaluator';
import { MemoryGuard } from '../../server/src/analysis/memory';
import { openSubject, type Subject } from '../../server/src/analysis/subject';
import { createOrtEngine } from '../../server/src/engine/ort';
import { elementCount } from '../../server/src/graph/shapes';
import { Magnitudes } from '../../server/src/limit/magnitudes';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { run } from '../cli/command';
import { temporaryFolder } from '../files';
import { sharedData, withoutSharedData } from '../outside';

/**
 * Real checkpoints, pruned by the command, run by onnxruntime as any other
 * program would run the file: as many predictions are right as the path says.
 */
const CASES = [
  { file: 'onnx/vnncomp/resnet_2b.onnx', data: 'cifar10', normalize: '.4914,.4822,.4465;.2471,.2435,.2616' },
  { file: 'onnx/vnncomp/mnist-net_256x2.onnx', data: 'mnist' },
  { file: 'onnx/burn_mnist.onnx', data: 'mnist', normalize: '.1307;.3081' },
  { file: 'onnx/mnist_zoo/model.onnx', data: 'mnist', scale: 1 },
] as const;
const SAMPLES = 1000;

async function correctByOnnxruntime(path: string, { batches, model, classes }: Subject): Promise<number> {
  const session = await InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const shape = model.input.shape.with(0, 1);
  const size = elementCount(shape);
  let correct = 0;
  for (const { inputs, labels } of batches) {
    for (const [row, label] of labels.entries()) {
      const image = new Tensor('float32', inputs.slice(row * size, (row + 1) * size), shape);
      const [output] = Object.values(await session.run({ [session.inputNames[0]!]: image }));
      const scores = Array.from(output!.data as Float32Array).slice(0, classes);
      if (scores.indexOf(Math.max(...scores)) === label) correct++;
    }
  }
  await session.release();
  return correct;
}

describe('pruned checkpoints', { skip: withoutSharedData() }, () => {
  for (const { file, data, ...preparation } of CASES) {
    const { normalize, scale } = { normalize: undefined, scale: 255, ...preparation };
    it(`${file} predicts what the path says`, async (t) => {
      const folder = temporaryFolder(t);
      const checkpoint = join(sharedData()!, 'checkpoints', file);
      const output = join(folder, 'pruned.onnx');
      const path = join(sharedData()!, 'datasets', data);
      const { status, stdout, stderr } = await run([
        ...['prune', checkpoint, '--sparsity', '0.7', '-o', output, '--mask', join(folder, 'mask.npz')],
        ...['--data', path, '--samples', String(SAMPLES), '--scale', String(scale), '--threads', '1', '--json'],
        ...(normalize === undefined ? [] : ['--normalize', normalize]),
      ]);
      assert.equal(status, 0, stderr);
      const result = JSON.parse(stdout) as PruneResult;

      const parts = normalize?.split(';').map((part) => part.split(',').map(Number));
      const options = {
        ...DEFAULT_OPTIONS,
        data: {
          ...DEFAULT_OPTIONS.data,
          path,
          scale,
          samples: SAMPLES,
          ...(parts && { normalize: { mean: parts[0]!, deviation: parts[1]! } }),
        },
        threads: 1,
      };
      const subject = await openSubject({ checkpoint, options }, new MemoryGuard(0));
      const magnitudes = Magnitudes.of(
        subject.layout.layers.map(({ offset, length }) => subject.weights.subarray(offset, offset + length)),
      );
      const weights = new Float32Array(subject.layout.dimension);
      magnitudes
        .prunedWeights(magnitudes.keptCount(0.7))
        .forEach((layer, i) => weights.set(layer, subject.layout.layers[i]!.offset));
      const evaluator = await Evaluator.create(await createOrtEngine(1), subject);
      const { correct, loss } = await evaluator.evaluate(weights);
      await evaluator.dispose();

      assert.equal(result.kept, magnitudes.keptCount(0.7));
      assert.deepEqual(result.measured!.after, { loss, correct });
      assert.equal(await correctByOnnxruntime(output, subject), correct);
      assert.ok(result.measured!.before.correct > 0.6 * SAMPLES, 'the data are the network’s');
    });
  }
});
