// npm run bench:editor [-- server|host]: how fast the extension answers and what it holds, in the
// language server under a plain client and in the extension host of a real VS
// Code. Without the means for one, it says so and leaves that half out.
import { spawnSync } from 'node:child_process';
import { root, setUp } from './setup.mjs';

setUp();
const { buildProduct, buildTests } = await import('./build.mjs');
await buildProduct();
await buildTests();
const { buildForEditor } = await import('./test-editor.mjs');
await buildForEditor([{ in: 'test/extension/bench.suite.ts', out: 'suite/bench' }]);
const { installRig } = await import('./vscode-rig.mjs');
let env = process.env;
try {
  env = { ...env, PRUNING_LIMIT_RIG_PATHS: JSON.stringify(installRig()) };
} catch (error) {
  console.log(`without an editor: ${error.message}`);
}
const { status } = spawnSync(process.execPath, ['out/bench/editor.script.cjs', ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
  env,
});
process.exitCode = status ?? 1;
