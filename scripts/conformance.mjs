// npm run conformance -- [--provider NAME] [--threads N] [--light] [--large] [--limits] [--modules DIR] [--json]
// Holds an engine to its definition, operator by operator, and to PyTorch's
// gradients and products of whole networks; see test/conformance.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root, setUp } from './setup.mjs';
import { softwareVulkan } from './vulkan.mjs';

setUp();
const { buildTests } = await import('./build.mjs');
await buildTests();
const args = process.argv.slice(2);
let env = process.env;
if (args.includes('webgpu') && process.platform === 'linux') {
  const { variables, note } = softwareVulkan();
  env = { ...process.env, ...variables };
  console.error(note);
}
const script = join(root, 'out/test/conformance/conformance.script.cjs');
const { status } = spawnSync(process.execPath, [script, ...args], { stdio: 'inherit', env });
process.exitCode = status ?? 1;
