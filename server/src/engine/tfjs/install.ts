import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { AnalysisError, InputError } from '../../errors';

/** The last release, of 2024; its binding speaks Node-API, which does not change. */
const VERSION = '4.22.0';

export interface InstallOptions {
  /** Where it goes: made when it is not there, else empty or one that this has made. */
  readonly folder: string;
  /** `@tensorflow/tfjs-node-gpu`, for NVIDIA with CUDA 11.2 and cuDNN 8. */
  readonly gpu: boolean;
  /**
   * A Python with TensorFlow 2, whose library the binding is built against,
   * where the one that the package downloads cannot be had. Needs a C++ compiler.
   */
  readonly python?: string;
  /** What the programs print meanwhile. */
  readonly onOutput: (text: string) => void;
}

/**
 * Installs TensorFlow.js with npm, or builds its binding. The folder is replaced
 * when all has gone well, and is what it was when not.
 *
 * @returns name of the package
 * @throws AnalysisError saying why it failed and what to do
 */
export async function installTensorFlow({ folder, gpu, python, onOutput }: InstallOptions): Promise<string> {
  const name = gpu ? '@tensorflow/tfjs-node-gpu' : '@tensorflow/tfjs-node';
  const target = resolve(folder);
  await assertOurs(target);
  // One that an installation left which was killed is ours as well.
  const stage = `${target}.partial`;
  await assertOurs(stage);
  try {
    await rm(stage, { recursive: true, force: true });
    await mkdir(stage, { recursive: true });
    // In a folder without one npm would install into that of a project above.
    await writeFile(join(stage, 'package.json'), `${JSON.stringify({ name: OURS, private: true })}\n`);
    const scripts = python === undefined ? [] : ['--ignore-scripts'];
    const args = ['install', ...scripts, '--no-audit', '--no-fund', '--loglevel=error', `${name}@${VERSION}`];
    const { status, output } = await run('npm', args, stage, onOutput);
    if (status !== 0) throw new AnalysisError(`${name} could not be installed: ${explainInstall(status, output)}`);
    if (python !== undefined) await buildBinding(join(stage, 'node_modules', name), python, onOutput);
    await rm(target, { recursive: true, force: true });
    await rename(stage, target);
    return name;
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** Name in the manifest of a folder that this has made. */
const OURS = 'pruning-limit-tensorflow';

/** @throws InputError for a folder with anything else in it, which would be lost */
async function assertOurs(folder: string): Promise<void> {
  const entries = existsSync(folder) ? await readdir(folder) : [];
  if (entries.length === 0) return;
  const manifest = await readFile(join(folder, 'package.json'), 'utf8').catch(() => '');
  if (!manifest.includes(`"${OURS}"`)) {
    throw new InputError(`${folder}: not empty; choose an empty folder, or one that does not exist`);
  }
}

const BUILD_HINT =
  'or build it against the TensorFlow of a Python: pip install tensorflow-cpu, and --python with that Python';

/**
 * Why npm failed, and what to do.
 *
 * @param status null when npm itself could not be started
 */
export function explainInstall(status: number | null, output: string): string {
  if (status === null) return 'npm was not found; install Node.js 20 or 22, which brings it, and try again';
  const host = /getaddrinfo \w+ (\S+)|(?:ECONNREFUSED|ETIMEDOUT|ECONNRESET)\D*([\w.:-]+)/.exec(output);
  const unreachable = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET/.test(output);
  if (unreachable && /libtensorflow|tf-builds|scripts\/install\.js/.test(output)) {
    return `the host of its library${host?.[1] ? ` (${host[1]})` : ''} cannot be reached from here; let it through (npm config set https-proxy …), install it on another machine and name the folder with --modules, ${BUILD_HINT}`;
  }
  if (unreachable) return 'the npm registry cannot be reached; see npm config get registry and https-proxy';
  if (/EACCES|EPERM/.test(output)) return 'the folder cannot be written to; choose another one with --into';
  if (/ENOSPC/.test(output)) return 'the disk is full; it takes about 600 MB';
  if (/node-gyp|node-pre-gyp|\bgyp ERR/.test(output)) {
    return `there is no ready-made binding for Node ${process.versions.node} on ${process.platform}-${process.arch}, and building one failed; use Node 20 or 22, ${BUILD_HINT}`;
  }
  const lines = output.split('\n').map((line) => line.replace(/^npm (error|ERR!) ?/, '').trim());
  const reason = lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.find((line) => line !== '') ?? '';
  return `npm ended with status ${status}: ${reason.slice(0, 200)}; ${BUILD_HINT.slice(3)}`;
}

/** Compiles the package's binding for this Node against a Python's TensorFlow. */
async function buildBinding(module: string, python: string, onOutput: (text: string) => void): Promise<void> {
  const spec =
    'import importlib.util as u; s = u.find_spec("tensorflow"); print(s.submodule_search_locations[0] if s else "")';
  const found = await run(python, ['-c', spec], module, () => undefined);
  const tensorflow = found.output.trim().split('\n').at(-1)!;
  const library = join(tensorflow, 'libtensorflow_cc.so.2');
  if (found.status !== 0 || !existsSync(library)) {
    throw new AnalysisError(
      `${python} has no TensorFlow with a C++ library (libtensorflow_cc.so.2, Linux); pip install tensorflow-cpu there`,
    );
  }
  const headers = [join(dirname(dirname(process.execPath)), 'include/node'), '/usr/include/node'].find((path) =>
    existsSync(join(path, 'node_api.h')),
  );
  if (headers === undefined) {
    throw new AnalysisError(
      'the headers of Node.js were not found beside its binary; its packages from nodejs.org have them (include/node)',
    );
  }
  const folder = join(module, 'lib/napi-v8');
  await mkdir(folder, { recursive: true });
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((file) => join(module, 'binding', file));
  const includes = [headers, dirname(module), join(tensorflow, 'include')].map((path) => `-I${path}`);
  const libraries = ['-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2', `-Wl,-rpath,${tensorflow}`];
  const flags = ['-std=c++17', '-O2', '-w', '-shared', '-fPIC', '-DNAPI_VERSION=8'];
  const target = ['-o', join(folder, 'tfjs_binding.node'), `-L${tensorflow}`];
  const { status, output } = await run(
    'c++',
    [...flags, ...includes, ...sources, ...target, ...libraries],
    module,
    onOutput,
  );
  if (status === 0) return;
  const error = output.split('\n').find((line) => /\berror\b/.test(line)) ?? 'no compiler (c++)';
  throw new AnalysisError(`the binding could not be built: ${error.trim().slice(0, 200)}; install g++`);
}

interface Ended {
  /** Null when the program could not be started. */
  readonly status: number | null;
  readonly output: string;
}

function run(command: string, args: readonly string[], cwd: string, onOutput: (text: string) => void): Promise<Ended> {
  return new Promise((resolve) => {
    let output = '';
    // npm is a script on Windows; nothing in the arguments comes from outside there.
    const child = spawn(command, args, { cwd, windowsHide: true, shell: process.platform === 'win32' });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output = (output + text).slice(-100_000);
        onOutput(text);
      });
    }
    child.once('error', () => resolve({ status: null, output }));
    child.once('close', (status) => resolve({ status: status ?? 1, output }));
  });
}
