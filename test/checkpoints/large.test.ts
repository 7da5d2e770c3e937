import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspectCheckpoint } from '../../server/src/checkpoint/inspect';
import { openCheckpoint } from '../../server/src/checkpoint/open';
import { temporaryFolder } from '../files';
import { COUNT, largeFiles, SMALL } from './large';

/** Files of ten gigabytes, of which next to nothing is read. */

for (const [format, make] of Object.entries(largeFiles)) {
  test(`a file of 10 GB is listed, and what is asked for is read: ${format}`, async (t) => {
    const path = make(temporaryFolder(t));
    const { tensors } = await inspectCheckpoint(path);
    assert.deepEqual(
      tensors.map(({ dtype, shape }) => [dtype, shape]),
      [
        ['float32', [COUNT / 4, 4]],
        ['float32', [SMALL.length]],
      ],
    );
    const [, small] = [...(await openCheckpoint(path)).tensors.values()];
    assert.deepEqual([...small!.read().values], SMALL);
  });
}
