import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { projectRoot } from '../../../../test/outside';
import { AnalysisError, InputError } from '../../errors';
import { findTensorFlow } from './find';
import { explainInstall, installTensorFlow } from './install';

/** What npm 10 printed where the host of the library was unknown. */
const UNREACHABLE = `npm error code 1
npm error command sh -c node scripts/install.js
npm error https://storage.googleapis.com/tensorflow/libtensorflow/libtensorflow-cpu-linux-x86_64-2.9.1.tar.gz
npm error Error: getaddrinfo ENOTFOUND storage.googleapis.com`;

describe('why TensorFlow.js could not be installed', () => {
  for (const [output, expected] of [
    [UNREACHABLE, /host of its library \(storage\.googleapis\.com\) cannot be reached.*--modules.*--python/],
    ['npm error code ENOTFOUND\nnpm error network request failed', /^the npm registry cannot be reached/],
    ['npm error code EACCES\nnpm error path /opt', /cannot be written to; choose another one/],
    ['npm error code ENOSPC', /disk is full/],
    [
      'npm error gyp ERR! find Python\nnpm error node-gyp',
      /no ready-made binding for Node .*use Node 20 or 22.*--python/,
    ],
    ['npm error Error: strange', /npm ended with status 1: Error: strange/],
  ] as const) {
    it(output.split('\n').at(-1)!, () => assert.match(explainInstall(1, output), expected));
  }
  it('no npm', () => assert.match(explainInstall(null, ''), /npm was not found; install Node\.js/));
});

describe(
  'installing TensorFlow.js',
  { skip: process.platform === 'win32' && 'the npm of these tests is a script' },
  () => {
    let root: string;
    let folder: string;
    const path = process.env['PATH'];
    beforeEach(() => {
      root = mkdtempSync(join(tmpdir(), 'tfjs-'));
      folder = join(root, 'deep', 'tensorflow');
    });
    afterEach(() => {
      process.env['PATH'] = path;
      rmSync(root, { recursive: true, force: true });
    });

    /** An npm that does this in the folder where it is to install. */
    const withNpm = (script: string): void => {
      const bin = join(root, 'bin');
      mkdirSync(bin, { recursive: true });
      writeFileSync(join(bin, 'npm'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      process.env['PATH'] = `${bin}${delimiter}${path}`;
    };
    const modules = join(projectRoot(), 'node_modules');
    /** A package that is TensorFlow.js in plain JavaScript under the name of the binding. */
    const works = `mkdir -p node_modules/@tensorflow/tfjs-node && cd node_modules/@tensorflow/tfjs-node
echo '{"name":"@tensorflow/tfjs-node","version":"4.22.0"}' > package.json
echo 'module.exports = require("${modules}/@tensorflow/tfjs-core"); require("${modules}/@tensorflow/tfjs-backend-cpu");' > index.js`;
    const install = (): Promise<string> => installTensorFlow({ folder, gpu: false, onOutput: () => undefined });

    it('is found where it was installed', async () => {
      withNpm(works);
      assert.equal(await install(), '@tensorflow/tfjs-node');
      const { name, version, tf } = await findTensorFlow([folder]);
      assert.deepEqual([name, version], ['@tensorflow/tfjs-node', '4.22.0']);
      assert.equal(tf.getBackend(), 'cpu');
      assert.deepEqual(readdirSync(join(root, 'deep')), ['tensorflow']);
    });

    it('leaves nothing when it fails, and what there was', async () => {
      withNpm(`touch node_modules; echo 'Error: getaddrinfo ENOTFOUND host scripts/install.js' >&2; exit 1`);
      await assert.rejects(
        install(),
        (error) => error instanceof AnalysisError && /host of its library/.test(error.message),
      );
      assert.deepEqual(readdirSync(join(root, 'deep')), []);
      withNpm(works);
      await install();
      withNpm('exit 1');
      await assert.rejects(install());
      assert.ok(existsSync(join(folder, 'node_modules/@tensorflow/tfjs-node/index.js')));
    });

    it('touches no folder of somebody else', async () => {
      withNpm(works);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'package.json'), '{ "name": "mine" }');
      await assert.rejects(install(), (error) => error instanceof InputError && /not empty/.test(error.message));
      assert.deepEqual(readdirSync(folder), ['package.json']);
    });

    it('touches no folder of somebody else beside it, and cleans up after one that was killed', async () => {
      withNpm(works);
      const stage = `${folder}.partial`;
      mkdirSync(join(stage, 'thesis'), { recursive: true });
      writeFileSync(join(stage, 'thesis/chapter.tex'), 'years of work');
      await assert.rejects(install(), (error) => error instanceof InputError && error.message.startsWith(stage));
      assert.equal(readFileSync(join(stage, 'thesis/chapter.tex'), 'utf8'), 'years of work');
      rmSync(stage, { recursive: true });
      mkdirSync(stage);
      writeFileSync(join(stage, 'package.json'), '{"name":"pruning-limit-tensorflow","private":true}\n');
      writeFileSync(join(stage, 'half'), '');
      await install();
      assert.deepEqual(readdirSync(join(root, 'deep')), ['tensorflow']);
      assert.ok(!existsSync(join(folder, 'half')));
    });

    it('says what a Python lacks that cannot build it', async () => {
      withNpm(works);
      const building = installTensorFlow({ folder, gpu: false, python: 'no-such-python', onOutput: () => undefined });
      await assert.rejects(building, /no-such-python has no TensorFlow with a C\+\+ library/);
      assert.equal(existsSync(folder), false);
    });
  },
);
