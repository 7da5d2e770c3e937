import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { npzNames, readNpz } from '../dataset/arrays';
import { maskFile, type LayerMask } from './mask-file';

/** Names as exporters make them. */
const LAYERS: readonly LayerMask[] = [
  { name: 'conv1.weight', shape: [2, 1, 2, 2], mask: Uint8Array.of(1, 0, 0, 1, 1, 1, 0, 0) },
  { name: '/features/Größe/MatMul_12', shape: [3], mask: Uint8Array.of(0, 1, 0) },
  {
    name: 'onnx::MatMul_7',
    shape: [100, 70],
    mask: Uint8Array.from({ length: 7000 }, (_, i) => (i % 3 === 0 ? 1 : 0)),
  },
];

test('a mask file is an npz that is read back', async (t) => {
  const path = join(temporaryFolder(t), 'mask.npz');
  writeFileSync(path, maskFile(LAYERS));
  const names = LAYERS.map(({ name }) => name);
  assert.deepEqual(await npzNames(path), names);
  const arrays = await readNpz(path, names);
  arrays.forEach(({ shape, values }, i) => {
    assert.deepEqual(shape, LAYERS[i]!.shape);
    assert.deepEqual(Array.from(values), Array.from(LAYERS[i]!.mask));
  });
});

/** The first Python that has numpy. */
const python = ['python3', '/usr/bin/python3'].find(
  (program) => spawnSync(program, ['-c', 'import numpy'], { stdio: 'ignore' }).status === 0,
);

test('numpy reads it', { skip: python === undefined && 'needs Python with numpy' }, (t) => {
  const path = join(temporaryFolder(t), 'mask.npz');
  writeFileSync(path, maskFile(LAYERS));
  const script = `import json, sys, numpy
masks = numpy.load(sys.argv[1])
print(json.dumps([[name, list(m.shape), m.dtype.name, m.astype(int).ravel().tolist()] for name, m in masks.items()]))`;
  const { stdout, stderr } = spawnSync(python!, ['-c', script, path], { encoding: 'utf8' });
  assert.equal(stderr, '');
  assert.deepEqual(
    JSON.parse(stdout),
    LAYERS.map(({ name, shape, mask }) => [name, shape, 'bool', Array.from(mask)]),
  );
});
