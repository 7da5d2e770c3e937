import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { checkPlaces } from './places';

const UUID = '0b2f6a4e-0f1b-4c39-9a1e-7b3c2d1e0f9a';
const OURS = [
  'seed-1-kept-114.onnx',
  'seed-1-kept-114.onnx.resume',
  'l1-0.00003.onnx',
  'l1-1e-7.onnx.resume',
  '.chosen.onnx',
  `.seed-2-kept-57.onnx.resume.${UUID}`,
];

const placesIn = (folder: string, more: { readonly resume?: boolean; readonly overwrite?: boolean } = {}) => ({
  output: join(folder, 'out.onnx'),
  inputs: [],
  state: join(folder, 'out.onnx.trials'),
  endKnown: false,
  resume: false,
  overwrite: false,
  ...more,
});

describe('the folder of trials', () => {
  it('goes when it is begun anew', async (t) => {
    const folder = temporaryFolder(t, Object.fromEntries(OURS.map((name) => [`out.onnx.trials/${name}`, ''])));
    await checkPlaces(placesIn(folder, { resume: true }));
    await assert.rejects(checkPlaces(placesIn(folder)), { name: 'InputError', message: /^training begun before: / });
    await checkPlaces(placesIn(folder, { overwrite: true }));
    assert.ok(!existsSync(join(folder, 'out.onnx.trials')));
  });

  for (const name of ['notes.txt', 'seed-1-kept-114.onnx.old', 'seed-1-kept-1.onnx/a', 'sub/seed-1-kept-114.onnx']) {
    it(`stays where it is one of somebody else, for ${name}`, async (t) => {
      const path = `out.onnx.trials/${name}`;
      const folder = temporaryFolder(t, { 'out.onnx.trials/seed-1-kept-114.onnx': '', [path]: 'precious' });
      for (const more of [{ overwrite: true }, { resume: true }, { resume: true, overwrite: true }]) {
        await assert.rejects(checkPlaces(placesIn(folder, more)), {
          name: 'InputError',
          message: /^folder of something else: .*out\.onnx\.trials holds .*; move it away/,
        });
      }
      assert.equal(readFileSync(join(folder, path), 'utf8'), 'precious');
    });
  }
});
