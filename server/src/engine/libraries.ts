import { realpathSync } from 'node:fs';
import type { NamedVersion } from '../../../protocol/providers';

/** Libraries by which an engine reaches a device; the first group is the version. */
const KNOWN: readonly (readonly [RegExp, string])[] = [
  [/^libcudart\.so\.([\d.]+)$/, 'CUDA runtime'],
  [/^libcublas\.so\.([\d.]+)$/, 'cuBLAS'],
  [/^libcudnn\.so\.([\d.]+)$/, 'cuDNN'],
  [/^libcuda\.so\.([\d.]+)$/, 'NVIDIA driver'],
  [/^libGLX_nvidia\.so\.([\d.]+)$/, 'NVIDIA Vulkan driver'],
  [/^libnvidia-vulkan-producer\.so\.([\d.]+)$/, 'NVIDIA Vulkan driver'],
  [/^libtensorflow\.so\.([\d.]+)$/, 'TensorFlow'],
  [/^libvulkan\.so\.([\d.]+)$/, 'Vulkan loader'],
  [/^libvulkan_radeon\.so()$/, 'Mesa RADV'],
  [/^amdvlk\d*\.so()$/, 'AMDVLK'],
  [/^libvulkan_intel(?:_hasvk)?\.so()$/, 'Mesa ANV'],
  [/^libvulkan_nouveau\.so()$/, 'Mesa NVK'],
  [/^libvulkan_asahi\.so()$/, 'Mesa Honeykrisp'],
  [/^libvulkan_dzn\.so()$/, 'Mesa Dozen'],
  [/^libvulkan_lvp\.so()$/, 'Mesa lavapipe (software)'],
  [/^libvk_swiftshader\.so()$/, 'SwiftShader (software)'],
];

/** Shared libraries that this process has loaded, by path. */
export function loadedLibraries(): string[] {
  const { report } = process;
  // Names of peers would be asked of the network.
  (report as { excludeNetwork?: boolean }).excludeNetwork = true;
  return (report.getReport() as { sharedObjects?: string[] }).sharedObjects ?? [];
}

/**
 * What of them says how a device is reached. A library's version is that of
 * the file its name is a link to.
 *
 * @param resolve what a path is a link to; another one in tests
 */
export function namedVersions(libraries: readonly string[], resolve = followLinks): NamedVersion[] {
  const found = new Map<string, string>();
  for (const path of libraries) {
    for (const name of [resolve(path), path].map((file) => file.slice(file.lastIndexOf('/') + 1))) {
      for (const [pattern, product] of KNOWN) {
        const match = pattern.exec(name);
        if (match !== null && !found.has(product)) found.set(product, match[1]!);
      }
    }
  }
  return [...found].map(([name, version]) => ({ name, version })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function followLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // Not every loaded object is a file.
    return path;
  }
}
