import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cudaProvider, detectProviders } from './detect';

const LOADER = '/usr/lib/x86_64-linux-gnu/libvulkan.so.1';
const on = (...files: string[]) => detectProviders('linux', (path) => files.includes(path));

test('a machine without a GPU has nothing to try, with or without a Vulkan loader', () => {
  assert.deepEqual(on(), { providers: [], reason: 'no GPU found' });
  assert.deepEqual(on(LOADER), { providers: [], reason: 'no GPU found' });
});

test('a GPU without a Vulkan loader is named', () => {
  assert.deepEqual(on('/dev/dri/renderD128').providers, []);
  assert.match(on('/dev/dri/renderD128').reason, /no Vulkan loader/);
});

test('a GPU is tried through Vulkan, and through CUDA first where that is installed', () => {
  assert.deepEqual(on('/dev/dri/renderD128', LOADER).providers, ['webgpu']);
  assert.deepEqual(on('/dev/nvidia0', LOADER, cudaProvider()).providers, ['cuda', 'webgpu']);
  assert.deepEqual(on('/dev/nvidia0', cudaProvider()).providers, ['cuda']);
});

test('Windows and macOS bring their own way to the GPU', () => {
  for (const platform of ['win32', 'darwin'] as const) {
    assert.deepEqual(detectProviders(platform, () => false).providers, ['webgpu']);
  }
});
