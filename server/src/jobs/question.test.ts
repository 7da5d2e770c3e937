import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { externalModel } from '../../../test/onnx-models';
import { DEFAULT_OPTIONS } from '../options';
import { Questions } from './question';

test('external data belong to the question, however large the file that names them is', async (t) => {
  const { model, data } = externalModel('net.bin');
  const folder = temporaryFolder(t, { 'net.onnx': model, 'net.bin': data, program: '', data: '' });
  const checkpoint = join(folder, 'net.onnx');
  const options = { ...DEFAULT_OPTIONS, data: { ...DEFAULT_OPTIONS.data, path: join(folder, 'data') } };
  for (const largest of [2 ** 30, model.length - 1]) {
    const questions = new Questions(join(folder, 'program'), largest);
    const key = await questions.key({ checkpoint, options });
    assert.ok(key !== null);
    assert.equal(await questions.key({ checkpoint, options }), key);
    writeFileSync(join(folder, 'net.bin'), Buffer.from(data).reverse());
    assert.notEqual(await questions.key({ checkpoint, options }), key, `content up to ${largest} bytes`);
    writeFileSync(join(folder, 'net.bin'), data);
  }
});
