import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CheckpointSummary } from '../../protocol/analysis';
import { temporaryFolder } from '../files';
import { floats, modelBytes, node } from '../onnx-models';
import { run } from './command';
import { assertMatches } from './schema';
import { tinyModel } from './subject';

test('the layers of a checkpoint are listed', async (t) => {
  const cwd = temporaryFolder(t, { 'net.onnx': tinyModel() });
  const { status, stdout, stderr } = await run(['inspect', 'net.onnx'], { cwd });
  assert.equal(stderr, '');
  assert.equal(status, 0);
  assert.equal(
    stdout,
    `net.onnx
ONNX, opset 17, written by test
235 parameters, 228 of them prunable in 2 layers
input   image  N×1×6×6
output  scores  N×3

layer        op    shape    dtype    weights  zeros
conv.weight  Conv  4×1×3×3  float32       36      0
fc.weight    Gemm  3×64     float32      192      0

operators  Conv 1, Flatten 1, Gemm 1, Relu 1
`,
  );
});

test('what cannot be analysed is listed all the same, and nothing in it speaks to the terminal', async (t) => {
  const broken = modelBytes({
    inputs: [['x', ['N', 2]]],
    outputs: ['nowhere'],
    nodes: [node('MatMul', ['x', 'w\x1b[2J'], ['a']), node('Mystery', ['a'], ['y'], {}, 'odd\u0007one', 'com.example')],
    tensors: [floats('w\x1b[2J', [2, 3], [0, 1, 0, NaN, Infinity, 2])],
  });
  const cwd = temporaryFolder(t, { 'broken.onnx': broken });
  const { status, stdout, stderr } = await run(['inspect', 'broken.onnx'], { cwd });
  assert.deepEqual([status, stderr], [0, '']);
  assert.equal(
    stdout,
    `broken.onnx
ONNX, opset 17, written by test
6 parameters, 6 of them prunable in 1 layer
input   x  N×2
output  nowhere  ?

layer  op      shape  dtype    weights  zeros  not finite
w�[2J  MatMul  2×3    float32        6      2           2

operators  MatMul 1, com.example.Mystery 1
cannot be analysed  com.example.Mystery, first used by odd�one
`,
  );
  const json = await run(['inspect', '--json', 'broken.onnx'], { cwd });
  assert.equal(json.status, 0);
  const summary = JSON.parse(json.stdout) as CheckpointSummary;
  assertMatches('summary', summary);
  assert.deepEqual(summary.unsupported, [{ op: 'com.example.Mystery', node: 'odd\u0007one' }]);
});

test('JSON is one line with an absolute path', async (t) => {
  const cwd = temporaryFolder(t, { 'net.onnx': tinyModel() });
  const { status, stdout, stderr } = await run(['inspect', '--json', 'net.onnx'], { cwd });
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, /^\{.*\}\n$/);
  const summary = JSON.parse(stdout) as CheckpointSummary;
  assertMatches('summary', summary);
  assert.equal(summary.checkpoint, join(cwd, 'net.onnx'));
});
