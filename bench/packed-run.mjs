// Starts what `npm run bench:gpu -- --pack` has packed, on a machine that needs
// nothing but a GPU's driver:
//
//     ./run [bench] [OPTION ...]      the benchmark, with the options of bench:gpu
//     ./run conformance [OPTION ...]  the conformance suite, with its options
//     ./run probe                     what every provider can do here
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchmark, parseOptions } from './gpu-runner.mjs';
import { vulkanDevice } from './vulkan.mjs';

const folder = dirname(fileURLToPath(import.meta.url));
const path = (name) => join(folder, name);
// The loader, where the machine has only the driver, and CUDA's libraries where PyTorch brought them.
const libraries = [process.env.LD_LIBRARY_PATH, path('lib'), ...torchLibraries()].filter(Boolean);
process.env.LD_LIBRARY_PATH = libraries.join(':');
const { variables, note } = vulkanDevice();
Object.assign(process.env, variables);

const [what, ...rest] = process.argv.slice(2);
if (what === 'conformance' || what === 'probe') {
  const { status } = spawnSync(process.execPath, [path(`${what}.cjs`), ...rest], { stdio: 'inherit', cwd: folder });
  process.exitCode = status ?? 1;
} else {
  const values = parseOptions(what === 'bench' ? rest : process.argv.slice(2));
  const parts = { products: path('products.cjs'), peer: path('products_peer.py'), engine: path('engine-process.js') };
  process.exitCode = values === undefined ? 2 : benchmark(values, { ...parts, variables: variables ?? {}, note });
}

/** Folders of the NVIDIA libraries that PyTorch's packages hold. */
function torchLibraries() {
  const script = [
    'import glob, os, sysconfig',
    'roots = {sysconfig.get_paths()[k] for k in ("purelib", "platlib")}',
    'print(":".join(sorted({os.path.dirname(f) for r in roots for f in glob.glob(r + "/nvidia/**/lib*.so.*", recursive=True)})))',
  ].join('\n');
  const { status, stdout } = spawnSync('python3', ['-c', script], { encoding: 'utf8' });
  return status === 0
    ? stdout
        .trim()
        .split(':')
        .filter((name) => name !== '' && existsSync(name))
    : [];
}
