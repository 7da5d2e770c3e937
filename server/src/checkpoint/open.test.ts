import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { sharedData, withoutSharedData } from '../../../test/outside';
import { modelBytes, node } from '../../../test/onnx-models';
import { InputError } from '../errors';
import type { NetworkFile } from './checkpoint';
import { importGraph } from './onnx/import';
import { openCheckpoint } from './open';

const model = modelBytes({ inputs: [['x', [1]]], outputs: ['y'], nodes: [node('Relu', ['x'], ['y'])] });

test('the content decides, not the name', async (t) => {
  const folder = temporaryFolder(t, { 'weights.bin': model });
  assert.equal((await openCheckpoint(join(folder, 'weights.bin'))).format, 'ONNX');
});

const refusals: { name: string; content: Uint8Array | string; message: RegExp }[] = [
  { name: 'empty.onnx', content: '', message: /^file empty: .*empty\.onnx; copy or export it again$/ },
  { name: 'a.onnx', content: 'PK\x03\x04', message: /^archive damaged: .* has no zip directory/ },
  { name: 'a.pt', content: Buffer.from('80025d', 'hex'), message: /^file truncated: a\.pt ends before its data do/ },
  {
    name: 'a.h5',
    content: Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'),
    message: /^HDF5 file damaged/,
  },
  {
    name: 'a.safetensors',
    content: Buffer.from('\x10\0\0\0\0\0\0\0{"a":1}', 'latin1'),
    message: /^safetensors header length: 16 bytes in a file of 15/,
  },
  {
    name: 'model.json',
    content: '\n{"format": "layers-model"}',
    message: /^JSON unknown: .*model\.json; model\.json of TensorFlow\.js and/,
  },
  {
    name: 'notes.txt',
    content: 'hello, world',
    message: /^format unknown: .*notes\.txt; ONNX, PyTorch, safetensors, Keras and TensorFlow\.js files are read$/,
  },
];

for (const { name, content, message } of refusals) {
  test(`a file is refused by its content: ${name}`, async (t) => {
    const folder = temporaryFolder(t, { [name]: content });
    await assert.rejects(
      openCheckpoint(join(folder, name)),
      (error) => error instanceof InputError && message.test(error.message),
    );
  });
}

test('a missing file and a folder are told apart', async (t) => {
  const folder = temporaryFolder(t);
  await assert.rejects(
    openCheckpoint(join(folder, 'none.onnx')),
    /^InputError: file not found: .*none\.onnx; check the path$/,
  );
  await assert.rejects(
    openCheckpoint(folder),
    /^InputError: folder, not a file: .*; name the checkpoint file inside it$/,
  );
});

/** Files that cannot be imported as they are, and why; all others can. */
const expected: Readonly<Record<string, RegExp>> = {
  'external_data.onnx': /^external data missing: external_data\.bin/,
  'mixed_data.onnx': /^external data missing: mixed_data\.bin/,
  'multi_external_files.onnx': /^external data missing: multi_external_weights\.bin/,
  'mixed_rank_broadcasting.onnx': /^Add: shapes \[1, 3, 4, 4\] and \[1, 3\] do not broadcast \(node 2 "add_4d_2d"/,
  'noop_cast_different_type.onnx': /^Cast: conversion to int64 depends on data/,
  'opset_03.onnx': /^opset not supported: 3 with operator GRU/,
  'opset_09.onnx': /^unknown op: Acosh \(node 0 "acosh_node", opset_09\.onnx\)/,
  'opset_11.onnx': /^unknown op: ArgMax/,
  'opset_12.onnx': /^unknown op: ArgMax/,
  'opset_15.onnx': /^unknown op: Bernoulli/,
  'opset_16.onnx': /^unknown op: GridSample/,
  'opset_18.onnx': /^input type not supported: int32 \(input "bitwiseand_a"/,
  'opset_19.onnx': /^Cast: conversion to int32 depends on data/,
  'opset_20.onnx': /^unknown op: GridSample/,
  'opset_21.onnx': /^Cast: conversion to int32 depends on data/,
  'opset_22.onnx': /^unknown op: Acos/,
  'opset_23.onnx': /^Cast: conversion to int32 depends on data/,
  'unknown_rank_dynamic.onnx': /^input shape not fixed: \[N, C, H, W\]/,
};

test('every fixture is imported, or refused for the expected reason', { skip: withoutSharedData() }, async () => {
  const folder = join(sharedData()!, 'checkpoints/onnx/burn_fixtures');
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.onnx'))) {
    const reason = expected[name];
    const attempt = async (): Promise<unknown> =>
      importGraph((await openCheckpoint(join(folder, name))) as NetworkFile, { batch: 4 });
    if (reason === undefined) await attempt();
    else await assert.rejects(attempt(), (error) => error instanceof InputError && reason.test(error.message), name);
  }
});

test(
  'a pipe is refused at once, not waited for',
  { skip: process.platform === 'win32' && 'no pipes in folders here' },
  async (t) => {
    const pipe = join(temporaryFolder(t, {}), 'model.onnx');
    execFileSync('mkfifo', [pipe]);
    await assert.rejects(
      openCheckpoint(pipe),
      /^InputError: not a regular file: .*model\.onnx; name a checkpoint file$/,
    );
  },
);
