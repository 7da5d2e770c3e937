// Finds a Vulkan device for the WebGPU provider on Linux, and installs a
// software one where there is none and it can (Debian and its derivatives, as
// root).
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const LIBRARIES = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/usr/local/lib',
  ...(process.env.LD_LIBRARY_PATH ?? '').split(':').filter((folder) => folder !== ''),
];
const DRIVERS = ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d'];
/** Where containers are given NVIDIA's driver; no loader looks there. */
const MOUNTED = '/usr/local/nvidia';
/** Part of Chromium, which the editor tests install too. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';
/** Dawn, the WebGPU implementation inside onnxruntime, refuses older ones. */
const OLDEST_MESA = 23;

/**
 * @returns {{variables: Record<string, string> | null, note: string}} what the environment of a process that uses the
 * device needs; null where there is none
 */
export function softwareVulkan() {
  if (!found() && canInstall()) {
    console.log('Installing a software Vulkan device …');
    const apt = (...args) => spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0;
    const install = () => apt('install', '-y', '--no-install-recommends', 'libvulkan1', 'chromium-common');
    if (!install() && apt('update')) install();
  }
  return vulkanDevice();
}

/** The same, and installs nothing. */
export function vulkanDevice() {
  return (
    found() ?? {
      variables: null,
      note: 'needs a Vulkan device: libvulkan1, and mesa-vulkan-drivers 23 or chromium-common',
    }
  );
}

/** Path of the Vulkan loader, or undefined where there is none. */
export function vulkanLoader() {
  return LIBRARIES.map((folder) => join(folder, 'libvulkan.so.1')).find((file) => existsSync(file));
}

function found() {
  if (process.platform !== 'linux') return { variables: {}, note: 'WebGPU: the device of the system' };
  if (vulkanLoader() === undefined) return undefined;
  if (process.env.VK_DRIVER_FILES || process.env.VK_ICD_FILENAMES) {
    return { variables: {}, note: 'WebGPU: the Vulkan device that the environment names' };
  }
  const mounted = join(MOUNTED, 'share/vulkan/icd.d/nvidia_icd.json');
  if (existsSync('/dev/nvidia0') && existsSync(mounted)) {
    const libraries = [process.env.LD_LIBRARY_PATH, join(MOUNTED, 'lib64')].filter(Boolean).join(':');
    return {
      variables: { VK_DRIVER_FILES: mounted, VK_ICD_FILENAMES: mounted, LD_LIBRARY_PATH: libraries },
      note: 'WebGPU: the GPU',
    };
  }
  if (existsSync('/dev/dri') || existsSync('/dev/nvidia0')) return { variables: {}, note: 'WebGPU: the GPU' };
  const lavapipe = DRIVERS.flatMap((folder) =>
    existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [],
  ).find((file) => /lvp_icd.*\.json$/.test(file));
  if (lavapipe !== undefined && mesaVersion() >= OLDEST_MESA) return software('lavapipe', lavapipe);
  return existsSync(SWIFTSHADER) ? software('SwiftShader', SWIFTSHADER) : undefined;
}

function software(name, file) {
  return {
    variables: { VK_DRIVER_FILES: file, VK_ICD_FILENAMES: file },
    note: `WebGPU: ${name}, a Vulkan device in software`,
  };
}

function mesaVersion() {
  const { status, stdout } = spawnSync('dpkg-query', ['-W', '-f', '${Version}', 'mesa-vulkan-drivers'], {
    encoding: 'utf8',
  });
  // Where there is no dpkg there is no way to know; the conformance suite will tell.
  return status === 0 ? Number.parseInt(stdout, 10) : Infinity;
}

function canInstall() {
  return process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
}
