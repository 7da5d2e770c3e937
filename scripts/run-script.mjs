// node scripts/run-script.mjs FOLDER/NAME [ARGUMENT …]: installs what is missing,
// builds, and runs the project's script FOLDER/NAME.script.ts.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fail, root, setUp } from './setup.mjs';

const [name, ...args] = process.argv.slice(2);
if (name === undefined) fail('a script is missing: node scripts/run-script.mjs FOLDER/NAME [ARGUMENT …]', 2);
setUp();
const { buildProduct, buildTests } = await import('./build.mjs');
// Some scripts use what lies beside the bundles.
await buildProduct();
await buildTests();
const { status } = spawnSync(process.execPath, [join(root, 'out', `${name}.script.cjs`), ...args], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
