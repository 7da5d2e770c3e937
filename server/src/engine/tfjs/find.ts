import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import util from 'node:util';
import type * as TensorFlow from '@tensorflow/tfjs-core';
import { AnalysisError } from '../../errors';

export type Tf = typeof TensorFlow;

export interface FoundTensorFlow {
  readonly tf: Tf;
  /** Package that brought the backend. */
  readonly name: string;
  readonly version: string;
}

/** The fastest first. The last one is plain JavaScript: for tests, and where nothing else is installed. */
const PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node', '@tensorflow/tfjs-backend-cpu'];

/**
 * The TensorFlow.js that the user installed.
 *
 * @param folders whose `node_modules`, and those above, are looked through in order
 * @throws AnalysisError when there is none, or when what there is does not load
 */
export async function findTensorFlow(folders: readonly string[]): Promise<FoundTensorFlow> {
  const failures: string[] = [];
  for (const name of PACKAGES) {
    for (const folder of folders) {
      const manifest = findManifest(folder, name);
      if (manifest === undefined) continue;
      try {
        return { tf: await load(manifest, name), name, version: versionOf(manifest) };
      } catch (error) {
        failures.push(`${name} in ${folder} does not load: ${firstLine(error)}`);
      }
    }
  }
  const hint =
    'install it with "pruning-limit install-tensorflow" (Install TensorFlow.js in the editor), or name its folder with --modules';
  const where = failures.length > 0 ? failures.join('; ') : `looked in ${folders.join(', ')}`;
  throw new AnalysisError(`TensorFlow.js not found: ${where}; ${hint}`);
}

/** `package.json` of `name` as `folder` would see it: exports of a package need not name it. */
function findManifest(folder: string, name: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    const manifest = join(at, 'node_modules', name, 'package.json');
    if (existsSync(manifest)) return manifest;
    if (at === dirname(at)) return undefined;
  }
}

async function load(manifest: string, name: string): Promise<Tf> {
  const require = createRequire(manifest);
  if (name.endsWith('backend-cpu')) {
    const tf = require('@tensorflow/tfjs-core') as Tf;
    require(dirname(manifest));
    await tf.setBackend('cpu');
    return tf;
  }
  restoreUtilities();
  const tf = require(dirname(manifest)) as Tf;
  await tf.ready();
  return tf;
}

/** The binding of 2024 uses two functions that Node 23 has removed. */
function restoreUtilities(): void {
  const target = util as unknown as Record<string, unknown>;
  target['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined;
  target['isArray'] ??= Array.isArray;
}

function versionOf(manifest: string): string {
  return (createRequire(manifest)(manifest) as { version: string }).version;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!;
}
