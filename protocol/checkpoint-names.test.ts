import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { globToRegExp } from '../server/src/glob';
import { projectRoot } from '../test/outside';
import { CHECKPOINT_GLOBS, CHECKPOINT_NAME } from './checkpoint-names';

interface Manifest {
  readonly contributes: {
    readonly menus: Readonly<Record<string, readonly { readonly when: string }[]>>;
    readonly customEditors: readonly [{ readonly selector: readonly { readonly filenamePattern: string }[] }];
  };
}

describe('names of checkpoints', () => {
  const { contributes } = JSON.parse(readFileSync(join(projectRoot(), 'package.json'), 'utf8')) as Manifest;

  it('are those that the manifest has commands and an editor for', () => {
    for (const { when } of contributes.menus['explorer/context']!)
      assert.ok(when.includes(`resourceFilename =~ ${String(CHECKPOINT_NAME)}`), when);
    assert.deepEqual(
      contributes.customEditors[0].selector.map(({ filenamePattern }) => filenamePattern),
      CHECKPOINT_GLOBS,
    );
  });

  it('are the same as a pattern and as an expression', () => {
    const names = ['a.onnx', 'a.pt', 'a.pth', 'a.th', 'pytorch_model.bin', 'pytorch_model-00001-of-00002.bin'];
    names.push('a.safetensors', 'a.safetensors.index.json', 'a.keras', 'a.h5', 'model.json');
    for (const name of names) {
      assert.ok(CHECKPOINT_NAME.test(name), name);
      assert.ok(
        CHECKPOINT_GLOBS.some((glob) => globToRegExp(glob).test(name)),
        name,
      );
    }
    for (const name of ['a.bin', 'package.json', 'my-model.json', 'a.onnx.txt', 'onnx', 'weights.bin']) {
      assert.ok(!CHECKPOINT_NAME.test(name), name);
      assert.ok(!CHECKPOINT_GLOBS.some((glob) => globToRegExp(glob).test(name)), name);
    }
  });
});
