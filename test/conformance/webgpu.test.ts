import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { test } from 'node:test';
import { projectRoot } from '../outside';

interface Row {
  readonly name: string;
  readonly error?: number;
  readonly failure?: string;
}

/** In a process of its own: the device is chosen by its environment, and a driver may end it. */
test('the WebGPU provider passes the conformance suite', async (t) => {
  const { softwareVulkan } = (await import(pathToFileURL(join(projectRoot(), 'scripts/vulkan.mjs')).href)) as {
    softwareVulkan(): { variables: Record<string, string> | null; note: string };
  };
  const { variables, note } = softwareVulkan();
  if (variables === null) return t.skip(note);
  t.diagnostic(note);
  const script = join(projectRoot(), 'out/test/conformance/conformance.script.cjs');
  const child = spawn(process.execPath, [script, '--provider', 'webgpu', '--json', '--light'], {
    env: { ...process.env, ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [answer, complaints] = await Promise.all([text(child.stdout), text(child.stderr)]);
  assert.notEqual(answer, '', `no answer: ${complaints.slice(-500)}`);
  const { rows } = JSON.parse(answer.slice(answer.indexOf('{"provider"'))) as { rows: Row[] };
  assert.ok(rows.filter(({ error }) => error !== undefined).length > 40, `${rows.length} cases`);
  for (const { name, failure } of rows) {
    await t.test(name, () => assert.equal(failure, undefined));
  }
});
