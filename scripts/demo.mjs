// npm run demo: installs, builds and runs the main job on the embedded sample.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root, runOrFail, setUp } from './setup.mjs';

setUp();
const { buildProduct } = await import('./build.mjs');
await buildProduct();
mkdirSync(join(root, 'out'), { recursive: true });
// The sample was trained with this L1 penalty (samples/train.script.ts).
const command =
  'bin/pruning-limit analyze samples/digits.onnx --data samples/data --l1 0.001 --batch 500 --report out/demo.html';
console.log(`${command}\n`);
runOrFail(process.execPath, command.split(' '));
