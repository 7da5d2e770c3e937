import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { CheckpointSummary } from '../../protocol/analysis';
import type { PruneResult } from '../../protocol/prune';
import Long from 'long';
import type { onnx } from '../../server/src/checkpoint/onnx/generated/onnx';
import { decodeModel } from '../../server/src/checkpoint/onnx/reader';
import { floats, modelBytes, node, ramp, type ModelParts } from '../onnx-models';
import { run } from './command';
import { trainSubject } from './train-subject';

/** Networks of two products whose second stands in a branch, or in a function. */

const graph = (nodes: onnx.INodeProto[], initializer: onnx.ITensorProto[]): { graph: onnx.IGraphProto } => ({
  graph: { name: 'g', node: nodes, output: [{ name: 't' }], initializer },
});
const always: onnx.ITensorProto = { name: 'always', dataType: 9, int32Data: [1] };
const second = ramp('second', [4, 3]);

function network(last: onnx.INodeProto, more: Partial<ModelParts> = {}): Uint8Array {
  return modelBytes({
    inputs: [['image', ['N', 1, 6, 6]]],
    outputs: [['scores', ['N', 3]]],
    nodes: [node('Flatten', ['image'], ['f']), node('MatMul', ['f', 'first'], ['a']), node('Relu', ['a'], ['h']), last],
    functions: more.functions ?? [],
    tensors: [ramp('first', [36, 4]), always, ...(more.tensors ?? [])],
  });
}

const conditional = (taken: onnx.ITensorProto[]): onnx.INodeProto =>
  node('If', ['always'], ['scores'], {
    then_branch: graph([node('MatMul', ['h', 'second'], ['t'])], taken),
    else_branch: graph(
      [node('MatMul', ['h', 'other'], ['t'])],
      [floats('other', [4, 3], new Array<number>(12).fill(1))],
    ),
  });

const inBranch = network(conditional([second]));
const aroundBranch = network(conditional([]), { tensors: [second] });
const inFunction = network(node('Block', ['h'], ['scores'], {}, 'block', 'local'), {
  functions: [
    {
      domain: 'local',
      name: 'Block',
      input: ['a'],
      output: ['r'],
      opsetImport: [{ domain: '', version: Long.fromNumber(17) }],
      node: [node('Constant', [], ['second'], { value: { tensor: second } }), node('MatMul', ['a', 'second'], ['r'])],
    },
  ],
});

for (const [where, model, name] of [
  ['a branch', inBranch, 'second'],
  ['a function', inFunction, 'block/1/second'],
] as const) {
  describe(`weights in ${where}`, () => {
    it('are listed and analysed', async (t) => {
      const cwd = trainSubject(t);
      writeFileSync(join(cwd, 'net.onnx'), model);
      const listed = await run(['inspect', 'net.onnx', '--json'], { cwd });
      assert.equal(listed.status, 0, listed.stderr);
      const { layers } = JSON.parse(listed.stdout) as CheckpointSummary;
      assert.ok(layers.some((layer) => layer.name === name && layer.weights === 12));
      const analyzed = await run(['analyze', 'net.onnx', '--data', 'data', '--steps', '0', '--threads', '1'], { cwd });
      assert.equal(analyzed.status, 0, analyzed.stderr);
    });

    it('are not written, which is said before any work', async (t) => {
      const cwd = trainSubject(t);
      writeFileSync(join(cwd, 'net.onnx'), model);
      const before = readdirSync(cwd);
      for (const args of [
        ['prune', '--sparsity', '0.5'],
        ['prune', '--sparsity', '0.5', '--data', 'data'],
        ['prune', '--at-limit', '--data', 'data'],
        ['train', '--data', 'data', '--epochs', '1'],
      ]) {
        const [command, ...options] = args as [string, ...string[]];
        const { status, stderr } = await run([command, 'net.onnx', '-o', 'out.onnx', '--threads', '1', ...options], {
          cwd,
        });
        assert.equal(status, 2, `${args.join(' ')}: ${stderr}`);
        assert.ok(stderr.includes(`weights out of reach: ${name} lies in a branch or a function (net.onnx)`), stderr);
        assert.doesNotMatch(stderr, /choosing weights|Lanczos|epoch/);
        assert.deepEqual(readdirSync(cwd), before);
      }
    });
  });
}

it('weights around a branch are written, though it uses them alone', async (t) => {
  const cwd = trainSubject(t);
  writeFileSync(join(cwd, 'net.onnx'), aroundBranch);
  const args = ['net.onnx', '-o', 'out.onnx', '--sparsity', '0.5', '--data', 'data', '--threads', '1', '--json'];
  const { status, stdout, stderr } = await run(['prune', ...args], { cwd });
  assert.equal(status, 0, stderr);
  const { layers } = JSON.parse(stdout) as PruneResult;
  assert.deepEqual(
    layers.map((layer) => layer.name),
    ['first', 'second'],
  );
  const { values } = decodeModel(readFileSync(join(cwd, 'out.onnx')), 'out.onnx')
    .tensors.get('second')!
    .read();
  assert.equal(Array.from(values).filter((w) => w !== 0).length, layers[1]!.kept);
  assert.ok(layers[1]!.kept < 12);
});
