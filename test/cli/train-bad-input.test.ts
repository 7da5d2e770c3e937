import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { npyBytes, zipBytes } from '../files';
import { COMMAND, run } from './command';
import { trainSubject } from './train-subject';

const TRAIN = ['train', 'net.onnx', '--data', 'data', '-o', 'out.onnx', '--epochs', '2', '--threads', '1'];

/** Options that replace those of `TRAIN` or are added, and the one sentence they earn. */
const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['output is the input', ['-o', 'net.onnx', '--force'], /file is an input: net\.onnx; choose another place/],
  ['output is a folder', ['-o', 'data'], /folder, not a file: data/],
  ['folder of the output missing', ['-o', 'no/out.onnx'], /folder not found: no/],
  ['sparsity above 1', ['--target-sparsity', '1.5'], /--target-sparsity out of range: 1\.5; give 0 to 1/],
  ['sparsity of 1', ['--target-sparsity', '1'], /--target-sparsity out of range: 1; give a fraction between 0 and 1/],
  ['search and penalty', ['--target-sparsity', '0.9', '--l1', '1'], /the search chooses the penalty/],
  ['negative rate', ['--rate=-1'], /--rate out of range: -1/],
  ['milestones without multistep', ['--milestones', '1'], /--milestones and --factor go with --schedule multistep/],
  ['multistep without milestones', ['--schedule', 'multistep'], /needs --milestones/],
  ['milestone after the end', ['--schedule', 'multistep', '--milestones', '5'], /milestone out of range: 5/],
  ['no zeros to mask', ['--mask', 'zeros'], /no zero among the prunable weights of net\.onnx; prune it first/],
  ['mask missing', ['--mask', 'no.npz'], /mask not readable: no\.npz \(ENOENT\)/],
  [
    'mask of another network',
    ['--mask', 'other.npz'],
    /mask of an unknown layer: w \(other\.npz\); net\.onnx has conv/,
  ],
  [
    'checkpoint and architecture',
    ['--architecture', 'fc5'],
    /graph known: net\.onnx holds its own; leave out --architecture/,
  ],
  ['data missing', ['--data', 'nowhere'], /data not found: nowhere/],
];

describe('train refuses', () => {
  for (const [name, args, message] of refused) {
    it(`${name}, and writes nothing`, async (t) => {
      const cwd = trainSubject(t);
      const other = npyBytes('|b1', [2], [1, 0]);
      writeFileSync(join(cwd, 'other.npz'), zipBytes([{ name: 'w.npy', content: other }]));
      const before = readFileSync(join(cwd, 'net.onnx'));
      const { status, stdout, stderr } = await run([...TRAIN, ...args], { cwd });
      assert.deepEqual([status, stdout], [2, ''], stderr);
      assert.match(stderr, message);
      assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
      assert.deepEqual(readFileSync(join(cwd, 'net.onnx')), before);
      assert.ok(!existsSync(join(cwd, 'out.onnx')) && !existsSync(join(cwd, 'out.onnx.resume')));
    });
  }

  it('an unknown architecture, and says which are known', async (t) => {
    const args = ['train', '--architecture', 'gpt', '--data', 'data', '-o', 'out.onnx'];
    const { status, stderr } = await run(args, { cwd: trainSubject(t) });
    assert.equal(status, 2);
    assert.match(stderr, /unknown architecture: gpt; known are fc5, fc12, lenet, .*, fc-N-N-/);
  });

  it('data without the asked split', async (t) => {
    const cwd = trainSubject(t);
    for (const name of ['images-idx3', 'labels-idx1']) rmSync(join(cwd, `data/t10k-${name}-ubyte`));
    const { status, stderr } = await run(TRAIN, { cwd });
    assert.equal(status, 2);
    assert.match(stderr, /split not found: test in data.*or train without it: --evaluate none/);
    const without = await run([...TRAIN, '--evaluate', 'none'], { cwd });
    assert.equal(without.status, 0, without.stderr);
  });

  it('to replace a file, or a training that was begun, unless told to', async (t) => {
    const cwd = trainSubject(t);
    writeFileSync(join(cwd, 'out.onnx'), 'precious');
    for (const more of [[], ['--resume']]) {
      const { status, stderr } = await run([...TRAIN, ...more], { cwd });
      assert.equal(status, 2);
      assert.match(stderr, more.length > 0 ? /nothing to go on with: out\.onnx is there/ : /file exists: out\.onnx/);
      assert.equal(readFileSync(join(cwd, 'out.onnx'), 'utf8'), 'precious');
    }
    assert.equal((await run([...TRAIN, '--force'], { cwd })).status, 0);
  });
});

/** The rate grows until it is too large, in the second epoch. */
const DIVERGING = '--epochs 40 --warmup 40 --rate 1e4 --batch 16 --weight-decay 0.01'.split(' ');

describe('a training that fails', () => {
  it('by divergence names the step and keeps the last good checkpoint', async (t) => {
    const cwd = trainSubject(t);
    const { status, stderr } = await run([...TRAIN, ...DIVERGING], { cwd });
    assert.equal(status, 1);
    const [, epoch, kept] =
      /training diverged: .* step \d+ of epoch (\d+); the checkpoint of epoch (\d+) is kept in out\.onnx, lower the learning rate\n$/.exec(
        stderr,
      ) ?? assert.fail(stderr);
    assert.equal(Number(epoch), Number(kept) + 1);
    const check = await run(['analyze', 'out.onnx', '--data', 'data', '--steps', '0'], { cwd });
    assert.equal(check.status, 0, check.stderr);
  });

  it('by a state that was damaged says so', async (t) => {
    const cwd = trainSubject(t);
    writeFileSync(join(cwd, 'out.onnx.resume'), 'pruning-limit training 1\nnonsense');
    const { status, stderr } = await run([...TRAIN, '--resume'], { cwd });
    assert.equal(status, 2);
    assert.match(stderr, /state of the training damaged: out\.onnx\.resume; remove it, or give --force/);
  });

  it('by a full disk says so and leaves what was there', { skip: process.platform !== 'linux' }, (t) => {
    const cwd = trainSubject(t);
    writeFileSync(join(cwd, 'out.onnx'), 'precious');
    // A limit on the size of files stands for the disk: 1 block of 512 or 1024 bytes.
    const quoted = [process.execPath, COMMAND, ...TRAIN, '--force'].map((word) => `'${word}'`).join(' ');
    const shell = `trap '' XFSZ; ulimit -f 1; exec ${quoted}`;
    const { status, stderr } = spawnSync('sh', ['-c', shell], { cwd, encoding: 'utf8' });
    assert.equal(status, 2, stderr);
    assert.match(stderr, /file not written: out\.onnx\.resume \(EFBIG\)/);
    assert.equal(readFileSync(join(cwd, 'out.onnx'), 'utf8'), 'precious');
  });

  it('by other options than it was begun with names them', async (t) => {
    const cwd = trainSubject(t);
    // Ends in the second epoch; the state of the first is there.
    await run([...TRAIN, ...DIVERGING], { cwd });
    const { status, stderr } = await run([...TRAIN, '--resume', '--rate', '0.1', '--batch', '16'], { cwd });
    assert.equal(status, 2);
    assert.match(stderr, /another training: out\.onnx\.resume differs in --epochs \(40 then, 2 now\)/);
  });
});
