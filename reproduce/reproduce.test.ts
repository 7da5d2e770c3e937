import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parseCommand } from '../server/src/cli/arguments';
import { openDataset } from '../server/src/dataset/open';
import { idxBytes, temporaryFolder } from '../test/files';
import { tinyModel } from '../test/cli/subject';
import { projectRoot } from '../test/outside';
import { dataFolder } from './data';
import { fillIn, readRows, tablesOf } from './document';
import { CLAIMS, EXPERIMENTS } from './experiments';
import { rankCorrelation } from './prediction';
import { commandsOf } from './row';
import { Steps } from './steps';

test('the tables of the document are made from the rows beside it', () => {
  const document = readFileSync(join(projectRoot(), 'docs/reproduction.md'), 'utf8');
  const rows = readRows(join(projectRoot(), 'docs/reproduction'));
  assert.equal(fillIn(document, tablesOf(rows)), document, 'npm run reproduce -- table');
});

test('the commands of every preset are commands', () => {
  for (const [name, experiment] of Object.entries(EXPERIMENTS)) {
    for (const settings of Object.values(experiment.presets)) {
      const place = { data: 'data', dataRoot: 'root', folder: 'work', threads: 1 };
      const { train, analyze, retrain } = commandsOf(1, experiment, settings, place);
      for (const command of [train, analyze, retrain]) {
        assert.equal(parseCommand(command).kind, command[0], `${name}: ${command.join(' ')}`);
      }
    }
  }
});

test('claims are about experiments that there are', () => {
  for (const { experiments } of Object.values(CLAIMS)) {
    for (const name of experiments) assert.ok(EXPERIMENTS[name]?.presets.small, name);
  }
});

test('a step is made once, and another one is not taken for it', (t) => {
  const folder = temporaryFolder(t, { 'net.onnx': tinyModel() });
  const net = join(folder, 'net.onnx');
  const steps = new Steps(projectRoot(), join(folder, 'steps'));
  const first = steps.run<{ checkpoint: string }>('look', ['inspect', net]);
  assert.equal(first.result.checkpoint, net);
  assert.equal(first.command, `pruning-limit inspect ${net}`);
  assert.deepEqual(steps.run('look', ['inspect', net]), first);
  assert.throws(() => steps.run('look', ['inspect', `${net}2`]), /another look: .* remove .* to begin anew/);
});

test('a step that fails leaves nothing', (t) => {
  const folder = temporaryFolder(t);
  const steps = new Steps(projectRoot(), join(folder, 'steps'));
  assert.throws(
    () => steps.run('look', ['inspect', join(folder, 'no.onnx')]),
    /inspect .*no\.onnx: ended with status 2/,
  );
  assert.ok(!existsSync(steps.path('look.json')));
});

test('test images alone are cut in two', async (t) => {
  const count = 1003;
  const pixels = Array.from({ length: 4 * count }, (_, i) => i % 251);
  const labels = Array.from({ length: count }, (_, i) => i % 10);
  const folder = temporaryFolder(t, {
    'set/t10k-images-idx3-ubyte.gz': gzipSync(idxBytes(0x08, [count, 2, 2], pixels)),
    'set/t10k-labels-idx1-ubyte.gz': gzipSync(idxBytes(0x08, [count], labels)),
  });
  const made = dataFolder(join(folder, 'set'), join(folder, 'made'));
  const whole = await openDataset(join(folder, 'set'), 'test');
  const [train, held] = [await openDataset(made, 'train'), await openDataset(made, 'test')];
  assert.deepEqual([train.count, held.count], [3, 1000]);
  assert.deepEqual([...train.labels, ...held.labels], [...whole.labels]);
  assert.deepEqual([...train.values, ...held.values], [...whole.values]);
  assert.equal(dataFolder(made, join(folder, 'again')), made);
});

test('rank correlation: of the order alone, ties share their rank', () => {
  assert.equal(rankCorrelation([1, 2, 3, 4], [10, 20, 30, 1e6]), 1);
  assert.equal(rankCorrelation([1, 2, 3, 4], [4, 3, 2, 1]), -1);
  // Ranks 1, 2½, 2½, 4 and 1, 2, 3, 4: 4½/√(4½ · 5).
  assert.ok(Math.abs(rankCorrelation([1, 2, 2, 3], [1, 2, 3, 4]) - 4.5 / Math.sqrt(4.5 * 5)) < 1e-12);
});
