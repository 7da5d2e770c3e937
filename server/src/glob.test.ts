import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { globToRegExp } from './glob';

const table: readonly [glob: string, matching: string[], other: string[]][] = [
  ['**/*.onnx', ['a.onnx', 'deep/er/a.onnx'], ['a.onnx.txt', 'a.pt']],
  ['*.onnx', ['a.onnx'], ['deep/a.onnx']],
  ['models/**', ['models/a', 'models/b/c'], ['other/a']],
  ['net-?.onnx', ['net-1.onnx'], ['net-10.onnx', 'net-/.onnx']],
  ['{a,b/c}.onnx', ['a.onnx', 'b/c.onnx'], ['c.onnx']],
  ['[ab].onnx', ['a.onnx'], ['c.onnx']],
  ['[!ab].onnx', ['c.onnx'], ['a.onnx']],
  ['a+(b).onnx', ['a+(b).onnx'], ['aab.onnx']],
  ['../x.onnx', ['../x.onnx'], ['x.onnx']],
  ['{a', ['a'], ['{a']],
];

describe('globToRegExp', () => {
  for (const [glob, matching, other] of table) {
    it(glob, () => {
      const pattern = globToRegExp(glob);
      for (const path of matching) assert.match(path, pattern);
      for (const path of other) assert.doesNotMatch(path, pattern);
    });
  }
});
