// Packages the extension, one .vsix per platform: node scripts/package.mjs [target…],
// all of them when none is named. Only listed files go in. Of onnxruntime, that is one platform's binaries, so
// that a package is a fifth of what it would be with all of them.
import { createVSIX } from '@vscode/vsce';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildProduct, root } from './build.mjs';

/** Target of the marketplace → folder of onnxruntime's binaries; null where there are none, and WebAssembly takes their place. */
export const targets = {
  'linux-x64': 'linux/x64',
  'linux-arm64': 'linux/arm64',
  'darwin-arm64': 'darwin/arm64',
  'darwin-x64': null,
  'win32-x64': 'win32/x64',
  'win32-arm64': 'win32/arm64',
};

const files = [
  '.vscodeignore',
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
  'media/icon.png',
  'media/activity.svg',
  'media/panel-light.svg',
  'media/panel-dark.svg',
  'package.nls.json',
  'package.nls.de.json',
  'samples/digits.onnx',
  'samples/pruning-limit.json',
];
const folders = ['dist', 'docs/images', 'l10n', 'media/walkthrough', 'samples/data', 'syntaxes'];
/** What onnxruntime-web loads in Node. */
const webAssembly = ['dist/ort.node.min.js', 'dist/ort-wasm-simd-threaded.mjs', 'dist/ort-wasm-simd-threaded.wasm'];
const notShipped = /\.(ts|map|tsbuildinfo|test\.[cm]?js)$/;

/** Writes `out/pruning-limit-<target>-<version>.vsix` and returns its path. */
export async function packageExtension(target) {
  const binaries = targets[target];
  if (binaries === undefined)
    throw new Error(`unknown target: ${target}; known are ${Object.keys(targets).join(', ')}`);
  const stage = join(root, 'out', 'package', target);
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  const copy = (from, to = from) => {
    if (!existsSync(join(root, from))) return;
    cpSync(join(root, from), join(stage, to), {
      recursive: true,
      dereference: true,
      filter: (file) => statSync(file).isDirectory() || !notShipped.test(file),
    });
  };
  for (const path of [...files, ...folders]) copy(path);

  const runtime = `node_modules/onnxruntime-${binaries === null ? 'web' : 'node'}`;
  const common = 'node_modules/onnxruntime-common';
  const parts = binaries === null ? webAssembly : ['dist', `bin/napi-v6/${binaries}`];
  for (const part of parts) copy(`${runtime}/${part}`);
  copy(`${common}/dist/cjs`);
  for (const part of parts) {
    const path = join(stage, runtime, part);
    if (existsSync(path) && (!statSync(path).isDirectory() || readdirSync(path).length > 0)) continue;
    throw new Error(`${runtime}: no ${part} for ${target}; run npm install first`);
  }
  const read = (path) => JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'));
  const write = (path, json) => writeFileSync(join(stage, path, 'package.json'), `${JSON.stringify(json, null, 2)}\n`);
  const runtimePackage = read(runtime);
  const commonPackage = read(common);
  const versions = { 'onnxruntime-common': commonPackage.version };
  // What their install scripts need is of no use in a package.
  write(runtime, pick(runtimePackage, ['name', 'version', 'license', 'main', 'exports'], { dependencies: versions }));
  write(common, pick(commonPackage, ['name', 'version', 'license', 'main', 'exports']));
  const manifest = read('.');
  // Everything else is bundled into dist/.
  const dependencies = { [runtimePackage.name]: runtimePackage.version, ...versions };
  const unshipped = ['private', 'scripts', 'devDependencies', 'bin'];
  write('.', {
    ...pick(
      manifest,
      Object.keys(manifest).filter((name) => !unshipped.includes(name)),
    ),
    dependencies,
  });

  const packagePath = join(root, 'out', `pruning-limit-${target}-${manifest.version}.vsix`);
  await createVSIX({
    cwd: stage,
    target,
    packagePath,
    allowMissingRepository: true,
    // The pictures are in the package.
    rewriteRelativeLinks: false,
  });
  return packagePath;
}

function pick(object, names, more = {}) {
  return { ...Object.fromEntries(names.filter((name) => name in object).map((name) => [name, object[name]])), ...more };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wanted = process.argv.slice(2);
  await buildProduct();
  for (const target of wanted.length > 0 ? wanted : Object.keys(targets)) {
    const path = await packageExtension(target);
    console.log(`${path} (${(statSync(path).size / 1e6).toFixed(1)} MB)`);
  }
}
