import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { checkIdentity, readState, writeState, type TrainingState } from './state';

const state: TrainingState = {
  identity: { '--rate': 0.1, engine: 'x 1' },
  records: [{ epoch: 1, loss: 0.5, score: { loss: 0.6, correct: 3, total: 4 }, nearZero: 0.25, limit: null }],
  values: new Map([
    ['w', Float32Array.of(1, -0, 1e-42, Infinity)],
    ['b', Float32Array.of(0.1)],
  ]),
  velocities: new Map([['w', Float32Array.of(5, 6, 7, 8)]]),
};

test('a state is read as it was written, to the bit', async (t) => {
  const path = join(temporaryFolder(t), 'state');
  assert.equal(await readState(path), null);
  await writeState(path, state);
  assert.deepEqual(await readState(path), state);
});

test('any damage is noticed', async (t) => {
  const path = join(temporaryFolder(t), 'state');
  await writeState(path, state);
  const bytes = readFileSync(path);
  for (let at = 0; at < bytes.length; at += 7) {
    const damaged = Buffer.from(bytes);
    damaged[at]! ^= 4;
    writeFileSync(path, damaged);
    await assert.rejects(readState(path), { name: 'InputError', message: /damaged: .*state; remove it/ }, `byte ${at}`);
  }
  for (const length of [0, 10, 90, bytes.length - 1]) {
    writeFileSync(path, bytes.subarray(0, length));
    await assert.rejects(readState(path), { name: 'InputError' }, `${length} bytes`);
  }
});

test('another training is told by what differs', () => {
  checkIdentity({ '--rate': 0.1 }, { '--rate': 0.1 }, 'state');
  const differs = (then: object, now: object, message: RegExp): void =>
    assert.throws(() => checkIdentity(then as Record<string, number>, now as Record<string, number>, 'state'), {
      name: 'InputError',
      message,
    });
  differs({ '--rate': 0.1 }, { '--rate': 0.2 }, /state differs in --rate \(0\.1 then, 0\.2 now\)/);
  differs({}, { '--l1': 1 }, /differs in --l1 \(nothing then, 1 now\)/);
  differs({ data: 'a'.repeat(64) }, { data: 'b'.repeat(64) }, /differs in data \(it has changed since\)/);
});
