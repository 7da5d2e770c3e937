// npm run fuzz -- READER|all COUNT [--seed N]
// Feeds mutated files to the readers; see test/fuzz/fuzz.script.ts.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildTests, root } from './build.mjs';

await buildTests();
const script = join(root, 'out/test/fuzz/fuzz.script.cjs');
const { status } = spawnSync(process.execPath, [script, ...process.argv.slice(2)], { stdio: 'inherit' });
process.exitCode = status ?? 1;
