import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { AnalysisResult, CheckpointSummary } from '../../protocol/analysis';
import type { PruneResult } from '../../protocol/prune';
import type { RetrainResult } from '../../protocol/retrain';
import type { TrainResult } from '../../protocol/train';
import { run } from '../cli/command';
import { temporaryFolder } from '../files';
import { sharedData, withoutSharedData } from '../outside';

/**
 * The story of docs/tutorial-resnet20.md, short: a PyTorch checkpoint is
 * fine-tuned with the penalty, analysed, pruned, measured, exported and read
 * back, by the commands of the tutorial with few samples.
 */

const CIFAR_RECORD = 1 + 3072;
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];
const PREPARED = ['--normalize', `${MEAN.join()};${DEVIATION.join()}`, '--threads', '1'];
const TEST_SAMPLES = 100;

async function answer<T>(...args: string[]): Promise<T> {
  const { status, stdout, stderr } = await run([...args, '--json']);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as T;
}

/** Right of the records, as any program would run the file. */
async function correctByOnnxruntime(path: string, records: Buffer): Promise<number> {
  const session = await InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  let correct = 0;
  for (let at = 0; at < records.length; at += CIFAR_RECORD) {
    const pixels = records.subarray(at + 1, at + CIFAR_RECORD);
    const image = Float32Array.from(pixels, (x, i) => {
      const channel = Math.floor(i / 1024);
      return (x / 255 - MEAN[channel]!) / DEVIATION[channel]!;
    });
    const feeds = { [session.inputNames[0]!]: new Tensor('float32', image, [1, 3, 32, 32]) };
    const [output] = Object.values(await session.run(feeds));
    const scores = Array.from(output!.data as Float32Array);
    if (scores.indexOf(Math.max(...scores)) === records[at]) correct++;
  }
  await session.release();
  return correct;
}

it(
  'ResNet-20 is fine-tuned, analysed, pruned, retrained, exported and read back',
  { skip: withoutSharedData() },
  async (t) => {
    const checkpoint = join(sharedData()!, 'checkpoints/pytorch/akamaster/resnet20-12fca82f.th');
    const cifar = join(sharedData()!, 'datasets/cifar10');
    const folder = temporaryFolder(t);
    const at = (name: string): string => join(folder, name);
    // Few test images, and as many to train on.
    const testRecords = readFileSync(join(cifar, 'test.bin')).subarray(0, TEST_SAMPLES * CIFAR_RECORD);
    writeFileSync(at('test.bin'), testRecords);
    writeFileSync(at('train.bin'), readFileSync(join(cifar, 'train.bin')).subarray(0, 128 * CIFAR_RECORD));
    const data = ['--data', folder, ...PREPARED];

    const trained = await answer<TrainResult>(
      ...['train', checkpoint, ...data, '-o', at('tuned.onnx')],
      ...['--epochs', '2', '--batch', '32', '--rate', '0.01', '--l1', '1e-4'],
    );
    assert.equal(trained.weights, 268_336);
    assert.ok(trained.epochs.at(-1)!.score!.correct >= 80, `${trained.epochs.at(-1)!.score!.correct} correct`);

    const analysis = await answer<AnalysisResult>(
      ...['analyze', at('tuned.onnx'), ...data, '--split', 'train', '--samples', '16', '--batch', '16'],
      ...['--steps', '4', '--l1', '1e-4', '--measure', '--measure-on', 'test'],
    );
    const [accuracy] = analysis.measured[0]!.oneShot;
    assert.ok(accuracy!.sparsity > 0.1 && accuracy!.sparsity < 0.95, `pruned at once to ${accuracy!.sparsity}`);
    assert.equal(analysis.measured[0]!.points[0]!.correct, trained.epochs.at(-1)!.score!.correct);

    const sparsity = 0.5;
    const pruned = await answer<PruneResult>(
      ...['prune', at('tuned.onnx'), '--sparsity', String(sparsity), '-o', at('pruned.onnx')],
      ...['--mask', at('mask.npz'), ...data, '--split', 'test', '--samples', 'all'],
    );
    assert.ok(Math.abs(pruned.sparsity - sparsity) < 1e-4);

    const retrained = await answer<RetrainResult>(
      ...['retrain', at('tuned.onnx'), ...data, '-o', at('sparsest.onnx')],
      ...['--epochs', '1', '--batch', '32', '--rate', '0.01', '--tolerance', '0.2', '--epsilon', 'abs:0.1'],
    );
    assert.ok(retrained.limit!.interval[0] > 0 && retrained.limit!.interval[1] < 1);

    // Read back: by this program, and by onnxruntime alone.
    for (const [name, least] of [
      ['pruned.onnx', sparsity - 1e-4],
      ['sparsest.onnx', retrained.brackets[0]!.reached - 1e-9],
    ] as const) {
      const { layers } = await answer<CheckpointSummary>('inspect', at(name));
      const zeros = layers.reduce((sum, layer) => sum + layer.zeros!, 0);
      assert.ok(zeros / 268_336 >= least, `${zeros} zeros in ${name}`);
    }
    assert.equal(await correctByOnnxruntime(at('pruned.onnx'), testRecords), pruned.measured!.after.correct);
    assert.equal(await correctByOnnxruntime(at('sparsest.onnx'), testRecords), retrained.brackets[0]!.score!.correct);
  },
);
