// npm run onnx-tests -- DIR [--reference] [--json]
// Runs ONNX's own operator tests (the node tests of its backend test suite)
// through the importer and the engine; see test/conformance/onnx-tests.script.ts.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildTests, root } from './build.mjs';

await buildTests();
const script = join(root, 'out/test/conformance/onnx-tests.script.cjs');
const { status } = spawnSync(process.execPath, [script, ...process.argv.slice(2)], { stdio: 'inherit' });
process.exitCode = status ?? 1;
