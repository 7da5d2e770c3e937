import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inEditorTerms } from './editor-terms';

test('options of the command line have their names in the editor', () => {
  assert.equal(
    inEditorTerms('memory ran out; lower --batch or --samples, or grant more with --memory'),
    'memory ran out; lower "batch" or "samples", or grant more with the setting "pruningLimit.memory"',
  );
  assert.equal(inEditorTerms('check (--scale, --normalize)'), 'check ("scale", "normalize")');
});

test('what is no option, or has no other name, stays', () => {
  for (const text of ['x--steps', 'a ---steps', '--steps-more', '--allow-disconnected', '--sparsity 0.9', 'layer --']) {
    assert.equal(inEditorTerms(text), text);
  }
});
