// npm run inspect-large
// Time and memory of listing large checkpoints; see test/checkpoints/large.script.ts.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildTests, root } from './build.mjs';

await buildTests();
const script = join(root, 'out/test/checkpoints/large.script.cjs');
const { status } = spawnSync(process.execPath, [script, ...process.argv.slice(2)], { stdio: 'inherit' });
process.exitCode = status ?? 1;
