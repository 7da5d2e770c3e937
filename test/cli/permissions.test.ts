import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { COMMAND, run } from './command';
import { tinySubject } from './subject';

/** Root may read and write everything: the command then runs as nobody. */
const NOBODY = 65_534;
const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};

function withoutPermissions(): string | false {
  if (process.platform === 'win32') return 'needs file modes';
  const { status } = spawnSync(process.execPath, [COMMAND, '--version'], user);
  return status === 0 ? false : 'needs a user without rights who may run the command';
}

describe('without permission', { skip: withoutPermissions() }, () => {
  for (const [what, closed, mode, args, says] of [
    [
      'a checkpoint',
      'net.onnx',
      0o000,
      ['analyze', 'net.onnx', '--data', 'data'],
      /^pruning-limit: file not readable: net\.onnx; .*EACCES/m,
    ],
    [
      'data',
      'data/t10k-images-idx3-ubyte',
      0o000,
      ['analyze', 'net.onnx', '--data', 'data'],
      /^pruning-limit: data not readable: data\/t10k-images-idx3-ubyte \(EACCES\); check the file and its permissions$/m,
    ],
    [
      'the folder of the report',
      'closed',
      0o555,
      ['analyze', 'net.onnx', '--data', 'data', '--report', 'closed/out.html'],
      /^pruning-limit: file not written: closed\/out\.html \(EACCES\); choose another place$/m,
    ],
  ] as const) {
    it(`${what} is one sentence and status 2`, async (t) => {
      const cwd = tinySubject(t);
      mkdirSync(join(cwd, 'closed'));
      chmodSync(cwd, 0o755);
      chmodSync(join(cwd, closed), mode);
      const { status, stdout, stderr } = await run(args, { cwd, ...user });
      assert.match(stderr, says);
      assert.deepEqual([status, stdout], [2, '']);
      assert.doesNotMatch(stderr, /^\s+at /m);
      assert.deepEqual(readdirSync(join(cwd, 'closed')), []);
    });
  }
});
