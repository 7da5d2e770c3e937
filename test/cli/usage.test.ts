import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../outside';
import { COMMAND, run } from './command';
import { tinySubject } from './subject';

test('help and version go to standard output with status 0', async () => {
  for (const args of [[], ['--help'], ['-h'], ['help']]) {
    const { status, stdout, stderr } = await run(args);
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, /^Usage: pruning-limit COMMAND/);
  }
  for (const [command, usage] of [
    ['inspect', /^Usage: pruning-limit inspect FILE/],
    ['analyze', /^Usage: pruning-limit analyze FILE --data PATH/],
    ['prune', /^Usage: pruning-limit prune FILE \(--at-limit \| --sparsity S\) -o OUT/],
  ] as const) {
    for (const args of [
      [command, '--help'],
      ['help', command],
    ]) {
      const { status, stdout, stderr } = await run(args);
      assert.deepEqual([status, stderr], [0, '']);
      assert.match(stdout, usage);
      const long = stdout.split('\n').filter((line) => line.length > 80);
      assert.deepEqual(long, [], 'fits 80 columns');
    }
  }
  const manifest = JSON.parse(readFileSync(join(projectRoot(), 'package.json'), 'utf8')) as { version: string };
  assert.equal((await run(['--version'])).stdout, `pruning-limit ${manifest.version}\n`);
});

test('a reader that goes early is no failure', { skip: process.platform === 'win32' && 'needs a shell' }, (t) => {
  const cwd = tinySubject(t);
  const shell = (command: string): string => {
    const { stdout, stderr } = spawnSync('bash', ['-c', `set -o pipefail; ${command}; echo " $?" >&2`], {
      cwd,
      encoding: 'utf8',
      env: { ...process.env, NODE: process.execPath, COMMAND },
    });
    assert.ok(stdout.length <= 10);
    return stderr;
  };
  assert.equal(shell('"$NODE" "$COMMAND" inspect net.onnx --json | head -c 10'), ' 0\n');
  // Nobody reads from the start.
  assert.equal(shell('"$NODE" "$COMMAND" inspect net.onnx | true'), ' 0\n');
  assert.equal(shell('"$NODE" "$COMMAND" analyze net.onnx --data data --steps 0 2>/dev/null | head -c 10'), ' 0\n');
  // Neither progress nor result has an audience.
  assert.equal(shell('"$NODE" "$COMMAND" analyze net.onnx --data data --steps 0 2>&1 | head -c 10'), ' 0\n');
});
