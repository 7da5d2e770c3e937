import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROVIDERS } from '../../protocol/analysis';
import type { DoctorReport } from '../../protocol/doctor';
import { run } from './command';

test('doctor tries every provider and says why one is missing', async () => {
  const { status, stdout, stderr } = await run(['doctor', '--json']);
  assert.deepEqual([status, stderr], [0, '']);
  const report = JSON.parse(stdout) as DoctorReport;
  assert.deepEqual(
    report.providers.map(({ provider }) => provider),
    PROVIDERS,
  );
  for (const { provider, available, engine, problem } of report.providers) {
    assert.equal(problem === null, available, provider);
    if (available) assert.match(engine, /^\S+ \d+\.\d+/);
  }
  const of = (name: string) => report.providers.find(({ provider }) => provider === name)!;
  assert.equal(of('cpu').available, true);
  assert.equal(of(process.platform === 'win32' ? 'coreml' : 'dml').available, false);
  assert.equal(report.node, process.versions.node);
  assert.ok(report.threads > 0 && report.memory.total > report.memory.free);
});

test('doctor says the same for people, and refuses a file', async () => {
  const { status, stdout } = await run(['doctor']);
  assert.equal(status, 0);
  assert.match(stdout, /^# Pruning Limit \d/);
  assert.match(stdout, /^\| cpu +\| works \| onnxruntime-node /m);
  const refused = await run(['doctor', 'model.onnx']);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /^pruning-limit: doctor takes no file, not model\.onnx\n$/);
});
