// npm run reproduce -- NAME: the experiments of docs/reproduction.md.
import { root, runOrFail, setUp } from './setup.mjs';

setUp();
const { buildProduct, buildTests } = await import('./build.mjs');
await buildProduct();
await buildTests();
runOrFail(process.execPath, ['out/reproduce/reproduce.script.cjs', ...process.argv.slice(2)], { cwd: root });
