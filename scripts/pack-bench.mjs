// Packs the GPU benchmark and the conformance suite, with Node and the runtime
// of this platform, into one archive of some 50 MB: `tar xf` it where the GPU is
// and call `./run` (bench/packed-run.mjs).
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { node, root } from './build.mjs';
import { fail } from './setup.mjs';
import { vulkanLoader } from './vulkan.mjs';

const NAME = 'pruning-limit-bench';

/** @param file ends with .tar.xz; written whole or not at all */
export async function packBench(file) {
  const stage = join(root, 'out', NAME);
  rmSync(stage, { recursive: true, force: true });
  const copy = (from, to) => {
    mkdirSync(dirname(join(stage, to)), { recursive: true });
    cpSync(from, join(stage, to), { recursive: true, dereference: true });
  };
  const here = `${process.platform}/${process.arch}`;
  for (const path of [
    'onnxruntime-node/package.json',
    'onnxruntime-node/dist',
    `onnxruntime-node/bin/napi-v6/${here}`,
  ]) {
    copy(join(root, 'node_modules', path), `node_modules/${path}`);
  }
  for (const path of ['package.json', 'dist/cjs']) {
    copy(join(root, 'node_modules/onnxruntime-common', path), `node_modules/onnxruntime-common/${path}`);
  }
  copy(join(root, 'package.json'), 'package.json');
  copy(join(root, 'test/golden'), 'test/golden');
  copy(join(root, 'dist/engine-process.js'), 'engine-process.js');
  copy(join(root, 'scripts/vulkan.mjs'), 'vulkan.mjs');
  for (const name of ['gpu-runner.mjs', 'packed-run.mjs', 'products_peer.py']) copy(join(root, 'bench', name), name);
  await build({
    ...node,
    sourcemap: false,
    external: [...node.external, '@tensorflow/*'],
    entryPoints: {
      products: 'bench/products.script.ts',
      probe: 'bench/probe.script.ts',
      conformance: 'test/conformance/conformance.script.ts',
    },
    outdir: stage,
    outExtension: { '.js': '.cjs' },
  });
  const loader = vulkanLoader();
  if (loader !== undefined) copy(loader, 'lib/libvulkan.so.1');
  copyFileSync(process.execPath, join(stage, 'node'));
  spawnSync('strip', [join(stage, 'node')], { stdio: 'ignore' });
  chmodSync(join(stage, 'node'), 0o755);
  writeFileSync(join(stage, 'run'), '#!/bin/sh\nexec "$(dirname "$0")/node" "$(dirname "$0")/packed-run.mjs" "$@"\n', {
    mode: 0o755,
  });
  const target = resolve(file);
  mkdirSync(dirname(target), { recursive: true });
  const { status } = spawnSync('tar', ['cJf', target, '-C', join(root, 'out'), NAME], {
    stdio: 'inherit',
    env: { ...process.env, XZ_OPT: '-6 -T0' },
  });
  if (status !== 0 || !existsSync(target)) {
    rmSync(target, { force: true });
    fail('tar could not write the archive: it needs xz');
  }
  console.log(
    `written: ${file}, ${(statSync(target).size / 2 ** 20).toFixed(1)} MiB; there: tar xf it, then ${NAME}/run`,
  );
}
