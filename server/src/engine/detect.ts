import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Provider } from '../../../protocol/analysis';

/** Providers worth a trial, the most promising first, or why there is none. */
export interface Detection {
  readonly providers: readonly Provider[];
  /** One line; empty where there are providers. */
  readonly reason: string;
}

const LIBRARIES = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/usr/local/lib',
  ...(process.env['LD_LIBRARY_PATH'] ?? '').split(':').filter((folder) => folder !== ''),
];

/**
 * What `auto` should try on this machine. Looks at a few files and starts
 * nothing: on a machine without a GPU it costs less than a millisecond.
 *
 * @param exists whether a file exists; another one in tests
 */
export function detectProviders(
  platform: NodeJS.Platform = process.platform,
  exists: (path: string) => boolean = existsSync,
): Detection {
  // Direct3D 12 and Metal are part of the system; what they find there, a trial tells.
  if (platform !== 'linux') return { providers: ['webgpu'], reason: '' };
  const nvidia = exists('/dev/nvidia0') || exists('/dev/dxg');
  if (!nvidia && !exists('/dev/dri/renderD128') && !exists('/dev/kfd'))
    return { providers: [], reason: 'no GPU found' };
  const cuda: Provider[] = nvidia && exists(cudaProvider()) ? ['cuda'] : [];
  if (LIBRARIES.some((folder) => exists(join(folder, 'libvulkan.so.1'))))
    return { providers: [...cuda, 'webgpu'], reason: '' };
  if (cuda.length > 0) return { providers: cuda, reason: '' };
  return { providers: [], reason: 'a GPU, but no Vulkan loader (libvulkan.so.1, package libvulkan1)' };
}

/** onnxruntime's CUDA provider lies beside its binding where the user opted in to it. */
export function cudaProvider(): string {
  const manifest = createRequire(__filename).resolve('onnxruntime-node/package.json');
  const bin = join(dirname(manifest), 'bin');
  const [version] = existsSync(bin) ? readdirSync(bin) : [];
  return join(bin, version ?? '', process.platform, process.arch, 'libonnxruntime_providers_cuda.so');
}
