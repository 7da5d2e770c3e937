import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DoctorReport } from '../../../protocol/doctor';
import { examineFolder } from './examine';
import { doctorText } from './text';

const report: DoctorReport = {
  version: '1.2.3',
  node: '20.20.0',
  editor: 'Editor 1.100',
  system: 'Linux 6 x64',
  processor: 'Some | Processor',
  threads: 1,
  memory: { total: 8 * 2 ** 30, free: 2 ** 29, limit: 2 ** 30 },
  devices: [],
  providers: [
    {
      provider: 'cpu',
      available: true,
      engine: 'onnxruntime-node 1.30.0',
      devices: [],
      versions: [{ name: 'cuDNN', version: '' }],
      problem: null,
      seconds: 0.4,
    },
    { provider: 'cuda', available: false, engine: '', devices: [], versions: [], problem: 'no\nlibrary', seconds: 2 },
  ],
  automatic: { providers: [], reason: 'no GPU found' },
  settings: { memory: 0 },
  storage: [{ path: '/home/someone/runs', bytes: 1536, folders: 1, problem: null }],
};

test('the report is Markdown that keeps its tables whole and the user nameless', () => {
  const text = doctorText(report, '/home/someone');
  assert.match(text, /^# Pruning Limit 1\.2\.3\n/);
  assert.match(text, /^\| processor \| Some \\\| Processor, 1 thread \|$/m);
  assert.match(text, /^\| memory {4}\| 8\.0 GiB, 512\.0 MiB free, 1\.0 GiB allowed \|$/m);
  assert.match(text, /^\| cpu {2}\| works \| onnxruntime-node 1\.30\.0, cuDNN, ready in 1 s \|$/m);
  assert.match(text, /^\| cuda \| – {5}\| no library \|$/m);
  assert.match(text, /^`auto` takes the CPU: no GPU found\.$/m);
  assert.match(text, /^\| ~\/runs \| 1 run, 1\.5 KiB \| writable \|$/m);
  assert.doesNotMatch(text, /someone/);
});

test('what a terminal has nothing of is left out', () => {
  const text = doctorText({ ...report, editor: null, settings: {}, storage: [] }, '');
  assert.doesNotMatch(text, /editor|Settings|Storage/);
});

test('a folder of runs is counted and tried, one that is to come as well', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pruning-limit-doctor-'));
  try {
    mkdirSync(join(folder, 'a', 'b'), { recursive: true });
    writeFileSync(join(folder, 'a', 'b', 'file'), 'four');
    assert.deepEqual(await examineFolder(folder), { path: folder, bytes: 4, folders: 1, problem: null });
    const later = join(folder, 'not', 'yet');
    assert.deepEqual(await examineFolder(later), { path: later, bytes: 0, folders: 0, problem: null });
    const { problem } = await examineFolder('/proc/nothing');
    // Nobody writes there, whatever the rights.
    if (process.platform === 'linux' && process.getuid?.() !== 0) assert.match(problem!, /cannot be written to/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
