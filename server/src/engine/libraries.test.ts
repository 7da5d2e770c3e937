import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadedLibraries, namedVersions } from './libraries';

test('versions are those of the files that libraries are links to', () => {
  const links = new Map([
    ['/opt/cuda/lib64/libcudart.so.12', '/opt/cuda/lib64/libcudart.so.12.8.90'],
    ['/usr/lib/libcudnn.so.9', '/usr/lib/libcudnn.so.9.10.2'],
    ['/usr/lib/libcuda.so.1', '/usr/lib/libcuda.so.580.159.04'],
  ]);
  const libraries = [...links.keys(), '/usr/lib/libvulkan_radeon.so', '/usr/lib/libc.so.6', 'linux-vdso.so.1'];
  assert.deepEqual(
    namedVersions(libraries, (path) => links.get(path) ?? path),
    [
      { name: 'CUDA runtime', version: '12.8.90' },
      { name: 'Mesa RADV', version: '' },
      { name: 'NVIDIA driver', version: '580.159.04' },
      { name: 'cuDNN', version: '9.10.2' },
    ],
  );
});

test('this process has loaded something', { skip: process.platform === 'win32' }, () => {
  assert.ok(loadedLibraries().length > 0);
});
