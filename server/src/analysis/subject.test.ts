import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tinyData, tinySubject } from '../../../test/cli/subject';
import { DEFAULT_OPTIONS } from '../options';
import { MemoryGuard } from './memory';
import { openSubject } from './subject';

test('an analysis rests on its test samples too', async (t) => {
  const files = Object.entries(tinyData()).map(([name, bytes]) => [`test/${name}`, bytes] as const);
  const folder = tinySubject(t, Object.fromEntries(files));
  const options = {
    ...DEFAULT_OPTIONS,
    data: { ...DEFAULT_OPTIONS.data, path: join(folder, 'data') },
    measure: { on: 'test', samples: 'all', testData: join(folder, 'test') },
  } as const;
  const { inputs } = await openSubject({ checkpoint: join(folder, 'net.onnx'), options }, new MemoryGuard(0));
  assert.equal(await inputs.changed(), null);
  const changed = join(folder, 'test', 't10k-images-idx3-ubyte');
  appendFileSync(changed, 'x');
  assert.deepEqual(await inputs.changed(), { path: changed, gone: false });
});
