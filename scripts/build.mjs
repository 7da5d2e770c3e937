// Bundles every process of the product into dist/ and, with --tests, every
// test file into out/test/. Packages with native parts stay outside.
import { build } from 'esbuild';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import wabt from 'wabt';
import { hdf5Binary } from './hdf5.mjs';
import { notices, packagesOf } from './notices.mjs';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** Files under `folder` whose name ends with `ending`, sorted. */
export function filesUnder(folder, ending) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((file) => file.endsWith(ending) && !file.includes('node_modules') && statSync(file).isFile())
    .sort();
}

/** `./x?source` is the bundled script x.ts as text. */
const scriptSources = {
  name: 'script-sources',
  setup(context) {
    context.onResolve({ filter: /\?source$/ }, ({ path, resolveDir }) => ({
      path: join(resolveDir, path.replace('?source', '.ts')),
      namespace: 'source',
    }));
    context.onLoad({ filter: /.*/, namespace: 'source' }, async ({ path }) => {
      const { outputFiles } = await build({ ...node, sourcemap: false, entryPoints: [path], write: false });
      return { contents: outputFiles[0].text, loader: 'text', watchFiles: [path] };
    });
  },
};

/** WebAssembly in text becomes the module's bytes. */
const webAssemblyText = {
  name: 'webassembly-text',
  setup(context) {
    context.onLoad({ filter: /\.wat$/ }, async ({ path }) => {
      const { parseWat } = await wabt();
      const module = parseWat(path, readFileSync(path, 'utf8'), { simd: true });
      try {
        return { contents: module.toBinary({}).buffer, loader: 'binary' };
      } finally {
        module.destroy();
      }
    });
  },
};

/** Options of esbuild for what Node runs. */
export const node = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  sourcemap: true,
  logLevel: 'warning',
  external: ['vscode', 'onnxruntime-node', 'onnxruntime-common', 'onnxruntime-web'],
  absWorkingDir: root,
  plugins: [scriptSources, webAssemblyText],
};

/** The schema's TypeScript is generated: it follows from onnx.proto and is not kept. */
function generateSchema() {
  const folder = join(root, 'server/src/checkpoint/onnx/generated');
  const source = join(root, 'server/src/checkpoint/onnx/onnx.proto');
  const code = join(folder, 'onnx.js');
  if (existsSync(code) && statSync(code).mtimeMs > statSync(source).mtimeMs) return;
  mkdirSync(folder, { recursive: true });
  const bin = join(root, 'node_modules/protobufjs-cli/bin');
  execFileSync(process.execPath, [
    join(bin, 'pbjs'),
    '-t',
    'static-module',
    '-w',
    'es6',
    '--no-service',
    '--no-verify',
    '--no-delimited',
    '--no-create',
    '--force-long',
    '-o',
    code,
    source,
  ]);
  execFileSync(process.execPath, [join(bin, 'pbts'), '-o', join(folder, 'onnx.d.ts'), code]);
}

export async function buildProduct() {
  generateSchema();
  const entries = {
    client: 'client/src/extension.ts',
    server: 'server/src/main.ts',
    compute: 'server/src/compute.ts',
    listing: 'server/src/listing.ts',
    'engine-process': 'server/src/engine-process.ts',
    cli: 'server/src/cli.ts',
  };
  const present = Object.fromEntries(Object.entries(entries).filter(([, file]) => existsSync(join(root, file))));
  const made = [await build({ ...node, entryPoints: present, outdir: 'dist', minifySyntax: true, metafile: true })];
  made.push(
    await build({
      ...node,
      entryPoints: { hdf5: 'h5wasm/node' },
      format: 'esm',
      banner: { js: '// h5wasm; its WebAssembly was moved into hdf5.wasm.' },
      outExtension: { '.js': '.mjs' },
      outdir: 'dist',
      minify: true,
      sourcemap: false,
      metafile: true,
      plugins: [hdf5Binary(join(root, 'dist'))],
    }),
  );
  // Python's grammar and what reads it.
  mkdirSync(join(root, 'dist/wasm'), { recursive: true });
  const copied = ['node_modules/@vscode/tree-sitter-wasm'];
  for (const name of ['tree-sitter.wasm', 'tree-sitter-python.wasm']) {
    copyFileSync(join(root, 'node_modules/@vscode/tree-sitter-wasm/wasm', name), join(root, 'dist/wasm', name));
  }
  // The image decoders look for their code beside their script, which is now in dist/.
  for (const name of ['jpeg-turbo', 'lodepng', 'webp']) {
    const from = `node_modules/@cwasm/${name}`;
    copyFileSync(join(root, from, `${name}.wasm`), join(root, `dist/${name}.wasm`));
    copied.push(from);
  }
  const webviews = filesUnder(join(root, 'media/src'), '.main.ts');
  if (webviews.length > 0) {
    const view = await build({
      bundle: true,
      metafile: true,
      platform: 'browser',
      target: 'es2022',
      format: 'iife',
      minify: true,
      logLevel: 'warning',
      absWorkingDir: root,
      entryPoints: webviews.map((file) => ({
        in: file,
        out: relative(join(root, 'media/src'), file).replace(/\.main\.ts$/, ''),
      })),
      outdir: 'dist/media',
    });
    made.push(view);
  }
  const bundled = packagesOf(made.map(({ metafile }) => metafile));
  writeFileSync(join(root, 'dist/THIRD-PARTY-NOTICES.txt'), notices(root, [...bundled, ...copied]));
}

/** Test files → out/test, same tree, `.cjs`. */
export async function buildTests() {
  generateSchema();
  const files = ['server', 'protocol', 'client', 'test', 'samples', 'bench', 'reproduce', 'media'].flatMap((folder) => [
    ...filesUnder(join(root, folder), '.test.ts'),
  ]);
  const scripts = ['samples', 'bench', 'reproduce', 'test'].flatMap((folder) =>
    filesUnder(join(root, folder), '.script.ts'),
  );
  await build({
    ...node,
    packages: 'external',
    entryPoints: [...files, ...scripts].map((file) => ({ in: file, out: relative(root, file).replace(/\.ts$/, '') })),
    outdir: 'out',
    outExtension: { '.js': '.cjs' },
  });
  return files.map((file) => join(root, 'out', relative(root, file).replace(/\.ts$/, '.cjs')));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildProduct();
  if (process.argv.includes('--tests')) await buildTests();
}
